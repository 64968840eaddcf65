package bench

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Peer is another server that takes the same load: a program to start, or a
// process that runs already.
type Peer struct {
	Kind    string // what it speaks: victoriametrics, prometheus, victorialogs, victoriatraces, jaeger, tempo
	Program string // to start on a free port and an empty folder: one of VictoriaMetrics', or Prometheus

	// Of a process that runs already:
	Base string // of its query API
	OTLP string // what the OTLP paths are appended to
	Dir  string // its data
	PID  int
}

// prometheusConfig keeps the pods' series apart, and takes what one sender sends
// before another's older samples, as Belfry does by default.
const prometheusConfig = `otlp: {promote_resource_attributes: [service.name, k8s.namespace.name, k8s.pod.name, host.name]}
storage: {tsdb: {out_of_order_time_window: 30m}}
`

// process returns the peer's process; one that is started gets a folder in dir.
func (p *Peer) process(ctx context.Context, dir string) (*Process, error) {
	if p.Program == "" {
		return Attach(p.Base, p.OTLP, p.Dir, p.PID), nil
	}
	if p.Kind == "jaeger" {
		return startJaeger(ctx, p.Program, dir)
	}
	ports, err := freePorts(ctx, 1)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	base := "http://" + address
	data := filepath.Join(dir, "peer")
	if p.Kind == "prometheus" {
		config := filepath.Join(dir, "prometheus.yaml")
		if err := os.WriteFile(config, []byte(prometheusConfig), 0o600); err != nil {
			return nil, err
		}
		return start(ctx, &Process{Base: base, OTLP: base + "/api/v1/otlp", Dir: data}, base+"/-/ready",
			p.Program, "--config.file="+config, "--storage.tsdb.path="+data, "--web.listen-address="+address,
			"--web.enable-otlp-receiver", "--web.enable-remote-write-receiver")
	}
	otlp := base + "/insert/opentelemetry"
	var flags []string
	if p.Kind == "victoriametrics" {
		otlp = base + "/opentelemetry"
		flags = append(flags, "-opentelemetry.usePrometheusNaming") // so that the questions find the same series
	}
	return start(ctx, &Process{Base: base, OTLP: otlp, Dir: data}, base+"/health",
		p.Program, append(flags, "-httpListenAddr="+address, "-storageDataPath="+data)...)
}

// jaegerConfig makes a Jaeger that keeps its traces in Badger: %[1]d to %[3]d are
// the ports of its query API by HTTP and gRPC and of OTLP, %[4]s is its folder.
const jaegerConfig = `service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}
  telemetry: {metrics: {level: none}, logs: {level: warn}}
extensions:
  jaeger_query:
    storage: {traces: kept}
    http: {endpoint: "127.0.0.1:%[1]d"}
    grpc: {endpoint: "127.0.0.1:%[2]d"}
  jaeger_storage:
    backends:
      kept: {badger: {directories: {keys: "%[4]s/keys", values: "%[4]s/values"}, ephemeral: false}}
receivers:
  otlp: {protocols: {http: {endpoint: "127.0.0.1:%[3]d"}}}
exporters:
  jaeger_storage_exporter: {trace_storage: kept}
`

func startJaeger(ctx context.Context, program, dir string) (*Process, error) {
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "peer")
	for _, sub := range []string{"keys", "values"} {
		if err := os.MkdirAll(filepath.Join(data, sub), 0o700); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(dir, "jaeger.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, jaegerConfig, ports[0], ports[1], ports[2], data), 0o600); err != nil {
		return nil, err
	}
	base := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	return start(ctx, &Process{Base: base, OTLP: fmt.Sprintf("http://127.0.0.1:%d", ports[2]), Dir: data},
		base+"/api/services", program, "--config", config)
}

// peerQueries are the questions of each kind of peer, equal to Belfry's own of
// the signal.
func peerQueries(kind, signalName string, g generator, o Options, batches int) ([]query, error) {
	if signalName == "metrics" {
		switch kind {
		case "victoriametrics":
			return g.metricQueries("/prometheus", o.Scrapes, url.Values{"nocache": {"1"}}), nil
		case "prometheus":
			return g.metricQueries("", o.Scrapes, nil), nil
		}
	}
	if signalName == "traces" {
		switch kind {
		case "tempo":
			return g.tempoQueries("", batches), nil
		case "jaeger":
			return g.jaegerQueries("", batches), nil
		case "victoriatraces":
			return g.jaegerQueries("/select/jaeger", batches), nil
		}
	}
	if kind != "victorialogs" || signalName != "logs" {
		return nil, fmt.Errorf("there are no questions for %s on a %q", signalName, kind)
	}
	from, to := g.eventRange(batches)
	ask := func(logsQL string) string {
		return "/select/logsql/query?" + url.Values{
			"query": {logsQL}, "start": {from.Format(time.RFC3339)}, "end": {to.Format(time.RFC3339)},
		}.Encode()
	}
	return []query{
		{name: "needle word, everything", url: ask(`nosuchneedleword`)},
		{name: "field equality count", url: ask(`http.response.status_code:=500 | stats by (_time:1m) count() hits`)},
		{name: "count per minute by service", url: ask(`* | stats by (_time:1m, service.name) count() hits`)},
		{name: "top 10 routes", url: ask(`* | top 10 by (http.route)`)},
		{name: "regex, everything", url: ask(`~"user [0-9]+7 " | stats by (_time:1m) count() hits`)},
		{name: "last 100 of a service", url: ask(`service.name:=cart | sort by (_time desc) limit 100`)},
	}, nil
}
