package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/notifications"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/query"
)

const (
	pathPrefix = "/api/v1"

	// maxSearchResults bounds what one search answers.
	maxSearchResults = 10_000
)

// Store is what the API needs of a metrics store.
type Store interface {
	tsdb.Queryable
	tsdb.Appendable

	// Metadata returns the metadata of the tenant's metric families, of all
	// or of the one that is named.
	Metadata(ctx context.Context, family string) (map[string][]metadata.Metadata, error)

	// Delete deletes the samples from mint to maxt, milliseconds, of the
	// matching series of the tenant in ctx.
	Delete(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) error
}

// Admin is the administration of one tenant's database.
type Admin interface {
	v1.TSDBAdminStats
	prometheus.Gatherer
	Dir() string
}

// Rules are the rules of a tenant, which the alerting side provides.
type Rules interface {
	RuleGroups() []*rules.Group
	AlertingRules() []*rules.AlertingRule
}

// Targets are the scrape targets, which the scrape manager provides.
type Targets interface {
	ScrapePools() []string
	TargetsActive() map[string][]*scrape.Target
	TargetsDropped() map[string][]*scrape.Target
	TargetsDroppedCounts() map[string]int
	ScrapePoolConfig(pool string) (*config.ScrapeConfig, error)
}

// Alertmanagers are where alerts are sent.
type Alertmanagers interface {
	Alertmanagers() []*url.URL
	DroppedAlertmanagers() []*url.URL
}

// Options configure the API. Nil functions and handlers, and functions that
// return nil for a tenant, stand for "there is nothing of that kind".
type Options struct {
	Store  Store
	Admin  func(tenant string) Admin
	Engine promql.QueryEngine
	Config tsdb.Config

	Rules         func(ctx context.Context) Rules
	Targets       func(ctx context.Context) Targets
	Alertmanagers func(ctx context.Context) Alertmanagers

	// Spans makes exemplars for histograms that were sent without; nil makes
	// none.
	Spans tsdb.SpanFinder

	RemoteWrite http.Handler // at /api/v1/write and /api/v1/push
	OTLPWrite   http.Handler // at /api/v1/otlp/v1/metrics

	// Prometheus returns the configuration shown at /api/v1/status/config,
	// whose external labels federation and remote read attach.
	Prometheus func() config.Config

	Flags       map[string]string // shown at /api/v1/status/flags
	Version     string            // Belfry's own
	Revision    string
	BuildDate   string
	ExternalURL *url.URL
	StartTime   time.Time

	EnableAdmin bool // deleting and snapshots
	CORSOrigin  *regexp.Regexp

	Features   features.Collector
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer // Belfry's metrics, at /api/v1/status/self_metrics
	Now        func() time.Time
}

// API is the handler. It is safe for concurrent use.
type API struct {
	o        Options
	parser   parser.Parser
	shared   http.Handler
	perAdmin *adminHandlers
	mux      *http.ServeMux
}

// New returns the API.
func New(o Options) *API {
	o.fillIn()
	a := &API{o: o, parser: query.NewParser(), mux: http.NewServeMux()}
	a.shared = a.upstream(deleteOnly{o.Store}, "", o.Gatherer, o.Registerer, nil)
	a.perAdmin = newAdminHandlers(func(id string) http.Handler {
		admin := o.Admin(id)
		return a.upstream(admin, admin.Dir(), admin, nil, []string{"/status/tsdb"})
	})

	a.mux.Handle(pathPrefix+"/", a.shared)
	for _, path := range []string{"/admin/tsdb/snapshot", "/admin/tsdb/clean_tombstones", "/status/tsdb", "/status/tsdb/blocks", "/status/walreplay"} {
		a.mux.Handle(pathPrefix+path, a.perAdmin)
	}
	a.mux.HandleFunc("GET "+pathPrefix+"/metadata", a.metadata)
	a.mux.HandleFunc("GET /federate", a.federate)
	a.mux.HandleFunc("POST "+pathPrefix+"/import/prometheus", a.importText)
	if o.RemoteWrite != nil {
		a.mux.Handle(pathPrefix+"/write", o.RemoteWrite)
		a.mux.Handle(pathPrefix+"/push", o.RemoteWrite)
	}
	if o.OTLPWrite != nil {
		a.mux.Handle(pathPrefix+"/otlp/v1/metrics", o.OTLPWrite)
	}
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

func (o *Options) fillIn() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Rules = orNothing(o.Rules)
	o.Targets = orNothing(o.Targets)
	o.Alertmanagers = orNothing(o.Alertmanagers)
	if o.Prometheus == nil {
		o.Prometheus = func() config.Config { return config.DefaultConfig }
	}
	if o.CORSOrigin == nil {
		o.CORSOrigin = regexp.MustCompile(`^$`) // no other origin
	}
	if o.Features == nil {
		o.Features = features.NewRegistry()
	}
	if o.Flags == nil {
		o.Flags = map[string]string{} // clients want an object, not null
	}
	if o.Gatherer == nil {
		o.Gatherer = prometheus.Gatherers{}
	}
	if o.ExternalURL == nil {
		o.ExternalURL = &url.URL{Scheme: "http", Host: "localhost"}
	}
	if o.StartTime.IsZero() {
		o.StartTime = o.Now()
	}
}

// upstream returns Prometheus' implementation over one database's
// administration. openAPI narrows the document that it builds of itself.
func (a *API) upstream(db v1.TSDBAdminStats, dir string, gatherer prometheus.Gatherer, reg prometheus.Registerer, openAPI []string) http.Handler {
	o := a.o
	api := v1.NewAPI(
		o.Engine, o.Store, nil, nil, &exemplars{o.Store, o.Spans, o.Now, o.Logger},
		func(ctx context.Context) v1.ScrapePoolsRetriever { return o.Targets(ctx) },
		func(ctx context.Context) v1.TargetRetriever { return o.Targets(ctx) },
		func(ctx context.Context) v1.AlertmanagerRetriever { return o.Alertmanagers(ctx) },
		o.Prometheus,
		o.Flags,
		v1.GlobalURLOptions{ListenAddress: o.ExternalURL.Host, Host: o.ExternalURL.Host, Scheme: o.ExternalURL.Scheme},
		func(next http.HandlerFunc) http.HandlerFunc { return next },
		db, dir, o.EnableAdmin,
		true, maxSearchResults,
		o.Logger,
		func(ctx context.Context) v1.RulesRetriever { return o.Rules(ctx) },
		o.Config.RemoteRead.MaxSamples, o.Config.RemoteRead.MaxConcurrency, int(o.Config.RemoteRead.MaxFrameSize),
		false, // not an agent
		o.CORSOrigin,
		a.runtimeInfo,
		a.buildInfo(),
		func() []notifications.Notification { return []notifications.Notification{} },
		func() (<-chan notifications.Notification, func(), bool) { return nil, nil, false },
		gatherer, reg,
		nil,
		false, nil, // remote write is ours
		false, false, false, // so is OTLP
		false,
		time.Duration(o.Config.Query.LookbackDelta),
		false, false,
		overrideCode,
		o.Features,
		v1.OpenAPIOptions{ExternalURL: o.ExternalURL.String(), Version: o.Version, IncludePaths: openAPI, MaxSearchLimit: maxSearchResults},
		a.parser,
	)
	router := route.New().WithPrefix(pathPrefix)
	api.Register(router)
	return router
}

// tenantOf is the tenant of a request.
func tenantOf(r *http.Request) string { return tenant.ID(r.Context()) }
