package fragment

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// Matrix returns the result as a range query does, sorted by labels.
func (r *Result) Matrix() promql.Matrix {
	mat := make(promql.Matrix, 0, len(r.Series))
	for _, s := range r.Series {
		points := make([]promql.FPoint, 0, present(s.Values))
		for step, v := range s.Values {
			if !isAbsent(v) {
				points = append(points, promql.FPoint{T: r.Grid.At(step), F: v})
			}
		}
		mat = append(mat, promql.Series{Metric: s.Labels, Floats: points, Histograms: s.histogramPoints(r.Grid)})
	}
	slices.SortFunc(mat, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	return mat
}

// Vector returns the result of the first step, as an instant query does.
func (r *Result) Vector() promql.Vector {
	vec := make(promql.Vector, 0, len(r.Series))
	for _, s := range r.Series {
		sample := promql.Sample{Metric: s.Labels, T: r.Grid.Start}
		if s.Histograms != nil && s.Histograms[0] != nil {
			sample.H = s.Histograms[0]
		} else {
			sample.F = s.Values[0]
		}
		vec = append(vec, sample)
	}
	return vec
}

// histogramPoints are the histograms, nil if there are none.
func (s *Series) histogramPoints(g Grid) (points []promql.HPoint) {
	for step, h := range s.Histograms {
		if h != nil {
			points = append(points, promql.HPoint{T: g.At(step), H: h})
		}
	}
	return points
}

// empty reports whether there is nothing at any step.
func (s *Series) empty() bool { return present(s.Values) == 0 && s.histograms() == 0 }

func (s *Series) histograms() (n int) {
	for _, h := range s.Histograms {
		if h != nil {
			n++
		}
	}
	return n
}

// include accounts for what the result was computed from.
func (r *Result) include(from ...*Result) {
	var warnings annotations.Annotations
	for _, f := range from {
		r.Samples += f.Samples
		r.Read += f.Read
		warnings.Merge(f.Warnings)
	}
	r.Warnings = warnings.Merge(r.Warnings)
}

// Queryable is the store that the rest of a plan is evaluated over: it answers
// its placeholders with the fragments' results and passes on what is selected
// otherwise.
type Queryable struct {
	Plan  *Plan
	Store interface {
		storage.Queryable
		storage.ChunkQueryable
	}
	Limits Limits

	// Done is called with each result.
	Done func(*Result)
}

// Querier implements storage.Queryable.
func (q *Queryable) Querier(mint, maxt int64) (storage.Querier, error) {
	inner, err := q.Store.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &querier{inner, q}, nil
}

type querier struct {
	storage.Querier
	q *Queryable
}

// Select implements storage.Querier.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	if len(matchers) == 1 {
		if f := q.q.Plan.fragments[matchers[0]]; f != nil {
			return &resultSet{evaluate: func() (*Result, error) { return f.Evaluate(ctx, q.q.Store, q.q.Limits) }, done: q.q.Done}
		}
	}
	return q.Querier.Select(ctx, sorted, hints, matchers...)
}

// resultSet evaluates a fragment when it is first asked for a series.
type resultSet struct {
	evaluate func() (*Result, error)
	done     func(*Result)
	result   *Result
	err      error
	next     int
}

func (s *resultSet) Next() bool {
	if s.result == nil && s.err == nil {
		if s.result, s.err = s.evaluate(); s.err == nil && s.done != nil {
			s.done(s.result)
		}
	}
	if s.err != nil || s.next >= len(s.result.Series) {
		return false
	}
	s.next++
	return true
}

// At returns a series with a sample a step, the stale marker where there is no
// value, so that the engine's lookback does not reach an older step.
func (s *resultSet) At() storage.Series {
	series := s.result.Series[s.next-1]
	points := make([]promql.FPoint, 0, len(series.Values))
	for step, v := range series.Values {
		if series.Histograms == nil || series.Histograms[step] == nil {
			points = append(points, promql.FPoint{T: s.result.Grid.At(step), F: v})
		}
	}
	return promql.NewStorageSeries(promql.Series{Metric: series.Labels, Floats: points, Histograms: series.histogramPoints(s.result.Grid)})
}

func (s *resultSet) Err() error { return s.err }

func (s *resultSet) Warnings() annotations.Annotations {
	if s.result == nil {
		return nil
	}
	return s.result.Warnings
}
