package ingest

import (
	"context"
	"log/slog"
	"runtime/debug"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"belfry/internal/fault"
)

// Exporter takes OTLP requests.
type Exporter interface {
	// Export hands one request to the signal's pipelines and returns the body of
	// the answer in the same encoding. The body is the caller's again on return.
	// Every error has a fault.Kind.
	Export(ctx context.Context, signal Signal, enc Encoding, body []byte) ([]byte, error)
}

// Consumers are the entries of the pipelines, nil for a signal without any.
type Consumers struct {
	Logs    consumer.Logs
	Traces  consumer.Traces
	Metrics consumer.Metrics
}

// Has reports whether the signal has a pipeline.
func (c *Consumers) Has(signal Signal) bool {
	switch signal {
	case Logs:
		return c.Logs != nil
	case Traces:
		return c.Traces != nil
	}
	return c.Metrics != nil
}

// Direct says for which signals a request may pass its pipeline as bytes, since
// nothing in between looks at the records.
type Direct [numSignals]bool

// Sink is an Exporter over the pipelines of one receiver.
type Sink struct {
	next   Consumers
	direct Direct
	report *receiverhelper.ObsReport
	logger *slog.Logger
	types  [numSignals]*message
}

// SinkOptions is what a sink needs.
type SinkOptions struct {
	Consumers Consumers
	Direct    Direct
	Report    *receiverhelper.ObsReport
	Logger    *slog.Logger
}

// NewSink returns a sink.
func NewSink(opts SinkOptions) *Sink {
	return &Sink{
		next: opts.Consumers, direct: opts.Direct, report: opts.Report, logger: opts.Logger,
		types: requestTypes(),
	}
}

// Export implements Exporter.
func (s *Sink) Export(ctx context.Context, signal Signal, enc Encoding, body []byte) (_ []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logger.ErrorContext(ctx, "panic while handling a request",
				"signal", signal.String(), "panic", p, "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, "internal error while handling %s", signal)
		}
	}()
	if !s.next.Has(signal) {
		return nil, fault.NotFoundf("no pipeline takes %s here", signal)
	}
	if enc == JSON {
		err = CheckJSONNesting(body)
	} else {
		err = s.types[signal].checkNesting(body, 0)
	}
	if err != nil {
		return nil, err
	}
	ctx, outcome := WithOutcome(ctx)
	switch signal {
	case Logs:
		err = s.logs(ctx, outcome, enc, body)
	case Traces:
		err = s.traces(ctx, outcome, enc, body)
	default:
		err = s.metrics(ctx, outcome, enc, body)
	}
	if err != nil {
		return nil, AsFault(err)
	}
	_, rejected, reason := outcome.Get()
	return response(signal, enc, rejected, reason)
}

func (s *Sink) logs(ctx context.Context, outcome *Outcome, enc Encoding, body []byte) error {
	if s.direct[Logs] && enc == Protobuf {
		if len(body) == 0 {
			return nil
		}
		ctx = s.report.StartLogsOp(withRequest(ctx, body))
		err := s.next.Logs.ConsumeLogs(ctx, plog.NewLogs())
		accepted, rejected, _ := outcome.Get()
		s.report.EndLogsOp(ctx, formatWire, accepted+rejected, err)
		return err
	}
	req := plogotlp.NewExportRequest()
	if err := unmarshal(req, enc, body); err != nil {
		return err
	}
	ld := req.Logs()
	n := ld.LogRecordCount()
	if n == 0 {
		return nil
	}
	ctx = s.report.StartLogsOp(ctx)
	err := s.next.Logs.ConsumeLogs(ctx, ld)
	s.report.EndLogsOp(ctx, formatPdata, n, err)
	return err
}

func (s *Sink) traces(ctx context.Context, outcome *Outcome, enc Encoding, body []byte) error {
	if s.direct[Traces] && enc == Protobuf {
		if len(body) == 0 {
			return nil
		}
		ctx = s.report.StartTracesOp(withRequest(ctx, body))
		err := s.next.Traces.ConsumeTraces(ctx, ptrace.NewTraces())
		accepted, rejected, _ := outcome.Get()
		s.report.EndTracesOp(ctx, formatWire, accepted+rejected, err)
		return err
	}
	req := ptraceotlp.NewExportRequest()
	if err := unmarshal(req, enc, body); err != nil {
		return err
	}
	td := req.Traces()
	n := td.SpanCount()
	if n == 0 {
		return nil
	}
	ctx = s.report.StartTracesOp(ctx)
	err := s.next.Traces.ConsumeTraces(ctx, td)
	s.report.EndTracesOp(ctx, formatPdata, n, err)
	return err
}

func (s *Sink) metrics(ctx context.Context, outcome *Outcome, enc Encoding, body []byte) error {
	if s.direct[Metrics] && enc == Protobuf {
		if len(body) == 0 {
			return nil
		}
		ctx = s.report.StartMetricsOp(withRequest(ctx, body))
		err := s.next.Metrics.ConsumeMetrics(ctx, pmetric.NewMetrics())
		accepted, rejected, _ := outcome.Get()
		s.report.EndMetricsOp(ctx, formatWire, accepted+rejected, err)
		return err
	}
	req := pmetricotlp.NewExportRequest()
	if err := unmarshal(req, enc, body); err != nil {
		return err
	}
	md := req.Metrics()
	n := md.DataPointCount()
	if n == 0 {
		return nil
	}
	ctx = s.report.StartMetricsOp(ctx)
	err := s.next.Metrics.ConsumeMetrics(ctx, md)
	s.report.EndMetricsOp(ctx, formatPdata, n, err)
	return err
}

// The formats by which the receiver's own metrics tell the two lanes apart.
const (
	formatWire  = "otlp_wire"
	formatPdata = "otlp"
)
