package telemetry

import (
	"bytes"
	"io"
	"net/http"
)

// inProcess is an http.RoundTripper over a handler of this process. Requests
// are marked.
type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := &responseBuffer{header: http.Header{}, status: http.StatusOK}
	served := r.Clone(Mark(r.Context()))
	if served.Body == nil {
		served.Body = http.NoBody
	}
	t.handler.ServeHTTP(rec, served)
	if err := served.Body.Close(); err != nil {
		return nil, err
	}
	return &http.Response{
		Status:        http.StatusText(rec.status),
		StatusCode:    rec.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        rec.header,
		Body:          io.NopCloser(&rec.body),
		ContentLength: int64(rec.body.Len()),
		Request:       r,
	}, nil
}

type responseBuffer struct {
	header http.Header
	body   bytes.Buffer
	status int
}

func (b *responseBuffer) Header() http.Header         { return b.header }
func (b *responseBuffer) Write(p []byte) (int, error) { return b.body.Write(p) }
func (b *responseBuffer) WriteHeader(status int)      { b.status = status }
