package collector

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"belfry/internal/fault"
	"belfry/logs"
	"belfry/traces"
	"belfry/tsdb"
)

// store keeps the names of records in memory, by tenant. A record with the
// attribute "bad" is rejected. While err is set every append fails with it;
// while hold is set, appends wait until it is closed.
type store struct {
	mu    sync.Mutex
	kept  map[string][]string // tenant -> bodies, span names, metric names
	calls int
	err   error
	hold  chan struct{}
}

func newStore() *store { return &store{kept: map[string][]string{}} }

func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *store) names(tenant string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.kept[tenant]...)
}

// begin waits where appends are held, and returns the error that is set.
func (s *store) begin(ctx context.Context) error {
	s.mu.Lock()
	s.calls++
	hold, err := s.hold, s.err
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

type tally struct{ accepted, rejected int }

func (s *store) add(tenant, name string, attributes pcommon.Map, t *tally) {
	if _, bad := attributes.Get("bad"); bad {
		t.rejected++
		return
	}
	t.accepted++
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[tenant] = append(s.kept[tenant], name)
}

func reasonOf(t tally) string {
	if t.rejected == 0 {
		return ""
	}
	return "marked as bad"
}

type logStore struct{ *store }

func (s logStore) Append(ctx context.Context, tenant string, request []byte) (logs.AppendResult, error) {
	if err := s.begin(ctx); err != nil {
		return logs.AppendResult{}, err
	}
	req := plogotlp.NewExportRequest()
	if err := req.UnmarshalProto(request); err != nil {
		return logs.AppendResult{}, fault.Invalidf("malformed protobuf: %w", err)
	}
	var t tally
	for _, rl := range req.Logs().ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				s.add(tenant, r.Body().AsString(), r.Attributes(), &t)
			}
		}
	}
	return logs.AppendResult{Accepted: t.accepted, Rejected: t.rejected, Reason: reasonOf(t)}, nil
}

type traceStore struct{ *store }

func (s traceStore) Append(ctx context.Context, tenant string, request []byte) (traces.AppendResult, error) {
	if err := s.begin(ctx); err != nil {
		return traces.AppendResult{}, err
	}
	req := ptraceotlp.NewExportRequest()
	if err := req.UnmarshalProto(request); err != nil {
		return traces.AppendResult{}, fault.Invalidf("malformed protobuf: %w", err)
	}
	var t tally
	for _, rs := range req.Traces().ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				s.add(tenant, span.Name(), span.Attributes(), &t)
			}
		}
	}
	return traces.AppendResult{Accepted: t.accepted, Rejected: t.rejected, Reason: reasonOf(t)}, nil
}

type metricStore struct{ *store }

func (s metricStore) Append(ctx context.Context, tenant string, request []byte) (tsdb.AppendResult, error) {
	if err := s.begin(ctx); err != nil {
		return tsdb.AppendResult{}, err
	}
	req := pmetricotlp.NewExportRequest()
	if err := req.UnmarshalProto(request); err != nil {
		return tsdb.AppendResult{}, fault.Invalidf("malformed protobuf: %w", err)
	}
	var t tally
	for _, rm := range req.Metrics().ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				var points pmetric.NumberDataPointSlice
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					points = m.Gauge().DataPoints()
				case pmetric.MetricTypeSum:
					points = m.Sum().DataPoints()
				default:
					continue
				}
				for _, p := range points.All() {
					s.add(tenant, m.Name(), p.Attributes(), &t)
				}
			}
		}
	}
	return tsdb.AppendResult{Accepted: t.accepted, Rejected: t.rejected, Reason: reasonOf(t)}, nil
}

// world is a running collector with its stores.
type world struct {
	*Collector
	t       *testing.T
	logs    *store
	traces  *store
	metrics *store
	seen    *logSpy
	grpc    string // address
	http    string
}

// settings returns settings over fresh stores on free ports.
func newWorld(t *testing.T, user map[string]any) (*world, Settings) {
	w := &world{t: t, logs: newStore(), traces: newStore(), metrics: newStore(), seen: newLogSpy()}
	return w, Settings{
		Config:  onFreePorts(user),
		Logs:    logStore{w.logs},
		Traces:  traceStore{w.traces},
		Metrics: metricStore{w.metrics},
		Version: "test",
		Logger:  slog.New(w.seen),
	}
}

func start(t *testing.T, user map[string]any, change ...func(*Settings)) *world {
	t.Helper()
	w, set := newWorld(t, user)
	for _, c := range change {
		c(&set)
	}
	var err error
	w.Collector, err = New(t.Context(), set)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Shutdown(context.WithoutCancel(t.Context()))) })
	require.NoError(t, w.Start(t.Context()))
	w.grpc, w.http = w.seen.address("grpc"), w.seen.address("http")
	return w
}

// onFreePorts returns the configuration with free ports for otlp.
func onFreePorts(user map[string]any) map[string]any {
	out := map[string]any{"receivers": map[string]any{}}
	maps.Copy(out, user)
	receivers := map[string]any{"otlp": map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": "127.0.0.1:0"},
		"http": map[string]any{"endpoint": "127.0.0.1:0"},
	}}}
	maps.Copy(receivers, out["receivers"].(map[string]any))
	out["receivers"] = receivers
	return out
}

// changed returns the configuration with a difference that changes nothing that
// a test looks at.
func changed(user map[string]any) map[string]any {
	out := onFreePorts(user)
	processors := map[string]any{"batch/unused": map[string]any{"timeout": "3s"}}
	if had, ok := out["processors"].(map[string]any); ok {
		maps.Copy(processors, had)
	}
	out["processors"] = processors
	return out
}

// logSpy remembers what was logged.
type logSpy struct {
	mu      sync.Mutex
	records []slog.Record
}

func newLogSpy() *logSpy { return new(logSpy) }

func (s *logSpy) Enabled(context.Context, slog.Level) bool { return true }
func (s *logSpy) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s *logSpy) WithGroup(string) slog.Handler            { return s }

func (s *logSpy) Handle(_ context.Context, r slog.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, r.Clone())
	return nil
}

// find returns the attributes of the latest record with a message.
func (s *logSpy) find(message string, match map[string]string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.records) - 1; i >= 0; i-- {
		if s.records[i].Message != message {
			continue
		}
		found := map[string]string{}
		s.records[i].Attrs(func(a slog.Attr) bool { found[a.Key] = a.Value.String(); return true })
		ok := true
		for key, value := range match {
			ok = ok && found[key] == value
		}
		if ok {
			return found
		}
	}
	return nil
}

func (s *logSpy) address(protocol string) string {
	return s.find("otlp listening", map[string]string{"protocol": protocol})["address"]
}
