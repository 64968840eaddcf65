package app

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"belfry/alerting/rules"
	"belfry/internal/audit"
	"belfry/internal/fault"
	"belfry/internal/httpserver"
	"belfry/internal/lifecycle"
	"belfry/internal/tenant"
	logapi "belfry/logs/api"
	traceapi "belfry/traces/api"
	"belfry/tsdb"
	metricapi "belfry/tsdb/api"
	"belfry/tsdb/influx"
	"belfry/tsdb/remotewrite"
	"belfry/ui"
)

// web is the HTTP listener with every API and the web app.
type web struct{ server *httpserver.Server }

func (a *App) openWeb() (*web, error) {
	mux := http.NewServeMux()
	a.routeOwn(mux)
	a.routeMetrics(mux)
	a.routeLogs(mux)
	a.routeTraces(mux)
	a.routeAlerting(mux)
	for pattern, h := range a.ingest.collector.Handlers() {
		mux.Handle(pattern, h)
	}
	app, err := ui.Handler(ui.Options{})
	if err != nil {
		return nil, err
	}
	mux.Handle("/", app)
	return &web{server: httpserver.New(httpserver.Options{
		Config: a.cfg.Server, Handler: mux, Logger: a.logger.With("component", "http"), Registerer: a.registry,
	})}, nil
}

func (w *web) addTo(stack *lifecycle.Stack) {
	stack.Add(lifecycle.Component{Name: "http", Start: w.server.Start, Shutdown: w.server.Shutdown})
}

func (w *web) addr() net.Addr { return w.server.Addr() }

// api makes a store's or the alerting's handler ready for the mux: the tenant
// is in the context, and requests are traced where that is on.
func (a *App) api(name string, h http.Handler) http.Handler {
	h = tenant.Middleware(h)
	if a.ingest.own == nil {
		return h
	}
	return otelhttp.NewHandler(h, name, otelhttp.WithTracerProvider(a.ingest.own.TracerProvider()))
}

// compressed answers with gzip whoever takes it. A WebSocket's handshake is left
// alone.
func compressed(h http.Handler) http.Handler {
	// Answers are mostly names and numbers that repeat: trying harder makes them a twentieth smaller, for four
	// times the work.
	wrap, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(gzip.BestSpeed))
	if err != nil {
		panic(err) // the options are constant
	}
	zipped := wrap(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			h.ServeHTTP(w, r)
			return
		}
		zipped.ServeHTTP(w, r)
	})
}

// record puts what a request is about to do into the audit log.
func (a *App) record(r *http.Request, action, target string, detail map[string]string) error {
	return a.alerting.audit.Record(r.Context(), audit.Entry{
		Tenant: tenant.ID(r.Context()), Actor: audit.Actor(r), Action: action, Target: target, Detail: detail,
	})
}

// routeOwn are the paths about the process itself.
func (a *App) routeOwn(mux *http.ServeMux) {
	healthy := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("Belfry is healthy.\n")) }
	ready := func(w http.ResponseWriter, _ *http.Request) {
		if !a.ready.Load() {
			http.Error(w, "Belfry is not ready.", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("Belfry is ready.\n"))
	}
	for _, prefix := range []string{"", "/prometheus"} {
		mux.HandleFunc("GET "+prefix+"/-/healthy", healthy)
		mux.HandleFunc("GET "+prefix+"/-/ready", ready)
	}
	mux.HandleFunc("POST /-/reload", func(w http.ResponseWriter, _ *http.Request) {
		if err := a.Reload(); err != nil {
			fault.WriteHTTP(w, fault.Invalidf("the running configuration goes on: %w", err))
		}
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, Registry: a.registry}))
}

