package collector

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pipeline"
	"go.yaml.in/yaml/v3"

	"belfry/collector/internal/ingest"
	"belfry/collector/receiver/otlpreceiver"
)

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(strings.ReplaceAll(text, "\t", "  ")), &m))
	return m
}

func resolveText(t *testing.T, text string) (*resolved, error) {
	t.Helper()
	c := &Collector{}
	c.set.fill()
	g, _, err := c.prepare(t.Context(), parse(t, text))
	if err != nil {
		return nil, err
	}
	return g.resolved, nil
}

// pipelineOf writes a pipeline as "receivers > processors > exporters".
func pipelineOf(t *testing.T, r *resolved, id string) string {
	t.Helper()
	var pid pipeline.ID
	require.NoError(t, pid.UnmarshalText([]byte(id)))
	p := r.service.Pipelines[pid]
	require.NotNil(t, p, id)
	list := func(ids []component.ID) string {
		var names []string
		for _, id := range ids {
			names = append(names, id.String())
		}
		return strings.Join(names, ",")
	}
	return list(p.Receivers) + " > " + list(p.Processors) + " > " + list(p.Exporters)
}

func TestMerge(t *testing.T) {
	tests := []struct {
		name, user string
		pipelines  map[string]string
	}{
		{"nothing", ``, map[string]string{
			"logs": "otlp,belfry > memory_limiter > belfry", "traces": "otlp,belfry > memory_limiter > belfry", "metrics": "otlp,belfry > memory_limiter > belfry",
		}},
		{"empty sections", "receivers:\nprocessors:\nservice:\n\tpipelines:\n", map[string]string{"logs": "otlp,belfry > memory_limiter > belfry"}},
		{"a list replaces, and the local door stays", `
receivers: {filelog: {include: [/tmp/x]}}
service: {pipelines: {logs: {receivers: [otlp, filelog]}}}
`, map[string]string{"logs": "otlp,filelog,belfry > memory_limiter > belfry", "traces": "otlp,belfry > memory_limiter > belfry"}},
		{"a pipeline of its own", `
receivers: {statsd: }
service: {pipelines: {metrics/statsd: {receivers: [statsd]}}}
`, map[string]string{"metrics/statsd": "statsd > memory_limiter > belfry", "metrics": "otlp,belfry > memory_limiter > belfry"}},
		{"said is said", `
processors: {batch: }
exporters: {debug: }
service: {pipelines: {traces: {processors: [], exporters: [debug]}, logs: {processors: [memory_limiter, batch], exporters: [belfry, debug]}}}
`, map[string]string{"traces": "otlp,belfry >  > debug", "logs": "otlp,belfry > memory_limiter,batch > belfry,debug"}},
		{"the local door elsewhere", `
service: {pipelines: {logs: {receivers: [otlp]}, logs/own: {receivers: [belfry]}}}
`, map[string]string{"logs": "otlp > memory_limiter > belfry", "logs/own": "belfry > memory_limiter > belfry"}},
		{"connector", `
connectors: {spanmetrics: }
service: {pipelines: {traces: {exporters: [belfry, spanmetrics]}, metrics/spans: {receivers: [spanmetrics]}}}
`, map[string]string{"traces": "otlp,belfry > memory_limiter > belfry,spanmetrics", "metrics/spans": "spanmetrics > memory_limiter > belfry"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := resolveText(t, tt.user)
			require.NoError(t, err)
			for id, want := range tt.pipelines {
				require.Equal(t, want, pipelineOf(t, r, id), id)
			}
			require.NoError(t, Validate(t.Context(), parse(t, tt.user)))
		})
	}
}

func otlpConfig(t *testing.T, r *resolved) *otlpreceiver.Config {
	t.Helper()
	return r.receivers[component.MustNewID("otlp")].(*otlpreceiver.Config)
}

func TestOTLPConfiguration(t *testing.T) {
	t.Setenv("BELFRY_TEST_ENDPOINT", "127.0.0.1:14317")
	file := filepath.Join(t.TempDir(), "endpoint")
	require.NoError(t, os.WriteFile(file, []byte("127.0.0.1:14318"), 0o600))

	r, err := resolveText(t, ``)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:4317", otlpConfig(t, r).Protocols.GRPC.Get().NetAddr.Endpoint)
	require.Equal(t, "127.0.0.1:4318", otlpConfig(t, r).Protocols.HTTP.Get().ServerConfig.NetAddr.Endpoint)
	require.Equal(t, 32, otlpConfig(t, r).Protocols.GRPC.Get().MaxRecvMsgSizeMiB)

	r, err = resolveText(t, `
receivers:
	otlp:
		protocols:
			grpc:
				endpoint: ${env:BELFRY_TEST_ENDPOINT}
				max_recv_msg_size_mib: 7
			http:
				endpoint: ${file:`+file+`}
				logs_url_path: own/logs
`)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:14317", otlpConfig(t, r).Protocols.GRPC.Get().NetAddr.Endpoint)
	require.Equal(t, 7, otlpConfig(t, r).Protocols.GRPC.Get().MaxRecvMsgSizeMiB)
	require.Equal(t, "127.0.0.1:14318", otlpConfig(t, r).Protocols.HTTP.Get().ServerConfig.NetAddr.Endpoint)
	require.EqualValues(t, "/own/logs", otlpConfig(t, r).Protocols.HTTP.Get().LogsURLPath)

	r, err = resolveText(t, `receivers: {otlp: {protocols: {grpc: {enabled: false}, http: }}}`)
	require.NoError(t, err)
	require.False(t, otlpConfig(t, r).Protocols.GRPC.HasValue())
	require.True(t, otlpConfig(t, r).Protocols.HTTP.HasValue())
}

