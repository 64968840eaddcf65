package ruletest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"belfry/internal/tenant"
)

// input is something that happens at a time after the start.
type input struct {
	at  time.Duration
	put func(ctx context.Context, w *world, at time.Time) error
}

// inputs are all inputs of a test in the order of their times.
func (g *group) inputs(p parser.Parser) ([]input, error) {
	var out []input
	for _, s := range g.InputSeries {
		ls, values, err := p.ParseSeriesDesc(s.Series + " " + s.Values)
		if err != nil {
			return nil, fmt.Errorf("input_series %q: %w", s.Series, err)
		}
		for i, v := range values {
			if v.Omitted {
				continue
			}
			out = append(out, input{time.Duration(i) * time.Duration(g.Interval), func(ctx context.Context, w *world, at time.Time) error {
				return w.sample(ctx, ls, v, at)
			}})
		}
	}
	for _, in := range g.InputLogs {
		if _, ok := severities[strings.ToLower(in.Severity)]; !ok {
			return nil, fmt.Errorf("input_logs: severity %q is none of trace, debug, info, warn, error, fatal", in.Severity)
		}
		in.each(func(d time.Duration) {
			out = append(out, input{d, func(ctx context.Context, w *world, at time.Time) error { return in.put(ctx, w, at) }})
		})
	}
	for n, in := range g.InputTraces {
		if err := in.check(); err != nil {
			return nil, fmt.Errorf("input_traces[%d]: %w", n, err)
		}
		i := 0
		in.each(func(d time.Duration) {
			id := uint64(n)<<32 | uint64(i)
			i++
			// A span is known when it has ended.
			out = append(out, input{d + time.Duration(in.Duration), func(ctx context.Context, w *world, at time.Time) error { return in.put(ctx, w, id, at) }})
		})
	}
	slices.SortStableFunc(out, func(a, b input) int { return int(a.at - b.at) })
	return out, nil
}

// sample appends a sample; flush makes it seen.
func (w *world) sample(ctx context.Context, ls labels.Labels, v parser.SequenceValue, at time.Time) error {
	if w.app == nil {
		w.app = w.db.Appender(ctx)
	}
	var err error
	if v.Histogram != nil {
		_, err = w.app.AppendHistogram(0, ls, at.UnixMilli(), nil, v.Histogram.Copy())
	} else {
		_, err = w.app.Append(0, ls, at.UnixMilli(), v.Value)
	}
	if err != nil {
		return fmt.Errorf("input_series %s: %w", ls, errors.Join(err, w.app.Rollback()))
	}
	return nil
}

func (w *world) flush() error {
	if w.app == nil {
		return nil
	}
	app := w.app
	w.app = nil
	return app.Commit()
}

var severities = map[string]plog.SeverityNumber{
	"": plog.SeverityNumberUnspecified, "trace": plog.SeverityNumberTrace, "debug": plog.SeverityNumberDebug, "info": plog.SeverityNumberInfo,
	"warn": plog.SeverityNumberWarn, "warning": plog.SeverityNumberWarn, "error": plog.SeverityNumberError, "fatal": plog.SeverityNumberFatal,
}

func (in *logInput) put(ctx context.Context, w *world, at time.Time) error {
	l := plog.NewLogs()
	rl := l.ResourceLogs().AppendEmpty()
	resource(rl.Resource().Attributes(), in.Service, in.Resource)
	r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	r.SetTimestamp(pcommon.NewTimestampFromTime(at))
	r.SetObservedTimestamp(pcommon.NewTimestampFromTime(at))
	r.Body().SetStr(in.Line)
	if in.Severity != "" {
		r.SetSeverityText(strings.ToUpper(in.Severity))
		r.SetSeverityNumber(severities[strings.ToLower(in.Severity)])
	}
	attributes(r.Attributes(), in.Attributes)
	body, err := plogotlp.NewExportRequestFromLogs(l).MarshalProto()
	if err != nil {
		return err
	}
	res, err := w.logs.Append(ctx, tenant.Default, body)
	if err == nil && res.Rejected > 0 {
		err = fmt.Errorf("input_logs: %s", res.Reason)
	}
	return err
}

func resource(m pcommon.Map, service string, more map[string]string) {
	if service != "" {
		m.PutStr("service.name", service)
	}
	attributes(m, more)
}

func attributes(m pcommon.Map, from map[string]string) {
	for k, v := range from {
		m.PutStr(k, v)
	}
}

var spanKinds = map[string]ptrace.SpanKind{
	"": ptrace.SpanKindServer, "server": ptrace.SpanKindServer, "client": ptrace.SpanKindClient, "internal": ptrace.SpanKindInternal,
	"producer": ptrace.SpanKindProducer, "consumer": ptrace.SpanKindConsumer,
}

var spanStatuses = map[string]ptrace.StatusCode{
	"": ptrace.StatusCodeUnset, "unset": ptrace.StatusCodeUnset, "ok": ptrace.StatusCodeOk, "error": ptrace.StatusCodeError,
}

func (in *traceInput) check() error {
	if _, ok := spanKinds[in.Kind]; !ok {
		return fmt.Errorf("kind %q is none of server, client, internal, producer, consumer", in.Kind)
	}
	if _, ok := spanStatuses[in.Status]; !ok {
		return fmt.Errorf("status %q is none of unset, ok, error", in.Status)
	}
	return nil
}

func (in *traceInput) put(ctx context.Context, w *world, id uint64, end time.Time) error {
	t := ptrace.NewTraces()
	rs := t.ResourceSpans().AppendEmpty()
	resource(rs.Resource().Attributes(), in.Service, in.Resource)
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	var traceID pcommon.TraceID
	var spanID pcommon.SpanID
	binary.BigEndian.PutUint64(traceID[8:], id+1)
	binary.BigEndian.PutUint64(spanID[:], id+1)
	s.SetTraceID(traceID)
	s.SetSpanID(spanID)
	s.SetName(in.Name)
	s.SetKind(spanKinds[in.Kind])
	s.Status().SetCode(spanStatuses[in.Status])
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(end.Add(-time.Duration(in.Duration))))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
	attributes(s.Attributes(), in.Attributes)
	body, err := ptraceotlp.NewExportRequestFromTraces(t).MarshalProto()
	if err != nil {
		return err
	}
	res, err := w.traces.Append(ctx, tenant.Default, body)
	if err == nil && res.Rejected > 0 {
		err = fmt.Errorf("input_traces: %s", res.Reason)
	}
	return err
}
