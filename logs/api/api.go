package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"belfry/internal/fault"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logql/syntax"
)

// Options configure an API. Store is required.
type Options struct {
	Store  logs.Store
	Limits logql.Limits
	// Patterns are those found as lines came; nil: they are found when asked for.
	Patterns Patterns

	QueryTimeout time.Duration // 1 min
	MaxPushBytes int64         // of a push, uncompressed; 32 MiB
	MaxTails     int           // at once; 64
	Version      string        // of ours, in buildinfo
	CancelWindow time.Duration // of deletions whose request names none
	// Audit records an action before it is done; an error forbids it. nil: nothing is recorded.
	Audit  func(r *http.Request, action, target string, detail map[string]string) error
	Logger *slog.Logger     // default: discard
	Now    func() time.Time // default: time.Now
}

// API is Loki's HTTP API.
type API struct {
	o      Options
	engine *logql.Engine
	tails  chan struct{}
}

// New returns the API.
func New(o Options) *API {
	if o.QueryTimeout == 0 {
		o.QueryTimeout = time.Minute
	}
	if o.MaxPushBytes == 0 {
		o.MaxPushBytes = 32 << 20
	}
	if o.MaxTails == 0 {
		o.MaxTails = 64
	}
	if o.Audit == nil {
		o.Audit = func(*http.Request, string, string, map[string]string) error { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &API{
		o: o, tails: make(chan struct{}, o.MaxTails),
		engine: logql.NewEngine(logql.Options{Querier: o.Store, Limits: o.Limits}),
	}
}

// Engine returns the engine behind the API, for rules.
func (a *API) Engine() *logql.Engine { return a.engine }

// Handler serves the API on its native paths.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	read := func(path string, h func(http.ResponseWriter, *http.Request) error) {
		wrapped := a.query(h)
		mux.Handle("GET /loki/api/v1/"+path, wrapped)
		mux.Handle("POST /loki/api/v1/"+path, wrapped)
	}
	read("query", a.instantQuery)
	read("query_range", a.rangeQuery)
	read("labels", a.labels)
	read("label", a.labels)
	read("label/{name}/values", a.labelValues)
	read("series", a.series)
	read("index/stats", a.indexStats)
	read("index/volume", a.volume)
	read("index/volume_range", a.volumeRange)
	read("index/shards", a.shards)
	read("detected_fields", a.detectedFields)
	read("detected_field/{name}/values", a.detectedFieldValues)
	read("detected_labels", a.detectedLabels)
	read("format_query", a.formatQuery)
	read("patterns", a.patterns)
	read("drilldown-limits", a.drilldownLimits)
	read("status/buildinfo", a.buildInfo)
	for method, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST": a.requestDeletion, "PUT": a.requestDeletion, "GET": a.listDeletions, "DELETE": a.cancelDeletion,
	} {
		mux.Handle(method+" /loki/api/v1/delete", a.query(h))
	}
	mux.HandleFunc("GET /loki/api/v1/tail", a.tail)
	push := http.HandlerFunc(a.push)
	mux.Handle("POST /loki/api/v1/push", push)
	mux.Handle("POST /api/prom/push", push)
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ready\n")) })
	return mux
}

// query runs a handler within the time of a query and writes its error.
func (a *API) query(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), a.o.QueryTimeout)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20) // a form
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := h(w, r.WithContext(ctx)); err != nil {
			a.writeError(w, err)
		}
	})
}

func (a *API) writeError(w http.ResponseWriter, err error) {
	var pe *syntax.ParseError
	if errors.As(err, &pe) {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if fault.KindOf(err) == fault.Internal {
		a.o.Logger.Error("logs query failed", "error", err)
	}
	fault.WriteHTTP(w, err)
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client went away
	return nil
}

// success is the envelope of most answers.
type success struct {
	Status string `json:"status"`
	Data   any    `json:"data"`
}

func writeData(w http.ResponseWriter, data any) error {
	return writeJSON(w, success{Status: "success", Data: data})
}
