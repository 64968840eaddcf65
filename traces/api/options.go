package api

import (
	"log/slog"
	"net/http"
	"time"

	"belfry/traces"
	"belfry/traces/traceql"
)

// Options are what the handlers need. Store is required.
type Options struct {
	Store   traces.Querier
	Engine  *traceql.Engine // default: one on Store with default limits
	Logger  *slog.Logger    // default: discard
	Now     func() time.Time
	Version string // told as the version of the build

	DefaultLookback time.Duration // range of a search that names none; 24 h
	MaxTraceSpans   int           // spans of one trace that are returned; 100,000
	MaxLimit        int           // traces that one search may ask for; 10,000

	// Of deletions: who carries them out, how long one may be canceled whose
	// request does not say, and what records an action before it is done (an
	// error forbids it; nil: nothing is recorded).
	Deleter      traces.Deleter
	CancelWindow time.Duration
	Audit        func(r *http.Request, action, target string, detail map[string]string) error
}

func (o Options) withDefaults() Options {
	if o.Engine == nil {
		o.Engine = traceql.NewEngine(o.Store, traceql.Limits{})
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Audit == nil {
		o.Audit = func(*http.Request, string, string, map[string]string) error { return nil }
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.DefaultLookback <= 0 {
		o.DefaultLookback = 24 * time.Hour
	}
	if o.MaxTraceSpans <= 0 {
		o.MaxTraceSpans = 100_000
	}
	if o.MaxLimit <= 0 {
		o.MaxLimit = 10_000
	}
	return o
}
