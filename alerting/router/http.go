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
		if req.Method == http.MethodPost && req.URL.Path == "/api/v2/silences" {
			again, err := r.checkSilence(req)
			if err != nil {
				refuse(w, err)
				return
			}
			req = again
		}
		if r.share == nil || req.Method == http.MethodGet || !strings.HasPrefix(req.URL.Path, "/api/v2/silence") {
			next.ServeHTTP(w, req)
			return
		}
		// The others know of a silence before its author hears that it is there.
		answer := held{ResponseWriter: w}
		next.ServeHTTP(&answer, req)
		if err := r.share.flush(req.Context()); err != nil {
			refuse(w, fault.Unavailablef(10*time.Second, "other processes do not know of the change yet, this one does: %w", err))
			return
		}
		answer.release()
	})
}

// held is a response that is kept back until it is known to be true.
type held struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (h *held) WriteHeader(status int) { h.status = status }

func (h *held) Write(b []byte) (int, error) {
	h.body = append(h.body, b...)
	return len(b), nil
}

func (h *held) release() {
	if h.status != 0 {
		h.ResponseWriter.WriteHeader(h.status)
	}
	_, _ = h.ResponseWriter.Write(h.body) // the client went away
}