// TestAllFaultsAtOnce: one run names everything that is wrong, with its path.
func TestAllFaultsAtOnce(t *testing.T) {
	err := Validate(t.Context(), parse(t, `
recievers: {}
receivers:
	otlp: {protocols: {grpc: {max_recv_msg_size_mib: many}, http: {ports: 1}}}
	kafkaesque: {}
processors:
	batch: {send_batch_size: 10, send_batch_max_size: 5}
	memory_limiter: {check_interval: 0s}
extensions:
	file_storage: {directory: /does/not/exist}
service:
	extensions: [health]
	pipelines:
		logs: {receivers: [otlp, nowhere], processors: [gone], exporters: [away]}
		metrics/none: {receivers: []}
`))
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		"recievers: unknown section",
		"receivers.otlp.protocols.grpc.max_recv_msg_size_mib: ",
		"receivers.kafkaesque: unknown type",
		"processors.batch: send_batch_max_size",
		"processors.memory_limiter: ",
		"extensions.file_storage",
		"service.extensions: extension \"health\" is not configured",
		"service.pipelines.logs.receivers: receiver \"nowhere\" is not configured",
		"service.pipelines.logs.processors: processor \"gone\" is not configured",
		"service.pipelines.logs.exporters: exporter \"away\" is not configured",
		"service.pipelines.metrics/none: must have at least one receiver",
	} {
		require.True(t, slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) }), "%s in\n%s", want, err)
	}
}

// TestGraphFaults are found only when the pipelines are built.
func TestGraphFaults(t *testing.T) {
	err := Validate(t.Context(), parse(t, `
receivers: {statsd: }
service: {pipelines: {logs: {receivers: [statsd]}}}
`))
	require.ErrorContains(t, err, "service.pipelines: ")
	require.ErrorContains(t, err, "statsd")
}

func TestLanes(t *testing.T) {
	tests := []struct {
		name, user            string
		logs, traces, metrics bool
	}{
		{"default", ``, true, true, true},
		{"a processor", `
processors: {resource: {attributes: [{key: a, value: b, action: insert}]}}
service: {pipelines: {logs: {processors: [memory_limiter, resource]}}}
`, false, true, true},
		{"another exporter", `
exporters: {debug: }
service: {pipelines: {traces: {exporters: [belfry, debug]}}}
`, true, false, true},
		{"a processor of metrics", `
processors: {resource: {attributes: [{key: a, value: b, action: insert}]}}
service: {pipelines: {metrics: {processors: [resource]}}}
`, true, true, false},
		{"two pipelines", `
service: {pipelines: {logs/b: {receivers: [otlp]}}}
`, false, true, true},
		{"a connector", `
connectors: {spanmetrics: }
service: {pipelines: {traces: {exporters: [belfry, spanmetrics]}, metrics/spans: {receivers: [spanmetrics]}}}
`, true, false, true},
		{"not fed", `service: {pipelines: {logs: {receivers: [belfry]}}}`, false, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := resolveText(t, tt.user)
			require.NoError(t, err)
			got := r.direct(component.MustNewID("otlp"))
			require.Equal(t, tt.logs, got[ingest.Logs], "logs")
			require.Equal(t, tt.traces, got[ingest.Traces], "traces")
			require.Equal(t, tt.metrics, got[ingest.Metrics], "metrics")
		})
	}
}

func TestExposed(t *testing.T) {
	t.Setenv("BELFRY_TEST_ENDPOINT", "0.0.0.0:4318")
	got, err := Exposed(t.Context(), parse(t, `
receivers:
	otlp: {protocols: {grpc: {endpoint: ":4317", tls: {cert_file: a, key_file: b}}, http: {endpoint: "${env:BELFRY_TEST_ENDPOINT}"}}}
	syslog: {tcp: {listen_address: "10.0.0.1:514"}, protocol: rfc5424}
	statsd: {endpoint: "localhost:8125"}
	zipkin: {endpoint: "0.0.0.0:9411"}
	fluentforward: {endpoint: "unix:///run/fluent.sock"}
service: {pipelines: {logs: {receivers: [otlp, syslog, fluentforward]}, metrics: {receivers: [otlp, statsd]}}}
`))
	require.NoError(t, err)
	require.Equal(t, []Exposure{
		{"receivers.otlp.protocols.http.endpoint", "0.0.0.0:4318"},
		{"receivers.syslog.tcp.listen_address", "10.0.0.1:514"},
	}, got, "with TLS, on loopback, in no pipeline, and on a socket it is not")

	got, err = Exposed(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, got)
}
