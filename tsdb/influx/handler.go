package influx

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"

	"belfry/internal/fault"
	"belfry/tsdb"
)

// version is the one that clients are told; agents look only at its first
// number, if at all.
const version = "1.8.10"

// Options configure a Handler.
type Options struct {
	Store       tsdb.Appendable
	MaxBytes    int64 // of a body, and of what it decompresses to
	Concurrency int   // requests that are read at the same time; others wait
	Now         func() time.Time
	Logger      *slog.Logger          // nil discards
	Registerer  prometheus.Registerer // nil registers nothing
}

// Handler serves the write APIs and what agents ask before they write. The
// tenant is the one in the request's context.
type Handler struct {
	o     Options
	mux   *http.ServeMux
	gate  chan struct{}
	texts prometheus.Counter
}

// New returns a handler of /write, /api/v2/write, /ping, /health and /query.
func New(o Options) *Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{o: o, mux: http.NewServeMux(), gate: make(chan struct{}, max(1, o.Concurrency)), texts: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "belfry_metrics_influx_text_fields_total",
		Help: "Fields of InfluxDB lines that hold text and are therefore no samples.",
	})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(h.texts)
	}
	h.mux.HandleFunc("POST /write", func(w http.ResponseWriter, r *http.Request) { h.answer(w, h.write(w, r, "db"), answerV1) })
	h.mux.HandleFunc("POST /api/v2/write", func(w http.ResponseWriter, r *http.Request) { h.answer(w, h.write(w, r, "bucket"), answerV2) })
	h.mux.HandleFunc("GET /ping", ping)
	h.mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"name": "influxdb", "status": "pass", "version": version, "message": "ready for writes"})
	})
	h.mux.HandleFunc("/query", query)
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Influxdb-Version", version)
	w.WriteHeader(http.StatusNoContent)
}

// query answers agents that create their database before they write, which
// needs no creating here. Queries proper are PromQL's.
func query(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Influxdb-Version", version)
	writeJSON(w, http.StatusOK, json.RawMessage(`{"results":[{"statement_id":0}]}`))
}

func (h *Handler) write(w http.ResponseWriter, r *http.Request, database string) error {
	params := r.URL.Query()
	unit, err := unitOf(params.Get("precision"))
	if err != nil {
		return err
	}
	select {
	case h.gate <- struct{}{}:
		defer func() { <-h.gate }()
	case <-r.Context().Done():
		return r.Context().Err()
	}
	body, err := h.body(w, r)
	if err != nil {
		return err
	}
	b := batch{app: h.o.Store.AppenderV2(r.Context()), db: params.Get(database), unit: unit, now: h.o.Now()}
	if err := b.append(body); err != nil {
		return errors.Join(err, b.app.Rollback())
	}
	if err := b.app.Commit(); err != nil {
		return err
	}
	h.texts.Add(float64(b.texts))
	if n := b.rejected.Total(); n > 0 {
		return fault.Invalidf("partial write: %d lines or points were rejected, the others are kept: %s dropped=%d", n, b.rejected.String(), n)
	}
	return nil
}

// body reads a body, decompressed. What it decompresses to has the same limit.
func (h *Handler) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var in io.Reader = http.MaxBytesReader(w, r.Body, h.o.MaxBytes)
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return nil, fault.Invalidf("decompress request: %w", err)
		}
		in = unzipped
	default:
		return nil, fault.Invalidf("unsupported Content-Encoding %q, want gzip", encoding)
	}
	body, err := io.ReadAll(io.LimitReader(in, h.o.MaxBytes+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) || int64(len(body)) > h.o.MaxBytes:
		return nil, fault.New(fault.TooLarge, "request is over the limit of %d bytes", h.o.MaxBytes)
	case err != nil:
		return nil, fault.Invalidf("read request: %w", err)
	}
	return body, nil
}

// unitOf reads the unit of a request's times, in the spelling of either version.
func unitOf(text string) (time.Duration, error) {
	switch text {
	case "", "n", "ns":
		return time.Nanosecond, nil
	case "u", "us", "µ":
		return time.Microsecond, nil
	case "ms":
		return time.Millisecond, nil
	case "s":
		return time.Second, nil
	case "m":
		return time.Minute, nil
	case "h":
		return time.Hour, nil
	}
	return 0, fault.Invalidf("precision %q is not one of ns, us, ms, s, m and h", text)
}

func (h *Handler) answer(w http.ResponseWriter, err error, as func(http.ResponseWriter, int, string)) {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if after := fault.RetryAfter(err); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	as(w, fault.HTTPStatus(err), err.Error())
}

func answerV1(w http.ResponseWriter, status int, message string) {
	w.Header().Set("X-Influxdb-Version", version)
	writeJSON(w, status, map[string]string{"error": message})
}

// answerV2 names the kind of an error as version 2 does.
func answerV2(w http.ResponseWriter, status int, message string) {
	code := "internal error"
	switch status {
	case http.StatusBadRequest:
		code = "invalid"
	case http.StatusRequestEntityTooLarge:
		code = "request too large"
	case http.StatusTooManyRequests:
		code = "too many requests"
	case http.StatusServiceUnavailable:
		code = "unavailable"
	}
	writeJSON(w, status, map[string]string{"code": code, "message": message})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away: nobody is left to tell
}
