package router

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/api"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"

	"belfry/internal/fault"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 32 << 20

func (r *Router) newAPI() error {
	a, err := api.New(api.Options{
		Alerts:          r.posted,
		Silences:        r.silences,
		GroupMutedFunc:  r.groupMarker.Muted,
		Logger:          r.logger.With("component", "api"),
		Registry:        r.opts.Registerer,
		RequestDuration: r.metrics.requestDuration,
		GroupFunc: func(ctx context.Context, routes func(*dispatch.Route) bool, alerts func(*alert.Alert, time.Time) bool) (dispatch.AlertGroups, map[model.Fingerprint][]string, error) {
			return r.running.Load().dispatcher.Groups(ctx, routes, alerts)
		},
	})
	if err != nil {
		return err
	}
	r.api = a
	v2 := a.Register(route.New(), "/")
	mux := http.NewServeMux()
	mux.Handle("/api/", r.guard(v2))
	mux.HandleFunc("GET /-/healthy", r.healthy)
	mux.HandleFunc("GET /-/ready", r.healthy)
	// Alertmanager's CORS lets every web page post silences; ours does not.
	r.handler = http.NewCrossOriginProtection().Handler(mux)
	return nil
}

// Handler serves Alertmanager's API: /api/v2/*, /-/healthy and /-/ready, to be
// mounted without a prefix.
func (r *Router) Handler() http.Handler { return r.handler }

func (r *Router) healthy(w http.ResponseWriter, _ *http.Request) {
	if r.running.Load() == nil {
		fault.WriteHTTP(w, fault.Unavailablef(time.Second, "not started"))
		return
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte("OK"))
}

// guard refuses what cannot be served or kept.
func (r *Router) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.running.Load() == nil {
			fault.WriteHTTP(w, fault.Unavailablef(time.Second, "not started"))
			return
		}
		if req.Method != http.MethodGet && strings.HasPrefix(req.URL.Path, "/api/v2/silence") {
			if err := r.silenceJournal.healthy(); err != nil {
				fault.WriteHTTP(w, fault.Unavailablef(10*time.Second, "silences cannot be stored: %w", err))
				return
			}
		}
		req.Body = http.MaxBytesReader(w, req.Body, maxBody)
		req.Header.Del("Origin") // no CORS headers
		next.ServeHTTP(w, req)
	})
}
