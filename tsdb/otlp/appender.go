package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/internal/fault"
	"belfry/internal/otlpwire"
	"belfry/internal/tenant"
	"belfry/tsdb"
)

// Options configure an Appender.
type Options struct {
	Appendable tsdb.Appendable
	Config     tsdb.OTLPConfig

	// LookbackDelta is the query engine's, by which target_info is repeated
	// within a request that spans a long time; zero is five minutes.
	LookbackDelta time.Duration

	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

// Appender implements tsdb.MetricsAppender. It is safe for concurrent use.
type Appender struct {
	store    tsdb.Appendable
	rules    rules
	families *families
	requests sync.Pool // of *request
	deltas   *deltas
	warnings *prometheus.CounterVec
}

var _ tsdb.MetricsAppender = (*Appender)(nil)

// New returns an Appender. Shutdown ends it.
func New(o Options) *Appender {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Appender{
		store: o.Appendable,
		rules: newRules(o.Config, o.LookbackDelta),
		warnings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_otlp_translation_warnings_total",
			Help: "Warnings of the translation of OTLP metrics to series, by category. Label names that collide are counted when a series is first seen.",
		}, []string{"category"}),
	}
	a.families = newFamilies(&a.rules)
	a.requests.New = func() any { return newRequest(a) }
	a.deltas = newDeltas(o.Config.Delta, a.appendCumulative)
	if o.Registerer != nil {
		o.Registerer.MustRegister(a.warnings)
	}
	return a
}

// Shutdown forgets the state of delta streams.
func (a *Appender) Shutdown(ctx context.Context) error { return a.deltas.shutdown(ctx) }

// Append implements tsdb.MetricsAppender.
func (a *Appender) Append(ctx context.Context, id string, message []byte) (tsdb.AppendResult, error) {
	ctx = tenant.WithID(ctx, id)
	delta, err := hasDelta(message)
	if err != nil {
		return tsdb.AppendResult{}, malformed(err)
	}
	var rejected tsdb.Tally
	var points int
	if delta {
		points, err = a.deltas.append(ctx, id, message, &rejected)
	} else {
		points, err = a.appendCumulative(ctx, message, &rejected)
	}
	if err != nil {
		return tsdb.AppendResult{}, err
	}
	bad := min(rejected.Total(), points)
	return tsdb.AppendResult{Accepted: points - bad, Rejected: bad, Reason: rejected.String()}, nil
}

// appendCumulative appends a request in one transaction and returns how many data
// points it has.
func (a *Appender) appendCumulative(ctx context.Context, message []byte, rejected *tsdb.Tally) (int, error) {
	r, ok := a.requests.Get().(*request)
	if !ok {
		return 0, fault.New(fault.Internal, "the pool of OTLP requests holds something else")
	}
	defer a.requests.Put(r)
	defer r.end()
	r.begin(ctx, a.store.AppenderV2(ctx), rejected)
	if err := r.append(message); err != nil {
		if rbErr := r.app.Rollback(); rbErr != nil {
			return 0, fault.New(fault.Internal, "%w (and the rollback failed: %w)", err, rbErr)
		}
		return 0, malformed(err)
	}
	if err := r.app.Commit(); err != nil {
		return 0, fmt.Errorf("append OTLP metrics: %w", err)
	}
	return r.points, nil
}

// malformed gives an error of the wire format its kind, and leaves others alone.
func malformed(err error) error {
	if errors.Is(err, otlpwire.ErrMalformed) || errors.Is(err, otlpwire.ErrTooDeep) {
		return fault.Invalidf("OTLP metrics: %w", err)
	}
	return err
}
