package api

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/storage"

	"belfry/internal/fault"
	"belfry/tsdb"
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
	p, err := textparse.New(body, r.Header.Get("Content-Type"), labels.NewSymbolTable(), textparse.ParserOptions{FallbackContentType: "text/plain"})
	if p == nil {
		respondError(w, fault.Invalidf("import: %w", err))
		return
	}
	in := textImport{
		parser: p,
		app:    a.o.Store.AppenderV2(r.Context()),
		now:    a.o.Now().UnixMilli(),
		extra:  extra,
		meta:   map[string]metadata.Metadata{},
	}
	if err := in.run(); err != nil {
		err = errors.Join(err, in.app.Rollback())
		respondError(w, err)
		return
	}
	if err := in.app.Commit(); err != nil {
		respondError(w, err)
		return
	}
	if in.rejected.Total() > 0 {
		respondError(w, fault.Invalidf("%d samples were rejected, the others are kept: %s", in.rejected.Total(), in.rejected.String()))
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

type textImport struct {
	parser   textparse.Parser
	app      storage.AppenderV2
	now      int64
	extra    []labels.Label
	meta     map[string]metadata.Metadata // by family
	family   string                       // the one that comments named last
	rejected tsdb.Tally
}

func (in *textImport) run() error {
	for {
		entry, err := in.parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Invalidf("import: %w", err)
		}
		switch entry {
		case textparse.EntryType:
			name, typ := in.parser.Type()
			in.describe(name, func(m *metadata.Metadata) { m.Type = typ })
		case textparse.EntryHelp:
			name, help := in.parser.Help()
			text := string(help)
			in.describe(name, func(m *metadata.Metadata) { m.Help = text })
		case textparse.EntryUnit:
			name, unit := in.parser.Unit()
			text := string(unit)
			in.describe(name, func(m *metadata.Metadata) { m.Unit = text })
		case textparse.EntrySeries:
			_, ts, v := in.parser.Series()
			err = in.append(ts, v, nil, nil)
		case textparse.EntryHistogram:
			_, ts, h, fh := in.parser.Histogram()
			err = in.append(ts, 0, h, fh)
		}
		if err != nil {
			return err
		}
	}
}

func (in *textImport) describe(name []byte, set func(*metadata.Metadata)) {
	in.family = string(name)
	m := in.meta[in.family]
	set(&m)
	in.meta[in.family] = m
}

func (in *textImport) append(ts *int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) error {
	t := in.now
	if ts != nil {
		t = *ts
	}
	var ls labels.Labels
	in.parser.Labels(&ls)
	if len(in.extra) > 0 {
		b := labels.NewBuilder(ls)
		for _, l := range in.extra {
			b.Set(l.Name, l.Value)
		}
		ls = b.Labels()
	}
	o := storage.AOptions{Exemplars: in.exemplars(t)}
	if strings.HasPrefix(ls.Get(model.MetricNameLabel), in.family) {
		o.MetricFamilyName, o.Metadata = in.family, in.meta[in.family]
	}
	_, err := in.app.Append(0, ls, in.parser.StartTimestamp(), t, v, h, fh, o)
	if err == nil || errors.Is(err, &storage.AppendPartialError{}) {
		return nil
	}
	if reason, ok := tsdb.Rejected(err); ok {
		in.rejected.Add(reason, 1, err)
		return nil
	}
	return err
}

func (in *textImport) exemplars(t int64) []exemplar.Exemplar {
	var out []exemplar.Exemplar
	for {
		var e exemplar.Exemplar
		if !in.parser.Exemplar(&e) {
			return out
		}
		if !e.HasTs {
			e.Ts = t
		}
		out = append(out, e)
	}
}
