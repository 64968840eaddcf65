package plugin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"belfry/ui/grafana/pkg/belfry"
	"belfry/ui/grafana/pkg/rewrite"
)

// Bounds of what completion and variables list.
const (
	defaultNames = 1000
	maxNames     = 20_000
	maxBody      = 1 << 20
)

// resources are what editors and variables ask for, as GET with parameters:
//
//	/names     names of labels, fields or attributes of a signal
//	/values    values of one
//	/metrics   metrics with type and help
//	/schedules on-call schedules
//
// and as POST with JSON: /validate, what is wrong with an expression and where;
// /rewrite, an expression with ad-hoc filters joined into it.
// All take from and to in ms, a limit, and a text that results contain (search).
func (d *Datasource) resources() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(*http.Request) (any, error){
		"GET /names":     d.listNames,
		"GET /values":    d.listValues,
		"GET /metrics":   d.listMetrics,
		"GET /schedules": d.listSchedules,
		"POST /validate": d.validate,
		"POST /rewrite":  d.rewriteQuery,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := h(r)
			if err != nil {
				writeFault(w, err)
				return
			}
			writeJSON(w, http.StatusOK, answer)
		})
	}
	return mux
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func writeFault(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	var reported *belfry.Error
	var bad invalid
	switch {
	case errors.As(err, &reported):
		status = reported.Status
	case errors.As(err, &bad):
		status = http.StatusBadRequest
	}
	writeJSON(w, status, map[string]string{"message": err.Error()})
}

// listing are the parameters that all lists share.
type listing struct {
	signal, name, match, search string
	from, to                    time.Time
	limit                       int
}

func (d *Datasource) readListing(r *http.Request) (listing, error) {
	p := r.URL.Query()
	l := listing{signal: p.Get("signal"), name: p.Get("name"), match: p.Get("match"), search: strings.ToLower(p.Get("search")), to: d.now()}
	var err error
	if l.to, err = millisParam(p, "to", l.to); err != nil {
		return l, err
	}
	if l.from, err = millisParam(p, "from", l.to.Add(-time.Hour)); err != nil {
		return l, err
	}
	l.limit = defaultNames
	if s := p.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return l, invalidf("the limit %q is not a number above 0", s)
		}
		l.limit = min(n, maxNames)
	}
	if s := p.Get("filters"); s != "" {
		var filters []rewrite.Filter
		if err := json.Unmarshal([]byte(s), &filters); err != nil {
			return l, invalidf("filters: %w", err)
		}
		l.match, err = narrowed(l.signal, l.match, filters)
	}
	return l, err
}

func millisParam(p url.Values, name string, otherwise time.Time) (time.Time, error) {
	s := p.Get(name)
	if s == "" {
		return otherwise, nil
	}
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return otherwise, invalidf("%s: %q is not a time in ms", name, s)
	}
	return time.UnixMilli(ms), nil
}

// narrowed adds filters to a selector, an empty one included.
func narrowed(signal, match string, filters []rewrite.Filter) (string, error) {
	if len(filters) == 0 {
		return match, nil
	}
	var out string
	var err error
	switch signal {
	case typeLogs:
		if match == "" {
			match = "{}"
		}
		out, err = rewrite.LogQL(match, filters, nil)
	case typeTraces:
		if match == "" {
			match = "{}"
		}
		out, err = rewrite.TraceQL(match, filters, nil)
	default:
		if match == "" {
			match = `{__name__!=""}`
		}
		out, err = rewrite.PromQL(match, filters, nil)
	}
	if err != nil {
		return "", invalid{err}
	}
	return out, nil
}

func (l *listing) query() belfry.NameQuery {
	q := belfry.NameQuery{Match: l.match, Start: l.from, End: l.to, Limit: l.limit}
	if l.search != "" {
		q.Limit = maxNames // what matches is picked here
	}
	return q
}

type list struct {
	Items     []item `json:"items"`
	Truncated bool   `json:"truncated,omitempty"`
}

type item struct {
	Text   string `json:"text"`
	Kind   string `json:"kind,omitempty"`   // of a name: stream, field, resource, span ...; of a value: its type
	Detail string `json:"detail,omitempty"` // help
}

// pick keeps what contains the search, what begins with it first, up to the limit.
func (l *listing) pick(items []item) list {
	out := list{Items: []item{}}
	var later []item
	for _, it := range items {
		text := strings.ToLower(it.Text)
		switch {
		case l.search == "" || strings.HasPrefix(text, l.search):
			out.Items = append(out.Items, it)
		case strings.Contains(text, l.search):
			later = append(later, it)
		}
	}
	out.Items = append(out.Items, later...)
	if len(out.Items) > l.limit {
		out.Items, out.Truncated = out.Items[:l.limit], true
	} else if l.search == "" && len(items) >= l.limit {
		out.Truncated = true
	}
	return out
}

func items(names []string, kind string) []item {
	out := make([]item, 0, len(names))
	for _, n := range names {
		out = append(out, item{Text: n, Kind: kind})
	}
	return out
}
