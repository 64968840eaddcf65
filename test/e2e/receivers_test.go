package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// receiversConfig continues the collector section: %s are the addresses, and
// the file that file_log reads.
const receiversConfig = `    file_log: {include: ["%[1]s"], start_at: beginning, poll_interval: 20ms}
    syslog: {tcp: {listen_address: "%[2]s"}, protocol: rfc5424}
    zipkin: {endpoint: "%[3]s"}
    jaeger: {protocols: {grpc: {endpoint: "%[4]s"}}}
    statsd: {endpoint: "%[5]s", aggregation_interval: 100ms}
    fluent_forward: {endpoint: "%[6]s"}
    host_metrics: {collection_interval: 200ms, initial_delay: 0s, scrapers: {memory: , load: }}
  processors:
    batch: {timeout: 20ms}
    attributes: {actions: [{key: marked, value: by-attributes, action: insert}]}
    resource: {attributes: [{key: deployment.environment.name, value: e2e, action: insert}]}
    transform: {log_statements: ['set(log.attributes["transformed"], Concat([log.body, "again"], " "))']}
    filter: {error_mode: ignore, logs: {log_record: ['IsMatch(log.body, "unwanted")']}}
    probabilistic_sampler: {sampling_percentage: 50}
    tail_sampling: {decision_wait: 100ms, policies: [{name: failed, type: status_code, status_code: {status_codes: [ERROR]}}]}
  connectors:
    span_metrics: {metrics_flush_interval: 100ms}
  service:
    pipelines:
      logs/files: {receivers: [file_log, syslog, fluent_forward], processors: [filter, attributes, resource, transform, batch]}
      traces/zipkin: {receivers: [zipkin], processors: [tail_sampling]}
      traces/jaeger: {receivers: [jaeger], processors: [probabilistic_sampler], exporters: [belfry, span_metrics]}
      metrics/more: {receivers: [statsd, host_metrics, span_metrics], processors: [resource, batch]}
`

