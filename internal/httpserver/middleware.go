package httpserver

import (
	"bufio"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"belfry/internal/fault"
)

// limitBodies refuses bodies over limit bytes: at once where the length is
// declared, while reading otherwise.
func limitBodies(next http.Handler, limit int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > limit {
			fault.WriteHTTP(w, fault.New(fault.TooLarge, "request body of %d bytes is over the limit of %d", r.ContentLength, limit))
			return
		}
		// A copy, since the server looks at its own request's body to see whether
		// a handler closed it before the end, as decompressors do. If it does not
		// find it, it takes the rest of the body for the next request.
		limited := r.WithContext(r.Context())
		limited.Body = http.MaxBytesReader(w, r.Body, limit)
		defer func() { r.Pattern = limited.Pattern }() // for who measures
		next.ServeHTTP(w, limited)
	})
}

// recoverPanics answers 500 for a handler that panicked and logs where, so that
// one bad request cannot take the process down.
func recoverPanics(next http.Handler, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(cause) // net/http's own way to drop a connection
			}
			logger.Error("handler panicked", "method", r.Method, "path", r.URL.Path, "cause", cause, "stack", string(debug.Stack()))
			http.Error(w, "internal error", http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

type metrics struct {
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	factory := promauto.With(reg)
	return &metrics{
		duration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "belfry_http_request_duration_seconds",
			Help:    "Time to answer an HTTP request, by route.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"method", "route", "code"}),
		inFlight: factory.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_http_requests_in_flight",
			Help: "HTTP requests being answered now.",
		}),
	}
}

// instrument observes every request under the mux pattern that matched it, so
// that the number of series is bounded by the routes.
func (m *metrics) instrument(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.inFlight.Inc()
		defer m.inFlight.Dec()
		begin := time.Now()
		rec := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		route := r.Pattern
		if route == "" {
			route = "unmatched"
		}
		m.duration.WithLabelValues(method(r.Method), route, strconv.Itoa(rec.status)).Observe(time.Since(begin).Seconds())
	})
}

// method bounds the label's values: a client may send any token as its method.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch:
		return m
	}
	return "other"
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(code int) {
	r.status = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Flush implements http.Flusher for the handlers that stream.
func (r *statusRecorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

// Hijack implements http.Hijacker for WebSockets.
func (r *statusRecorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	r.status = http.StatusSwitchingProtocols
	return http.NewResponseController(r.ResponseWriter).Hijack()
}
