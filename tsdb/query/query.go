package query

import (
	"context"
	"errors"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"

	"belfry/tsdb/query/fragment"
)

// query is one whose fragments are evaluated in columns.
type query struct {
	engine    *Engine
	request   request
	path      string
	statement parser.Statement

	fast    promql.Query // of the fragments and the rest
	general promql.Query // the fall-back
	ran     promql.Query // the one whose result counts; nil before Exec

	// root is the result of a query that is one fragment as a whole.
	root     parser.Value
	warnings annotations.Annotations
}

// Exec implements promql.Query.
func (q *query) Exec(ctx context.Context) *promql.Result {
	q.ran = q.fast
	res := q.fast.Exec(ctx)
	switch {
	case errors.Is(res.Err, fragment.ErrFallback):
		q.engine.metrics.count(pathGeneral, "data")
		q.ran = q.general
		return q.general.Exec(ctx)
	case res.Err != nil:
		q.engine.metrics.count(q.path, "")
		res.Err = plain(res.Err)
		return res
	}
	q.engine.metrics.count(q.path, "")
	if q.root != nil {
		res.Value, res.Warnings = q.root, q.warnings
	}
	return res
}

// plain takes Prometheus' own errors, which callers compare by type, out of
// what the engine wraps the errors of a store in.
func plain(err error) error {
	var (
		samples  promql.ErrTooManySamples
		timeout  promql.ErrQueryTimeout
		canceled promql.ErrQueryCanceled
	)
	switch {
	case errors.As(err, &samples):
		return samples
	case errors.As(err, &timeout):
		return timeout
	case errors.As(err, &canceled):
		return canceled
	case errors.Is(err, context.DeadlineExceeded):
		return promql.ErrQueryTimeout("expression evaluation")
	case errors.Is(err, context.Canceled):
		return promql.ErrQueryCanceled("expression evaluation")
	}
	return err
}

// evaluateRoot computes a query that is one fragment.
func (q *query) evaluateRoot(ctx context.Context, f *fragment.Fragment, store tsdbQueryable, l fragment.Limits) error {
	res, err := f.Evaluate(ctx, store, l)
	if err != nil {
		return err
	}
	q.account(res)
	q.warnings = res.Warnings
	if q.request.isRange {
		q.root = res.Matrix()
	} else {
		q.root = res.Vector()
	}
	return nil
}

// account adds a fragment to the query's statistics.
func (q *query) account(r *fragment.Result) {
	if q.fast == nil {
		return
	}
	s := q.fast.Stats().Samples
	s.TotalSamples += r.Samples
	s.SamplesRead += r.Read
	s.UpdatePeak(int(r.Peak))
}

// Close implements promql.Query.
func (q *query) Close() {
	q.fast.Close()
	q.general.Close()
}

// Statement implements promql.Query.
func (q *query) Statement() parser.Statement { return q.statement }

// Stats implements promql.Query.
func (q *query) Stats() *stats.Statistics {
	if q.ran != nil {
		return q.ran.Stats()
	}
	return q.general.Stats()
}

// Cancel implements promql.Query.
func (q *query) Cancel() {
	q.fast.Cancel()
	q.general.Cancel()
}

// String implements promql.Query.
func (q *query) String() string { return q.request.text }
