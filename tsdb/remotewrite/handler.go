package remotewrite

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"sync"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"

	"belfry/internal/fault"
	"belfry/tsdb"
)

// maxExpansion is how much larger than Config.MaxRequestSize a body may be once
// it is decompressed.
const maxExpansion = 4

// The messages, by the value of the content type's parameter "proto".
const (
	messageV1 = "prometheus.WriteRequest"
	messageV2 = "io.prometheus.write.v2.Request"
)

const contentType = "application/x-protobuf"

// Store is what the receiver writes to.
type Store interface {
	tsdb.Appendable
	tsdb.ExemplarAppender
}

// Options configure a Handler.
type Options struct {
	Store      Store
	Config     tsdb.RemoteWriteConfig
	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

// Handler is the receiver, an http.Handler for any path. The tenant is the one
// in the request's context.
type Handler struct {
	store    Store
	limit    int64
	log      *slog.Logger
	gate     chan struct{}
	buffers  sync.Pool // of *buffers
	batches  sync.Pool // of *batch
	requests *prometheus.CounterVec
}

type buffers struct{ compressed, plain []byte }

// New returns a receiver.
func New(o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{
		store:   o.Store,
		limit:   int64(o.Config.MaxRequestSize),
		log:     o.Logger,
		gate:    make(chan struct{}, o.Config.MaxConcurrency),
		buffers: sync.Pool{New: func() any { return new(buffers) }},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_remote_write_requests_total",
			Help: "Remote write requests, by protocol version and HTTP status.",
		}, []string{"version", "code"}),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(h.requests)
	}
	return h
}

// written are the counts that a 2.0 receiver must answer with, whatever the
// status.
type written struct{ samples, histograms, exemplars int }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "remote write takes POST only", http.StatusMethodNotAllowed)
		return
	}
	message, problem := negotiate(r.Header)
	if problem != "" {
		h.count("unknown", http.StatusUnsupportedMediaType)
		http.Error(w, problem, http.StatusUnsupportedMediaType)
		return
	}
	counts, err := h.receive(w, r, message)
	version := "1"
	if message == messageV2 {
		version = "2"
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(counts.samples))
		w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", strconv.Itoa(counts.histograms))
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.Itoa(counts.exemplars))
	}
	if err != nil {
		h.count(version, fault.HTTPStatus(err))
		fault.WriteHTTP(w, err)
		return
	}
	h.count(version, http.StatusNoContent)
	w.WriteHeader(http.StatusNoContent)
}

func (h *Handler) count(version string, code int) {
	h.requests.WithLabelValues(version, strconv.Itoa(code)).Inc()
}

// negotiate returns which message the request holds, or why it cannot be read.
func negotiate(header http.Header) (message, problem string) {
	switch encoding := header.Get("Content-Encoding"); encoding {
	case "", "snappy":
	default:
		return "", "unsupported Content-Encoding " + strconv.Quote(encoding) + ", want snappy"
	}
	value := header.Get("Content-Type")
	if value == "" {
		return messageV1, ""
	}
	mediaType, params, err := mime.ParseMediaType(value)
	if err != nil || mediaType != contentType {
		return "", "unsupported Content-Type " + strconv.Quote(value) + ", want " + contentType
	}
	switch proto := params["proto"]; proto {
	case "", messageV1:
		return messageV1, ""
	case messageV2:
		return messageV2, ""
	default:
		return "", "unsupported message " + strconv.Quote(proto) + ", want " + messageV1 + " or " + messageV2
	}
}

// receive reads, decodes and appends a request.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, message string) (written, error) {
	select {
	case h.gate <- struct{}{}:
		defer func() { <-h.gate }()
	case <-r.Context().Done():
		return written{}, r.Context().Err()
	}
	buf, ok := h.buffers.Get().(*buffers)
	if !ok {
		buf = new(buffers)
	}
	defer h.buffers.Put(buf)
	body, err := h.readBody(w, r, buf)
	if err != nil {
		return written{}, err
	}
	return h.write(r.Context(), message, body)
}

// readBody returns the decompressed body, in memory that belongs to buf.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, buf *buffers) ([]byte, error) {
	if r.ContentLength > h.limit {
		return nil, fault.New(fault.TooLarge, "request has %d bytes, the limit is %d", r.ContentLength, h.limit)
	}
	var err error
	buf.compressed, err = readAll(http.MaxBytesReader(w, r.Body, h.limit), buf.compressed[:0])
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, fault.New(fault.TooLarge, "request is over the limit of %d bytes", h.limit)
	case err != nil:
		return nil, fault.Invalidf("read request: %w", err)
	}
	size, err := snappy.DecodedLen(buf.compressed)
	switch {
	case err != nil:
		return nil, fault.Invalidf("decompress request: %w", err)
	case int64(size) > maxExpansion*h.limit:
		return nil, fault.New(fault.TooLarge, "request decompresses to %d bytes, the limit is %d", size, maxExpansion*h.limit)
	}
	plain, err := snappy.Decode(buf.plain[:cap(buf.plain)], buf.compressed)
	if err != nil {
		return nil, fault.Invalidf("decompress request: %w", err)
	}
	buf.plain = plain
	return plain, nil
}

// readAll is io.ReadAll into memory that is there already.
func readAll(r io.Reader, buf []byte) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

var errExemplarLost = errors.New("an exemplar of a series without samples, out of order or too long")

// write appends a decompressed message and says what was kept.
func (h *Handler) write(ctx context.Context, message string, body []byte) (written, error) {
	b, ok := h.batches.Get().(*batch)
	if !ok {
		b = new(batch)
	}
	defer h.batches.Put(b)
	defer b.end()
	b.begin(ctx, h.store)
	var err error
	if message == messageV2 {
		err = b.messageV2(body)
	} else {
		err = b.messageV1(body)
	}
	if err != nil {
		return written{}, errors.Join(err, b.rollback())
	}
	if err := b.commit(); err != nil {
		return written{}, err
	}
	// Version 2.0 forbids to say OK to less than all; version 1.0 has exemplars as
	// an aid.
	if message == messageV2 && b.lost > 0 {
		b.rejected.Add(tsdb.ExemplarLost, b.lost, errExemplarLost)
	}
	if b.rejected.Total() > 0 {
		return b.written, fault.Invalidf("%d samples or series were rejected, the others are kept: %s", b.rejected.Total(), b.rejected.String())
	}
	return b.written, nil
}
