package storeexporter

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"belfry/collector/internal/ingest"
	"belfry/internal/fault"
	"belfry/logs"
	"belfry/traces"
	"belfry/tsdb"
)

// Options is what code supplies to the exporter.
type Options struct {
	Logs    logs.Appender
	Traces  traces.Appender
	Metrics tsdb.MetricsAppender
	Logger  *slog.Logger
	Counts  *Counts
}

// Config is empty: the stores are configured in their own sections.
type Config struct{}

// NewFactory returns the factory of the belfry exporter.
func NewFactory(opts Options) exporter.Factory {
	e := &storeExporter{opts: opts}
	return exporter.NewFactory(
		component.MustNewType("belfry"),
		func() component.Config { return &Config{} },
		exporter.WithTraces(func(context.Context, exporter.Settings, component.Config) (exporter.Traces, error) { return e, nil }, component.StabilityLevelStable),
		exporter.WithMetrics(func(context.Context, exporter.Settings, component.Config) (exporter.Metrics, error) { return e, nil }, component.StabilityLevelStable),
		exporter.WithLogs(func(context.Context, exporter.Settings, component.Config) (exporter.Logs, error) { return e, nil }, component.StabilityLevelStable),
	)
}

type storeExporter struct {
	component.StartFunc
	component.ShutdownFunc

	opts Options
}

// Capabilities implements consumer.Logs and its siblings.
func (*storeExporter) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeLogs implements consumer.Logs.
func (e *storeExporter) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	request := ingest.RequestOf(ctx)
	if request == nil {
		if ld.LogRecordCount() == 0 {
			return nil
		}
		var err error
		if request, err = plogotlp.NewExportRequestFromLogs(ld).MarshalProto(); err != nil {
			return consumererror.NewPermanent(err)
		}
	}
	return e.append(ctx, ingest.Logs, func(tenant string) (result, error) {
		r, err := e.opts.Logs.Append(ctx, tenant, request)
		return result(r), err
	})
}

// ConsumeTraces implements consumer.Traces.
func (e *storeExporter) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	request := ingest.RequestOf(ctx)
	if request == nil {
		if td.SpanCount() == 0 {
			return nil
		}
		var err error
		if request, err = ptraceotlp.NewExportRequestFromTraces(td).MarshalProto(); err != nil {
			return consumererror.NewPermanent(err)
		}
	}
	return e.append(ctx, ingest.Traces, func(tenant string) (result, error) {
		r, err := e.opts.Traces.Append(ctx, tenant, request)
		return result(r), err
	})
}

// ConsumeMetrics implements consumer.Metrics.
func (e *storeExporter) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	request := ingest.RequestOf(ctx)
	if request == nil {
		if md.DataPointCount() == 0 {
			return nil
		}
		var err error
		if request, err = pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto(); err != nil {
			return consumererror.NewPermanent(err)
		}
	}
	return e.append(ctx, ingest.Metrics, func(tenant string) (result, error) {
		r, err := e.opts.Metrics.Append(ctx, tenant, request)
		return result(r), err
	})
}

// result is what the three contracts return, which are alike.
type result struct {
	Accepted int
	Rejected int
	Reason   string
}

func (e *storeExporter) append(ctx context.Context, signal ingest.Signal, do func(tenant string) (result, error)) error {
	tenant, err := ingest.TenantOf(ctx)
	if err != nil {
		return consumererror.NewPermanent(err)
	}
	r, err := do(tenant)
	if err != nil {
		e.opts.Counts.failed(signal, err)
		if fault.Retryable(err) {
			return err
		}
		return consumererror.NewPermanent(err)
	}
	e.opts.Counts.appended(signal, r)
	if outcome := ingest.OutcomeOf(ctx); outcome != nil {
		outcome.Add(r.Accepted, r.Rejected, r.Reason)
	} else if r.Rejected > 0 {
		e.opts.Logger.WarnContext(ctx, "records rejected by the store",
			"signal", signal.String(), "tenant", tenant, "rejected", r.Rejected, "accepted", r.Accepted, "reason", r.Reason)
	}
	return nil
}
