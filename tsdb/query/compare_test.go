package query

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// pair is an engine of this package and Prometheus' with the same options.
type pair struct {
	fast  *Engine
	plain *promql.Engine
}

func pairOf(opts promql.EngineOpts) pair {
	return pair{newEngine(opts), promql.NewEngine(opts)}
}

// comparing is an engine that evaluates every query by both engines of each
// pair and fails where they differ. Its answers are those of the first pair.
type comparing struct {
	t                testing.TB
	pairs            []pair
	queries, columns atomic.Int64
}

func (c *comparing) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	return c.newQuery(qs, func(e promql.QueryEngine) (promql.Query, error) {
		return e.NewInstantQuery(ctx, q, opts, qs, ts)
	})
}

func (c *comparing) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	return c.newQuery(qs, func(e promql.QueryEngine) (promql.Query, error) {
		return e.NewRangeQuery(ctx, q, opts, qs, start, end, interval)
	})
}

func (c *comparing) newQuery(qs string, build func(promql.QueryEngine) (promql.Query, error)) (promql.Query, error) {
	first, err := build(c.pairs[0].fast)
	if err != nil {
		return nil, err
	}
	return &comparedQuery{Query: first, c: c, text: qs, build: build}, nil
}

type comparedQuery struct {
	promql.Query
	c     *comparing
	text  string
	build func(promql.QueryEngine) (promql.Query, error)
}

func (q *comparedQuery) Exec(ctx context.Context) *promql.Result {
	for i, p := range q.c.pairs {
		fast, err := q.build(p.fast)
		if err != nil {
			q.c.t.Errorf("%s: %v", q.text, err)
			continue
		}
		plain, err := q.build(p.plain)
		if err != nil {
			q.c.t.Errorf("%s: %v", q.text, err)
			continue
		}
		q.c.queries.Add(1)
		if _, ok := fast.(*query); ok {
			q.c.columns.Add(1)
		}
		want := plain.Exec(ctx)
		if diff := difference(q.text, want, fast.Exec(ctx)); diff != "" && q.settled(ctx, p.plain, want) {
			q.c.t.Errorf("pair %d: %s: %s", i, q.text, diff)
		}
		fast.Close()
		plain.Close()
	}
	return q.Query.Exec(ctx)
}

// settled reports whether Prometheus' engine repeats its result. It adds what an
// operation has yielded in the order of a map, and where nearly equal numbers
// are subtracted afterwards, that order shows.
func (q *comparedQuery) settled(ctx context.Context, plain promql.QueryEngine, want *promql.Result) bool {
	for range 20 {
		again, err := q.build(plain)
		if err != nil {
			return true
		}
		differs := difference(q.text, want, again.Exec(ctx)) != ""
		again.Close()
		if differs {
			return false
		}
	}
	return true
}

// difference says how two results differ, "" if they do not.
func difference(text string, want, got *promql.Result) string {
	if (want.Err == nil) != (got.Err == nil) || (want.Err != nil && want.Err.Error() != got.Err.Error()) {
		return fmt.Sprintf("error %v, want %v", got.Err, want.Err)
	}
	wantWarnings, wantInfos := want.Warnings.AsStrings(text, 0, 0)
	gotWarnings, gotInfos := got.Warnings.AsStrings(text, 0, 0)
	for _, l := range []*[]string{&wantWarnings, &wantInfos, &gotWarnings, &gotInfos} {
		slices.Sort(*l)
		// Whether a histogram whose sum is not a number has more observations than its
		// buckets may be a matter of rounding.
		*l = slices.DeleteFunc(*l, func(s string) bool { return strings.Contains(s, "has NaN observations") })
	}
	if !slices.Equal(wantWarnings, gotWarnings) {
		return fmt.Sprintf("warnings %q, want %q", gotWarnings, wantWarnings)
	}
	if !slices.Equal(wantInfos, gotInfos) {
		return fmt.Sprintf("infos %q, want %q", gotInfos, wantInfos)
	}
	if want.Err != nil {
		return ""
	}
	return valueDifference(want.Value, got.Value)
}

