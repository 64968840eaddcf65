package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/tsdb"
)

// Options configure an Appender.
type Options struct {
	Appendable tsdb.Appendable
	Config     tsdb.OTLPConfig

	// LookbackDelta is the query engine's, by which target_info is repeated
	// within a request that spans a long time.
	LookbackDelta time.Duration

	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

// Appender implements tsdb.MetricsAppender. It is safe for concurrent use.
type Appender struct {
	store    tsdb.Appendable
	cfg      tsdb.OTLPConfig
	lookback time.Duration
	promoted promotion
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
		store:    o.Appendable,
		cfg:      o.Config,
		lookback: o.LookbackDelta,
		promoted: newPromotion(o.Config.PromoteResourceAttributes),
		warnings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_otlp_translation_warnings_total",
			Help: "Warnings of the translation of OTLP metrics to series, by category.",
		}, []string{"category"}),
	}
	a.deltas = newDeltas(o.Config.Delta, a.appendCumulative)
	if o.Registerer != nil {
		o.Registerer.MustRegister(a.warnings)
	}
	return a
}

// Shutdown forgets the state of delta streams.
func (a *Appender) Shutdown(ctx context.Context) error { return a.deltas.shutdown(ctx) }

// AppendMetrics implements tsdb.MetricsAppender.
func (a *Appender) AppendMetrics(ctx context.Context, id string, md pmetric.Metrics) (tsdb.AppendResult, error) {
	total := md.DataPointCount()
	if total == 0 {
		return tsdb.AppendResult{}, nil
	}
	ctx = tenant.WithID(ctx, id)
	var rejected tsdb.Tally
	var err error
	if hasDelta(md) {
		err = a.deltas.append(ctx, id, md, &rejected)
	} else {
		err = a.appendCumulative(ctx, md, &rejected)
	}
	if err != nil {
		return tsdb.AppendResult{}, err
	}
	bad := min(rejected.Total(), total)
	return tsdb.AppendResult{Accepted: total - bad, Rejected: bad, Reason: rejected.String()}, nil
}

// appendCumulative translates and appends in one transaction.
func (a *Appender) appendCumulative(ctx context.Context, md pmetric.Metrics, rejected *tsdb.Tally) error {
	points := &pointAppender{AppenderV2: a.store.AppenderV2(ctx), rejected: rejected}
	warnings, err := prometheusremotewrite.NewPrometheusConverter(points).FromMetrics(ctx, md, a.settings(md))
	for category, n := range prometheusremotewrite.CountWarningsByCategory(warnings) {
		a.warnings.WithLabelValues(string(category)).Add(float64(n))
	}
	if failed := errors.Join(points.failed, ctx.Err()); failed != nil {
		if rbErr := points.Rollback(); rbErr != nil {
			return fault.New(fault.Internal, "%w (and the rollback failed: %w)", failed, rbErr)
		}
		if points.failed != nil {
			return points.failed
		}
		return ctx.Err()
	}
	if lost := md.DataPointCount() - points.seen; lost > 0 {
		if err == nil {
			err = errors.New("metric without a type")
		}
		rejected.Add(tsdb.Untranslatable, lost, shortened(err))
	}
	if err := points.Commit(); err != nil {
		return fmt.Errorf("append OTLP metrics: %w", err)
	}
	return nil
}

func (a *Appender) settings(md pmetric.Metrics) prometheusremotewrite.Settings {
	s := a.cfg.TranslationStrategy
	return prometheusremotewrite.Settings{
		AddMetricSuffixes:                 s == tsdb.UnderscoreEscapingWithSuffixes || s == tsdb.NoUTF8EscapingWithSuffixes,
		AllowUTF8:                         s == tsdb.NoUTF8EscapingWithSuffixes || s == tsdb.NoTranslation,
		PromoteResourceAttributes:         a.promoted.of(md),
		KeepIdentifyingResourceAttributes: a.cfg.KeepIdentifyingResourceAttributes,
		ConvertHistogramsToNHCB:           a.cfg.ConvertHistogramsToNHCB,
		PromoteScopeMetadata:              a.cfg.PromoteScopeMetadata,
		LookbackDelta:                     a.lookback,
		LabelNameUnderscoreSanitization:   true,
	}
}

// shortened keeps the first of what can be thousands of joined errors.
func shortened(err error) error {
	const most = 300
	if s := err.Error(); len(s) > most {
		return errors.New(s[:most] + "...")
	}
	return err
}