func (a *App) routeMetrics(mux *http.ServeMux) {
	log := a.logger.With("component", "tsdb")
	api := metricapi.New(metricapi.Options{
		Store: a.stores.metrics, Engine: a.stores.apiEngine, Config: a.cfg.Metrics,
		Admin: func(id string) metricapi.Admin { return a.stores.metrics.Admin(id) },
		Spans: spanFinder{a.stores.traces}, Features: a.stores.features,
		Rules:   a.rulesOf,
		Targets: a.targetsOf,
		RemoteWrite: remotewrite.New(remotewrite.Options{
			Store: a.stores.metrics, Config: a.cfg.Metrics.RemoteWrite, Logger: log, Registerer: a.registry,
		}),
		OTLPWrite:   http.StripPrefix("/api/v1/otlp", a.ingest.collector.OTLPHandler()),
		Version:     a.opts.Version,
		Revision:    a.opts.Revision,
		ExternalURL: a.cfg.externalURL(),
		StartTime:   a.started,
		EnableAdmin: a.cfg.Metrics.AdminAPI,
		Prometheus:  a.ingest.scraper.Prometheus,
		Logger:      log,
		Registerer:  a.registry,
		Gatherer:    a.registry,
	})
	h := a.api("prometheus", api)
	mux.Handle("GET /api/belfry/v1/cardinality", a.api("cardinality", metricapi.NewCardinality(metricapi.CardinalityOptions{
		Store: a.stores.metrics, Usage: a.stores.usage,
		Census: func(id string) metricapi.Census { return a.stores.metrics.Admin(id) },
		Limits: func() tsdb.LimitsConfig { return a.stores.metrics.Limits() },
	})))
	deletions := a.api("deletions", metricapi.NewDeletions(metricapi.DeletionOptions{
		Deleter: a.stores.metrics, Enabled: a.cfg.Metrics.AdminAPI, Now: time.Now, Audit: a.record,
	}))
	mux.Handle(metricapi.DeletionsPath, deletions)
	mux.Handle(metricapi.DeletionsPath+"/", deletions)
	mux.Handle("/api/v1/", h)
	mux.Handle("/federate", h)
	mux.Handle("/prometheus/", http.StripPrefix("/prometheus", h))
	// Grafana offers to edit rules below this prefix, where it finds Mimir's API
	// for it, and takes the root for a plain Prometheus.
	mux.HandleFunc("GET /prometheus/api/v1/status/buildinfo", api.MimirBuildInfo)
	line := a.api("influx", influx.New(influx.Options{
		Store: a.stores.metrics, MaxBytes: int64(a.cfg.Server.MaxRequestSize), Concurrency: a.cfg.Metrics.RemoteWrite.MaxConcurrency,
		Logger: log, Registerer: a.registry,
	}))
	mux.Handle("/influx/", http.StripPrefix("/influx", line))
	for _, path := range []string{"POST /write", "POST /api/v2/write", "GET /ping", "POST /query"} { // what agents append to a host
		mux.Handle(path, line)
	}
}

// rulesOf returns the rules of the tenant in ctx: they all run for one tenant.
func (a *App) rulesOf(ctx context.Context) metricapi.Rules {
	if tenant.ID(ctx) != tenant.Default {
		return nil
	}
	return a.alerting.rules
}

