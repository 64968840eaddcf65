package query

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/stats"

	"belfry/tsdb"
	"belfry/tsdb/query/cache"
)

// cachedQuery is a range query whose result may be there in part or as a whole.
type cachedQuery struct {
	cache     *cache.Cache
	changes   tsdb.ChangeTracker
	request   cache.Request
	text      string
	statement parser.Statement

	// compute makes a query for the steps from start to end.
	compute func(ctx context.Context, start, end int64) (promql.Query, error)

	stats  stats.Statistics
	cancel atomic.Pointer[context.CancelFunc]
}

// cached returns the query for a request whose result may be kept.
func (e *Engine) cached(r request) (*cachedQuery, bool) {
	changes, ok := r.queryable.(tsdb.ChangeTracker)
	if e.cache == nil || !ok || r.grid.Step <= 0 || r.grid.Steps() == 0 || (r.opts != nil && r.opts.EnablePerStepStats()) {
		return nil, false
	}
	expr, err := e.opts.Parser.ParseExpr(r.text)
	if err != nil {
		return nil, false
	}
	locality, ok := cache.LocalityOf(expr, e.lookback(r), noStepSubqueryInterval)
	if !ok {
		return nil, false
	}
	q := &cachedQuery{
		cache: e.cache, changes: changes, text: r.text,
		request: cache.Request{
			Query: r.text, Start: r.grid.Start, End: r.grid.At(r.grid.Steps() - 1), Step: r.grid.Step,
			Lookback: e.lookback(r), Locality: locality,
		},
		stats: stats.Statistics{Timers: stats.NewQueryTimers(), Samples: stats.NewQuerySamples(false)},
	}
	return q, true
}

// Exec implements promql.Query.
func (q *cachedQuery) Exec(ctx context.Context) *promql.Result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q.cancel.Store(&cancel)
	timer, ctx := q.stats.Timers.GetSpanTimer(ctx, stats.ExecTotalTime)
	defer timer.Finish()
	r := q.request
	r.Compute = q.part
	return q.cache.Do(ctx, q.changes, r)
}

// part computes the steps from start to end. Its points are copied, for the
// engines use theirs again.
func (q *cachedQuery) part(ctx context.Context, start, end int64) *promql.Result {
	inner, err := q.compute(ctx, start, end)
	if err != nil {
		return &promql.Result{Err: err}
	}
	defer inner.Close()
	res := inner.Exec(ctx)
	s, mine := inner.Stats().Samples, q.stats.Samples
	mine.TotalSamples += s.TotalSamples
	mine.SamplesRead += s.SamplesRead
	mine.UpdatePeak(s.PeakSamples)
	if mat, ok := res.Value.(promql.Matrix); ok {
		res.Value = copied(mat)
	}
	return res
}

func copied(m promql.Matrix) promql.Matrix {
	out := make(promql.Matrix, len(m))
	for i, s := range m {
		out[i] = promql.Series{Metric: s.Metric, Floats: slices.Clone(s.Floats)}
		for _, p := range s.Histograms {
			out[i].Histograms = append(out[i].Histograms, promql.HPoint{T: p.T, H: p.H.Copy()})
		}
	}
	return out
}

// Close implements promql.Query.
func (*cachedQuery) Close() {}

// Statement implements promql.Query.
func (q *cachedQuery) Statement() parser.Statement { return q.statement }

// Stats implements promql.Query.
func (q *cachedQuery) Stats() *stats.Statistics { return &q.stats }

// Cancel implements promql.Query.
func (q *cachedQuery) Cancel() {
	if cancel := q.cancel.Load(); cancel != nil {
		(*cancel)()
	}
}

// String implements promql.Query.
func (q *cachedQuery) String() string { return q.text }
