package collector

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/internal/fault"
)

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// TestEveryComponent runs all of the bill of materials at once, sends something
// through each receiver, and sees it in a store.
func TestEveryComponent(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "app.log")
	require.NoError(t, os.WriteFile(file, []byte("from a file\n"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "storage"), 0o700))
	syslog, statsd, zipkin := freePort(t, "tcp"), freePort(t, "udp"), freePort(t, "tcp")
	user := parse(t, fmt.Sprintf(`
extensions:
	file_storage: {directory: %[1]s/storage}
receivers:
	filelog: {include: [%[1]s/app.log], start_at: beginning, storage: file_storage, poll_interval: 10ms}
	syslog: {tcp: {listen_address: %[2]s}, protocol: rfc5424}
	statsd: {endpoint: %[3]s, aggregation_interval: 50ms}
	zipkin: {endpoint: %[4]s}
	jaeger: {protocols: {grpc: {endpoint: %[5]s}, thrift_http: {endpoint: %[6]s}}}
	fluentforward: {endpoint: %[7]s}
	hostmetrics: {collection_interval: 50ms, initial_delay: 0s, scrapers: {cpu: , memory: , load: , disk: , filesystem: , network: , paging: , processes: }}
processors:
	batch: {timeout: 1ms}
	attributes: {actions: [{key: a, value: b, action: insert}]}
	resource: {attributes: [{key: a, value: b, action: insert}]}
	transform: {log_statements: ['set(log.attributes["c"], "d")']}
	filter: {error_mode: ignore, logs: {log_record: ['IsMatch(body, "unwanted")']}}
	probabilistic_sampler: {sampling_percentage: 100}
	tail_sampling: {decision_wait: 10ms, policies: [{name: all, type: always_sample}]}
connectors:
	spanmetrics: {metrics_flush_interval: 50ms}
exporters:
	debug:
	otlp/elsewhere: {endpoint: 127.0.0.1:1, tls: {insecure: true}}
	otlphttp/elsewhere: {endpoint: http://127.0.0.1:1}
service:
	extensions: [file_storage]
	pipelines:
		logs: {receivers: [otlp, filelog, syslog, fluentforward], processors: [memory_limiter, filter, attributes, resource, transform, batch]}
		traces: {receivers: [otlp, zipkin, jaeger], processors: [memory_limiter, probabilistic_sampler, tail_sampling], exporters: [belfry, spanmetrics, debug]}
		metrics: {receivers: [otlp, statsd, hostmetrics, spanmetrics]}
`, dir, syslog, statsd, zipkin, freePort(t, "tcp"), freePort(t, "tcp"), freePort(t, "tcp")))
	// Configured, but in no pipeline: they would retry in vain.
	w := start(t, user)

	conn, err := net.Dial("tcp", syslog)
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "<34>1 2026-01-02T03:04:05Z host app 1 ID - from syslog\n<34>1 2026-01-02T03:04:05Z host app 1 ID - unwanted\n")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	conn, err = net.Dial("udp", statsd)
	require.NoError(t, err)
	_, err = fmt.Fprint(conn, "from.statsd:1|c")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(mustRequest(t, "http://"+zipkin+"/api/v2/spans", zipkinSpans))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusAccepted, resp.StatusCode)

	has := func(s *store, part string) func() bool {
		return func() bool { return strings.Contains(strings.Join(s.names("default"), "\n"), part) }
	}
	for part, s := range map[string]*store{
		"from a file": w.logs, "from syslog": w.logs,
		"from.statsd": w.metrics, "system.memory.usage": w.metrics, "traces.span.metrics.calls": w.metrics,
		"get": w.traces, "query": w.traces,
	} {
		require.Eventually(t, has(s, part), 10*time.Second, 5*time.Millisecond, part)
	}
	require.False(t, has(w.logs, "unwanted")())

	// All of it can be replaced by itself: ports, file locks, metrics.
	require.NoError(t, w.Reload(t.Context(), changed(user)))
	appended, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = appended.WriteString("after the reload\n")
	require.NoError(t, err)
	require.NoError(t, appended.Close())
	require.Eventually(t, has(w.logs, "after the reload"), 10*time.Second, 5*time.Millisecond)
	require.Equal(t, 1, strings.Count(strings.Join(w.logs.names("default"), "\n"), "from a file"), "the position survives")
}

// TestReceiversOutliveTheReloadThatStartedThem: its context ends when it is done.
func TestReceiversOutliveTheReloadThatStartedThem(t *testing.T) {
	w := start(t, nil)
	statsd := freePort(t, "udp")
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, w.Reload(ctx, onFreePorts(parse(t, fmt.Sprintf(`
receivers: {statsd: {endpoint: %s, aggregation_interval: 10ms}}
service: {pipelines: {metrics: {receivers: [otlp, statsd]}}}
`, statsd)))))
	cancel()
	conn, err := net.Dial("udp", statsd)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = fmt.Fprint(conn, "after.reload:1|c")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(w.metrics.names("default")) > 0 }, 10*time.Second, 5*time.Millisecond)
}

// TestReloadOfTheSame leaves everything running: the door from inside too.
func TestReloadOfTheSame(t *testing.T) {
	w := start(t, nil)
	for range 2 {
		require.NoError(t, w.Reload(t.Context(), onFreePorts(nil)))
		require.False(t, w.door.Waits(), "callers from inside the process are let in")
		require.Equal(t, http.StatusOK, w.overMux()(t, "/v1/logs", protobufHeader, request(t, "logs", []string{"after"}, 0)).code)
	}
}

// TestFilesWaitForTheStore: lines that the store refuses for a while are read,
// not lost.
func TestFilesWaitForTheStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.log")
	require.NoError(t, os.WriteFile(file, []byte("kept in the end\n"), 0o600))
	w, set := newWorld(t, parse(t, fmt.Sprintf(`
receivers:
	filelog: {include: [%s], start_at: beginning, poll_interval: 10ms, retry_on_failure: {initial_interval: 1ms}}
service: {pipelines: {logs: {receivers: [filelog]}}}
`, file)))
	w.logs.fail(fault.Unavailablef(0, "no space left"))
	var err error
	w.Collector, err = New(t.Context(), set)
	require.NoError(t, err)
	require.NoError(t, w.Start(t.Context()))
	require.Eventually(t, func() bool { w.logs.mu.Lock(); defer w.logs.mu.Unlock(); return w.logs.calls > 2 }, 10*time.Second, time.Millisecond)
	w.logs.fail(nil)
	require.Eventually(t, func() bool { return len(w.logs.names("default")) == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, w.Shutdown(t.Context()))
}

func mustRequest(t *testing.T, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	return r
}