// dialAndWrite sends bytes to an address and hangs up.
func dialAndWrite(t *testing.T, network, addr string, message []byte) {
	t.Helper()
	conn, err := net.Dial(network, addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write(message)
	require.NoError(t, err)
}

// fluentMessage is a MessagePack array [tag, seconds, {"log": text}], Fluent's
// message mode.
func fluentMessage(tag, text string, at time.Time) []byte {
	m := append([]byte{0x93, 0xa0 | byte(len(tag))}, tag...)
	m = binary.BigEndian.AppendUint32(append(m, 0xce), uint32(at.Unix()))
	m = append(m, 0x81, 0xa3, 'l', 'o', 'g', 0xd9, byte(len(text)))
	return append(m, text...)
}

// zipkinSpan is one span in Zipkin's JSON, version 2.
func zipkinSpan(traceID, name, tags string) []byte {
	return fmt.Appendf(nil, `[{"traceId":%q,"id":"00000000000000a1","name":%q,"kind":"SERVER","timestamp":%d,"duration":1500,
		"localEndpoint":{"serviceName":"by-zipkin"},"tags":{%s}}]`, traceID, name, time.Now().Add(-time.Second).UnixMicro(), tags)
}

// jaegerBatch is a PostSpansRequest of Jaeger's api_v2 with spans of traces
// first..first+count-1.
func jaegerBatch(first, count int) []byte {
	seconds := func(number protowire.Number, s int64, nanos int) []byte {
		return field(number, varint(1, uint64(s)), varint(2, uint64(nanos)))
	}
	var spans []byte
	now := time.Now().Add(-time.Second)
	for i := range count {
		trace, span := make([]byte, 16), make([]byte, 8)
		// Spread over the ID, because samplers look at parts of it only.
		binary.BigEndian.PutUint64(trace, 0x9E3779B97F4A7C15*uint64(first+i+1))
		binary.BigEndian.PutUint64(trace[8:], 0xD1B54A32D192ED03*uint64(first+i+1))
		binary.BigEndian.PutUint64(span, uint64(first+i+1))
		spans = append(spans, field(1,
			field(1, trace), field(2, span), field(3, []byte("poll")),
			seconds(6, now.Unix(), now.Nanosecond()), seconds(7, 0, 2_000_000))...)
	}
	return field(1, spans, field(2, field(1, []byte("by-jaeger"))))
}

func TestEveryReceiverReachesTheStores(t *testing.T) {
	s := newServer(t, "")
	file := filepath.Join(s.dir, "app.log")
	require.NoError(t, os.WriteFile(file, []byte("first line of a file\nunwanted line of a file\n"), 0o600))
	syslog, zipkin, jaeger := s.freeAddr("tcp"), s.freeAddr("tcp"), s.freeAddr("tcp")
	statsd, fluent := s.freeAddr("udp"), s.freeAddr("tcp")
	s.configure(fmt.Sprintf(receiversConfig, file, syslog, zipkin, jaeger, statsd, fluent))
	s.start()

	t.Run("file_log, through five processors", func(t *testing.T) {
		found := s.wantLine(`{service_name=~".+"} |= "first line of a file"`)
		require.Equal(t, "by-attributes", found.labels["marked"])
		require.Equal(t, "first line of a file again", found.labels["transformed"])
		require.Equal(t, "e2e", found.labels["deployment_environment_name"])
		require.Equal(t, "app.log", found.labels["log_file_name"])
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteString("second line of a file\n")
		require.NoError(t, err)
		require.NoError(t, f.Close())
		s.wantLine(`{service_name=~".+"} |= "second line of a file"`)
		lines, err := s.lokiLines(`{service_name=~".+"} |= "of a file" |= "unwanted"`)
		require.NoError(t, err)
		require.Empty(t, lines, "filtered")
	})
	t.Run("syslog", func(t *testing.T) {
		dialAndWrite(t, "tcp", syslog, fmt.Appendf(nil, "<34>1 %s web1 su 77 ID47 - failed for root\n", time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00")))
		found := s.wantLine(`{service_name=~".+"} |= "failed for root"`)
		require.Equal(t, "web1", found.labels["hostname"])
		require.Equal(t, "su", found.labels["appname"])
		require.Contains(t, found.labels["severity_text"]+found.labels["detected_level"]+found.labels["level"], "crit")
	})
	t.Run("fluent_forward", func(t *testing.T) {
		dialAndWrite(t, "tcp", fluent, fluentMessage("shop.cart", "forwarded by fluent", time.Now()))
		found := s.wantLine(`{service_name=~".+"} |= "forwarded by fluent"`)
		require.Equal(t, "shop.cart", found.labels["fluent_tag"])
	})
	t.Run("zipkin, with tail sampling of failures", func(t *testing.T) {
		good, bad := "0000000000000000000000000000aa01", "0000000000000000000000000000aa02"
		require.Equal(t, 202, s.send("http://"+zipkin+"/api/v2/spans", zipkinSpan(good, "fine", ""), "Content-Type", "application/json").code)
		require.Equal(t, 202, s.send("http://"+zipkin+"/api/v2/spans", zipkinSpan(bad, "broken", `"error":"boom"`), "Content-Type", "application/json").code)
		s.wantTrace(`{ resource.service.name = "by-zipkin" && status = error }`)
		require.NoError(t, s.get("/tempo/api/traces/"+bad, nil))
		require.Error(t, s.get("/tempo/api/traces/"+good, nil), "sampled out: its turn was before the other's")
	})
	t.Run("zipkin on the main port is not sampled", func(t *testing.T) {
		id := "0000000000000000000000000000aa03"
		require.Equal(t, 202, s.send("/zipkin/api/v2/spans", zipkinSpan(id, "direct", ""), "Content-Type", "application/json").code)
		require.NoError(t, s.get("/tempo/api/traces/"+id, nil), "answered after it was kept")
		var spans []struct{ Name string }
		require.NoError(t, s.get("/zipkin/api/v2/trace/"+id, &spans))
		require.Len(t, spans, 1)
		require.Equal(t, "direct", spans[0].Name)
	})
	t.Run("jaeger, sampled, with span metrics", func(t *testing.T) {
		const sent = 200
		_, err := s.callRaw(jaeger, "/jaeger.api_v2.CollectorService/PostSpans", jaegerBatch(0, sent))
		require.NoError(t, err)
		kept, err := s.tempoTraces(`{ resource.service.name = "by-jaeger" && name = "poll" && duration = 2ms }`)
		require.NoError(t, err, "answered after it was kept")
		require.Greater(t, len(kept), sent/5, "about half is kept")
		require.Less(t, len(kept), sent*4/5, "about half is kept")
		// It counts from zero, at its next flush.
		calls := s.wantSample(`{__name__=~"traces_span_metrics_calls.*", service_name="by-jaeger"} > 0`)
		require.Equal(t, strconv.Itoa(2*len(kept)), calls.value, "each kept span stands for two, as the sampler wrote into its trace state")
	})
	t.Run("statsd", func(t *testing.T) {
		dialAndWrite(t, "udp", statsd, []byte("cart.items:7|g|#shop:north"))
		require.Equal(t, "7", s.wantSample(`cart_items{shop="north"}`).value)
	})
	t.Run("host_metrics", func(*testing.T) {
		s.wantSample(`system_memory_usage_bytes{state="used", deployment_environment_name="e2e"} > 1e6`)
		s.wantSample(`system_cpu_load_average_1m or {__name__=~"system_cpu_load_average_1m.*"}`)
	})
	s.stop()
}