func valueDifference(want, got parser.Value) string {
	if want.Type() != got.Type() {
		return fmt.Sprintf("a %s, want a %s", got.Type(), want.Type())
	}
	switch want := want.(type) {
	case promql.Matrix:
		return matrixDifference(want, got.(promql.Matrix))
	case promql.Vector:
		return matrixDifference(asMatrix(want), asMatrix(got.(promql.Vector)))
	case promql.Scalar:
		if !same(want.V, got.(promql.Scalar).V) {
			return fmt.Sprintf("%v, want %v", got, want)
		}
	default:
		if want.String() != got.String() {
			return fmt.Sprintf("%v, want %v", got, want)
		}
	}
	return ""
}

func asMatrix(v promql.Vector) promql.Matrix {
	var m promql.Matrix
	for _, s := range v {
		series := promql.Series{Metric: s.Metric}
		if s.H != nil {
			series.Histograms = []promql.HPoint{{T: s.T, H: s.H}}
		} else {
			series.Floats = []promql.FPoint{{T: s.T, F: s.F}}
		}
		m = append(m, series)
	}
	return m
}

func matrixDifference(want, got promql.Matrix) string {
	for _, m := range []promql.Matrix{want, got} {
		slices.SortStableFunc(m, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	}
	if len(want) != len(got) {
		return fmt.Sprintf("%d series, want %d\ngot:\n%s\nwant:\n%s", len(got), len(want), got, want)
	}
	for i, w := range want {
		g := got[i]
		if !labels.Equal(w.Metric, g.Metric) {
			return fmt.Sprintf("series %s, want %s", g.Metric, w.Metric)
		}
		if len(w.Floats) != len(g.Floats) || len(w.Histograms) != len(g.Histograms) {
			return fmt.Sprintf("%s has %v, want %v", w.Metric, g, w)
		}
		for j := range w.Floats {
			if w.Floats[j].T != g.Floats[j].T || !same(w.Floats[j].F, g.Floats[j].F) {
				return fmt.Sprintf("%s at %d is %v at %d, want %v", w.Metric, w.Floats[j].T, g.Floats[j].F, g.Floats[j].T, w.Floats[j].F)
			}
		}
		for j := range w.Histograms {
			if w.Histograms[j].T != g.Histograms[j].T || !sameHistogram(w.Histograms[j].H, g.Histograms[j].H) {
				return fmt.Sprintf("%s has histogram %v, want %v", w.Metric, g.Histograms[j], w.Histograms[j])
			}
		}
	}
	return ""
}

// sameHistogram allows for another order of summation, which may also leave nothing
// of a bucket, or nearly nothing.
func sameHistogram(want, got *histogram.FloatHistogram) bool {
	if want.Schema != got.Schema || want.ZeroThreshold != got.ZeroThreshold || !slices.Equal(want.CustomValues, got.CustomValues) ||
		!same(want.Count, got.Count) || !same(want.Sum, got.Sum) {
		return false
	}
	if !want.UsesCustomBuckets() && !same(want.ZeroCount, got.ZeroCount) { // others have no such bucket
		return false
	}
	least := 0.0
	buckets := func(h *histogram.FloatHistogram) map[float64]float64 {
		m := map[float64]float64{}
		for it := h.AllBucketIterator(); it.Next(); {
			b := it.At()
			m[b.Upper] = b.Count
			least = math.Max(least, math.Abs(b.Count)*1e-12)
		}
		return m
	}
	a, b := buckets(want), buckets(got)
	for _, m := range []map[float64]float64{a, b} {
		for upper := range m {
			if !same(a[upper], b[upper]) && math.Abs(a[upper]-b[upper]) > least {
				return false
			}
		}
	}
	return true
}

// same allows for another order of summation.
func same(want, got float64) bool {
	if math.IsNaN(want) || math.IsNaN(got) {
		return math.IsNaN(want) && math.IsNaN(got)
	}
	return want == got || math.Abs(want-got) <= 1e-12*math.Max(math.Abs(want), math.Abs(got))
}
