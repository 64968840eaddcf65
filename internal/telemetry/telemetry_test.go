package telemetry

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// otlpSink keeps what it is sent, and logs about it as an ingest path might.
type otlpSink struct {
	t      *testing.T
	logger *Logger

	mu      sync.Mutex
	logs    []string
	metrics []string
	spans   []string
}

func (s *otlpSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	require.NoError(s.t, err)
	s.logger.InfoContext(r.Context(), "storing own telemetry")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.URL.Path {
	case "/v1/logs":
		req := plogotlp.NewExportRequest()
		require.NoError(s.t, req.UnmarshalProto(body))
		records := req.Logs().ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
		for i := range records.Len() {
			s.logs = append(s.logs, records.At(i).Body().AsString())
		}
	case "/v1/metrics":
		req := pmetricotlp.NewExportRequest()
		require.NoError(s.t, req.UnmarshalProto(body))
		scopes := req.Metrics().ResourceMetrics().At(0).ScopeMetrics()
		for i := range scopes.Len() {
			for j := range scopes.At(i).Metrics().Len() {
				s.metrics = append(s.metrics, scopes.At(i).Metrics().At(j).Name())
			}
		}
	case "/v1/traces":
		req := ptraceotlp.NewExportRequest()
		require.NoError(s.t, req.UnmarshalProto(body))
		s.spans = append(s.spans, req.Traces().ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Name())
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestOwnTelemetryArrivesAsOTLPAndDoesNotFeedItself(t *testing.T) {
	cfg := DefaultConfig()
	cfg.TraceRatio = 1
	logger := NewLogger(io.Discard, cfg)
	sink := &otlpSink{t: t, logger: logger}
	e, err := NewExporter(t.Context(), ExportOptions{
		Config: cfg, Logger: logger, Gatherer: NewRegistry("1.2.3", "abc"), OTLP: sink,
	})
	require.NoError(t, err)
	early := logger.With("component", "store")
	require.NoError(t, e.Start(t.Context()))
	early.Info("opened")
	logger.InfoContext(Mark(context.Background()), "about own telemetry")
	_, span := e.TracerProvider().Tracer("test").Start(t.Context(), "query")
	span.End()
	require.NoError(t, e.Shutdown(t.Context()))
	logger.Info("after shutdown")

	require.Equal(t, []string{"opened"}, sink.logs)
	require.Equal(t, []string{"query"}, sink.spans)
	require.Contains(t, sink.metrics, "belfry_build_info")
	require.Contains(t, sink.metrics, "process_cpu_seconds_total")
}

func TestConsoleKeepsLevelFormatAndAttributes(t *testing.T) {
	var out bytes.Buffer
	cfg := DefaultConfig()
	cfg.LogFormat = "json"
	logger := NewLogger(&out, cfg)
	logger.Debug("hidden")
	logger.SetLevel("debug")
	logger.WithGroup("g").With("a", 1).Debug("shown")
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), `"g":{"a":1}`)
}

func TestConfigValidate(t *testing.T) {
	c := DefaultConfig()
	require.NoError(t, c.Validate())
	c = Config{LogLevel: "loud", LogFormat: "xml", TraceRatio: 2}
	for _, part := range []string{"log_level: ", "log_format: ", "metric_interval: ", "trace_ratio: "} {
		require.ErrorContains(t, c.Validate(), part)
	}
}

func TestRegistryGathers(t *testing.T) {
	families, err := NewRegistry("1", "r").Gather()
	require.NoError(t, err)
	require.NotEmpty(t, families)
	var _ prometheus.Gatherer = NewRegistry("1", "r")
}
