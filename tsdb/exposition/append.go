package exposition

import (
	"errors"
	"io"
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

// Page is one exposition.
type Page struct {
	Body        []byte
	ContentType string // empty is the text format
	Now         int64  // milliseconds, for samples without a timestamp

	// Extra labels are added to every series and win over those of the same
	// name.
	Extra []labels.Label
}

// Append appends a page's samples and returns those that were refused. After an
// error (the page is not well formed, or the store cannot take anything) the
// caller rolls back. Committing is the caller's, too.
func Append(app storage.AppenderV2, page Page) (tsdb.Tally, error) {
	p, err := textparse.New(page.Body, page.ContentType, labels.NewSymbolTable(), textparse.ParserOptions{FallbackContentType: "text/plain"})
	if p == nil {
		return tsdb.Tally{}, fault.Invalidf("parse exposition: %w", err)
	}
	a := appending{parser: p, app: app, now: page.Now, extra: page.Extra, meta: map[string]metadata.Metadata{}}
	err = a.run()
	return a.rejected, err
}

type appending struct {
	parser   textparse.Parser
	app      storage.AppenderV2
	now      int64
	extra    []labels.Label
	meta     map[string]metadata.Metadata // by family
	family   string                       // the one that comments named last
	rejected tsdb.Tally
}

func (in *appending) run() error {
	for {
		entry, err := in.parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Invalidf("parse exposition: %w", err)
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

func (in *appending) describe(name []byte, set func(*metadata.Metadata)) {
	in.family = string(name)
	m := in.meta[in.family]
	set(&m)
	in.meta[in.family] = m
}

func (in *appending) append(ts *int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) error {
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

func (in *appending) exemplars(t int64) []exemplar.Exemplar {
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
