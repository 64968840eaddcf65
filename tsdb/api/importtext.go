package api

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"belfry/internal/fault"
	"belfry/tsdb/exposition"
)

// maxExpansion bounds what a compressed body may grow to.
const maxExpansion = 8

// importText appends a body in the Prometheus text or OpenMetrics format.
// Samples without a timestamp get the time of the request. extra_label=k=v adds
// a label to every series, and wins over one of the same name.
func (a *API) importText(w http.ResponseWriter, r *http.Request) {
	body, err := a.readBody(w, r)
	if err != nil {
		respondError(w, err)
		return
	}
	extra, err := extraLabels(r.URL.Query()["extra_label"])
	if err != nil {
		respondError(w, err)
		return
	}
	app := a.o.Store.AppenderV2(r.Context())
	rejected, err := exposition.Append(app, exposition.Page{
		Body:        body,
		ContentType: r.Header.Get("Content-Type"),
		Now:         a.o.Now().UnixMilli(),
		Extra:       extra,
	})
	if err != nil {
		respondError(w, errors.Join(err, app.Rollback()))
		return
	}
	if err := app.Commit(); err != nil {
		respondError(w, err)
		return
	}
	if rejected.Total() > 0 {
		respondError(w, fault.Invalidf("%d samples were rejected, the others are kept: %s", rejected.Total(), rejected.String()))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limit := int64(a.o.Config.RemoteWrite.MaxRequestSize)
	var in io.Reader = http.MaxBytesReader(w, r.Body, limit)
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "", "identity":
	case "gzip":
		zr, err := gzip.NewReader(in)
		if err != nil {
			return nil, fault.Invalidf("import: %w", err)
		}
		limit *= maxExpansion
		in = zr
	default:
		return nil, fault.Invalidf("import: unsupported Content-Encoding %q", enc)
	}
	body, err := io.ReadAll(io.LimitReader(in, limit+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) || int64(len(body)) > limit:
		return nil, fault.New(fault.TooLarge, "import: body is over the limit of %d bytes", limit)
	case err != nil:
		return nil, fault.Invalidf("import: %w", err)
	}
	return body, nil
}

func extraLabels(params []string) ([]labels.Label, error) {
	var out []labels.Label
	for _, p := range params {
		name, val, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, fault.Invalidf("extra_label must be name=value, got %q", p)
		}
		out = append(out, labels.Label{Name: name, Value: val})
	}
	return out, nil
}
