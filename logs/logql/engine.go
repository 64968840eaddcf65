package logql

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"belfry/internal/fault"
	"belfry/logs"
	"belfry/logs/logql/syntax"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// Limits bound one query. Zero values take the defaults of DefaultLimits;
// negative ones mean no bound.
type Limits struct {
	MaxSeries       int   // series of a result
	MaxEntries      int   // entries of a result; asking for more is an error
	MaxSteps        int   // points of a series
	MaxInnerSeries  int   // series that a range aggregation holds
	MaxPoints       int   // series times steps, and buckets, that an evaluation holds
	MaxBytesScanned int64 // decoded bytes of all scans of a query
}

// DefaultLimits returns Loki's limits where it has them.
func DefaultLimits() Limits {
	return Limits{
		MaxSeries: 500, MaxEntries: 5000, MaxSteps: 11000, MaxInnerSeries: 100_000, MaxPoints: 20_000_000,
		MaxBytesScanned: -1,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	set := func(v *int, d int) {
		switch {
		case *v == 0:
			*v = d
		case *v < 0:
			*v = math.MaxInt
		}
	}
	set(&l.MaxSeries, d.MaxSeries)
	set(&l.MaxEntries, d.MaxEntries)
	set(&l.MaxSteps, d.MaxSteps)
	set(&l.MaxInnerSeries, d.MaxInnerSeries)
	set(&l.MaxPoints, d.MaxPoints)
	return l
}

// Options configure an Engine. Querier is required.
type Options struct {
	Querier logs.Querier
	Limits  Limits
}

// Engine evaluates queries. It is safe for concurrent use.
type Engine struct {
	querier logs.Querier
	limits  Limits
}

// NewEngine returns an Engine.
func NewEngine(o Options) *Engine {
	return &Engine{querier: o.Querier, limits: o.Limits.withDefaults()}
}

// Params say what to evaluate and when.
type Params struct {
	Tenant    string
	Query     string
	Start     time.Time // of a log query inclusive
	End       time.Time // of a log query exclusive
	Step      time.Duration
	Interval  time.Duration // of log queries: at most one entry of a stream in so long; 0: all
	Direction logs.Direction
	Limit     int // entries of a log query
}

// Entry is one entry of a log query's result.
type Entry struct {
	Time     int64
	Line     string
	Stream   []logs.Label // labels of the stream that are left
	Metadata []logs.Label // structured metadata that is left
	Parsed   []logs.Label // what stages set
}

// Result is what a query evaluates to: exactly one of Entries (of log queries),
// Matrix, Vector and Scalar.
type Result struct {
	Kind    ResultKind
	Entries []Entry // in the direction's order
	Matrix  promql.Matrix
	Vector  promql.Vector
	Scalar  promql.Scalar
	Stats   logs.Stats
}

// ResultKind is the type of a Result.
type ResultKind string

// The kinds, as the API names them.
const (
	KindStreams ResultKind = "streams"
	KindMatrix  ResultKind = "matrix"
	KindVector  ResultKind = "vector"
	KindScalar  ResultKind = "scalar"
)

// Range evaluates a query over [Start, End], metric queries at Start, Start+Step
// and so on. Errors are *syntax.ParseError, or carry a fault.
func (e *Engine) Range(ctx context.Context, p Params) (*Result, error) {
	expr, err := syntax.Parse(p.Query)
	if err != nil {
		return nil, err
	}
	switch expr := expr.(type) {
	case *syntax.LogExpr:
		return e.logQuery(ctx, expr, p)
	case syntax.SampleExpr:
		steps, err := e.steps(p)
		if err != nil {
			return nil, err
		}
		ev := e.evaluation(p.Tenant, steps)
		m, err := ev.eval(ctx, expr, hint{})
		if err != nil {
			return nil, err
		}
		if err := e.checkSeries(len(m)); err != nil {
			return nil, err
		}
		return &Result{Kind: KindMatrix, Matrix: ev.matrix(m), Stats: ev.stats}, nil
	}
	return nil, fmt.Errorf("unknown expression %T", expr)
}

// Instant evaluates a metric query at a time.
func (e *Engine) Instant(ctx context.Context, tenant, query string, at time.Time) (*Result, error) {
	expr, err := syntax.Parse(query)
	if err != nil {
		return nil, err
	}
	sample, ok := expr.(syntax.SampleExpr)
	if !ok {
		return nil, fault.Invalidf("log queries are not supported as an instant query type, please change your query to a range query type")
	}
	if lit, ok := sample.(*syntax.Literal); ok {
		return &Result{Kind: KindScalar, Scalar: promql.Scalar{T: at.UnixMilli(), V: lit.Value}}, nil
	}
	ev := e.evaluation(tenant, steps{start: at.UnixNano(), n: 1})
	m, err := ev.eval(ctx, sample, hint{})
	if err != nil {
		return nil, err
	}
	if err := e.checkSeries(len(m)); err != nil {
		return nil, err
	}
	return &Result{Kind: KindVector, Vector: ev.vector(m, keepsOrder(sample)), Stats: ev.stats}, nil
}

// Vector evaluates a metric query at a time, for rules: a number is one sample
// without labels.
func (e *Engine) Vector(ctx context.Context, tenant, query string, at time.Time) (promql.Vector, error) {
	r, err := e.Instant(ctx, tenant, query, at)
	switch {
	case err != nil:
		var pe *syntax.ParseError
		if errors.As(err, &pe) {
			return nil, &fault.Error{Kind: fault.Invalid, Err: err}
		}
		return nil, err
	case r.Kind == KindScalar:
		return promql.Vector{{T: r.Scalar.T, F: r.Scalar.V, Metric: labels.EmptyLabels()}}, nil
	case r.Stats.Cut != "":
		return nil, fault.New(fault.Unprocessable, "the query was cut short by its bound on %s", r.Stats.Cut)
	}
	return r.Vector, nil
}

func (e *Engine) checkSeries(n int) error {
	if n > e.limits.MaxSeries {
		return fault.Invalidf("maximum of series (%d) reached for a single query", e.limits.MaxSeries)
	}
	return nil
}

func (e *Engine) steps(p Params) (steps, error) {
	if p.Step <= 0 {
		return steps{}, fault.Invalidf("zero or negative query resolution step widths are not accepted. Try a positive integer")
	}
	if p.End.Before(p.Start) {
		return steps{}, fault.Invalidf("end timestamp must not be before or equal to start time")
	}
	n := p.End.Sub(p.Start)/p.Step + 1
	if n > time.Duration(e.limits.MaxSteps) {
		return steps{}, fault.Invalidf("exceeded maximum resolution of %d points per time series. Try increasing the value of the step parameter", e.limits.MaxSteps)
	}
	return steps{start: p.Start.UnixNano(), step: int64(p.Step), n: int(n)}, nil
}

// steps are the times that a metric query is evaluated at.
type steps struct {
	start, step int64 // nanoseconds; step is 0 if n is 1
	n           int
}

func (s steps) at(i int) int64 { return s.start + int64(i)*s.step }

func (s steps) end() int64 { return s.at(s.n - 1) }