// onlyDefaultTenant keeps other tenants from rules that are not theirs.
func (a *App) onlyDefaultTenant(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tenant.ID(r.Context()) != tenant.Default {
			fault.WriteHTTP(w, fault.NotFoundf("rules run for the tenant %q only", tenant.Default))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// targetsOf returns the scrape targets of the tenant in ctx.
func (a *App) targetsOf(ctx context.Context) metricapi.Targets {
	if tenant.ID(ctx) != a.ingest.scraper.Tenant() {
		return nil
	}
	return a.ingest.scraper
}

func (a *App) routeLogs(mux *http.ServeMux) {
	var finder logapi.Patterns // an interface of a nil pointer is not nil
	if a.stores.patterns != nil {
		finder = a.stores.patterns
	}
	loki := logapi.New(logapi.Options{
		Patterns: finder,
		Store:    a.stores.logs, MaxPushBytes: int64(a.cfg.Server.MaxRequestSize),
		CancelWindow: time.Duration(a.cfg.Logs.Deletion.CancelWindow), Audit: a.record,
		Version: a.opts.Version, Logger: a.logger.With("component", "logs"),
	})
	h := a.api("loki", compressed(loki.Handler()))
	mux.Handle("/loki/", h)
	deletions := a.api("deletions", loki.Deletions())
	mux.Handle(logapi.DeletionsPath, deletions)
	mux.Handle(logapi.DeletionsPath+"/", deletions)
	mux.Handle("/elasticsearch/", http.StripPrefix("/elasticsearch", a.api("elasticsearch", logapi.NewElasticsearch(logapi.ElasticsearchOptions{
		Store: a.stores.logs, MaxBulkBytes: int64(a.cfg.Server.MaxRequestSize), Logger: a.logger.With("component", "logs"),
	}).Handler())))
	mux.Handle("/api/prom/push", h)
}

func (a *App) routeTraces(mux *http.ServeMux) {
	opts := traceapi.Options{
		Store: a.stores.traces, Engine: a.stores.traceql, Version: a.opts.Version, Logger: a.logger.With("component", "traces"),
		MaxTraceSpans: a.cfg.Traces.Limits.MaxTraceSpans,
		Deleter:       a.stores.traces, CancelWindow: time.Duration(a.cfg.Traces.Deletion.CancelWindow), Audit: a.record,
	}
	deletions := a.api("deletions", traceapi.NewDeletions(opts))
	mux.Handle(traceapi.DeletionsPath, deletions)
	mux.Handle(traceapi.DeletionsPath+"/", deletions)
	mux.Handle("/tempo/", http.StripPrefix("/tempo", a.api("tempo", compressed(traceapi.NewTempo(opts)))))
	mux.Handle("/jaeger/", http.StripPrefix("/jaeger", a.api("jaeger", compressed(traceapi.NewJaeger(opts)))))
	mux.Handle("/zipkin/", http.StripPrefix("/zipkin", a.api("zipkin", traceapi.NewZipkin(opts))))
	rpc := traceapi.NewGRPC(opts)
	for _, path := range rpc.Paths() {
		mux.Handle("POST "+path, a.api("grpc", rpc))
	}
}

func (a *App) routeAlerting(mux *http.ServeMux) {
	mux.Handle("/alertmanager/", http.StripPrefix("/alertmanager", a.api("alertmanager", a.alerting.router.Handler())))
	own := a.api("belfry", a.alerting.api)
	mux.Handle("/api/belfry/v1/", own)
	mux.Handle("/v2/", own)
	mux.Handle("GET /api/belfry/v1/rules", a.api("rules", a.alerting.rules.Handler()))
	const maintenance = "/api/belfry/v1/maintenance"
	windows := a.api("maintenance", a.onlyDefaultTenant(a.alerting.router.MaintenanceHandler(maintenance)))
	mux.Handle(maintenance, windows)
	mux.Handle(maintenance+"/", windows)
	for prefix, t := range map[string]rules.Type{ // Mimir's and Loki's, old and new; and one that is ours
		"/prometheus/config/v1/rules": rules.Metrics, "/config/v1/rules": rules.Metrics, "/prometheus/rules": rules.Metrics,
		"/loki/api/v1/rules": rules.Logs, "/api/prom/rules": rules.Logs, "/api/belfry/v1/rule-groups": rules.Metrics,
	} {
		h := a.api("rules", a.onlyDefaultTenant(a.alerting.rules.EditHandler(prefix, t)))
		mux.Handle(prefix, h)
		mux.Handle(prefix+"/", h)
	}
	mux.Handle("GET /api/belfry/v1/audit", a.api("audit", a.alerting.audit.Handler()))
	mux.Handle("GET /api/belfry/v1/route", a.api("route", a.alerting.router.ExplainHandler()))
}
