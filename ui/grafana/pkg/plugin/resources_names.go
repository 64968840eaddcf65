package plugin

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"belfry/ui/grafana/pkg/belfry"
	"belfry/ui/grafana/pkg/rewrite"
)

func (d *Datasource) listNames(r *http.Request) (any, error) {
	l, err := d.readListing(r)
	if err != nil {
		return nil, err
	}
	var found []item
	switch l.signal {
	case "", typeMetrics:
		names, err := d.client.MetricLabels(r.Context(), l.query())
		if err != nil {
			return nil, err
		}
		found = items(names, "label")
	case typeLogs:
		names, err := d.client.LogLabels(r.Context(), l.query())
		if err != nil {
			return nil, err
		}
		found = items(names, "stream")
		fields, err := d.client.LogFields(r.Context(), l.query())
		if err != nil {
			return nil, err
		}
		for _, f := range fields {
			kind := "metadata"
			if len(f.Parsers) > 0 {
				kind = "parsed"
			}
			found = append(found, item{Text: f.Label, Kind: kind, Detail: f.Type})
		}
	case typeTraces:
		scopes, err := d.client.TraceTags(r.Context(), l.query())
		if err != nil {
			return nil, err
		}
		for _, s := range scopes {
			for _, tag := range s.Tags {
				if s.Name != "intrinsic" {
					tag = s.Name + "." + tag
				}
				found = append(found, item{Text: tag, Kind: s.Name})
			}
		}
	default:
		return nil, invalidf("%q is not a signal: it is metrics, logs or traces", l.signal)
	}
	return l.pick(found), nil
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func (d *Datasource) listValues(r *http.Request) (any, error) {
	l, err := d.readListing(r)
	if err != nil {
		return nil, err
	}
	if l.name == "" {
		return nil, invalidf("the name whose values are asked for is missing")
	}
	if l.signal == typeTraces {
		values, err := d.client.TraceTagValues(r.Context(), rewrite.Attribute(l.name), l.query())
		if err != nil {
			return nil, err
		}
		found := make([]item, 0, len(values))
		for _, v := range values {
			found = append(found, item{Text: v.Value, Kind: v.Type})
		}
		slices.SortFunc(found, func(a, b item) int { return cmp.Compare(a.Text, b.Text) })
		return l.pick(found), nil
	}
	name := rewrite.LabelName(l.name)
	if !labelName.MatchString(name) {
		return nil, invalidf("%q is not the name of a label", l.name)
	}
	var values []string
	if l.signal == typeLogs {
		values, err = d.logValues(r, name, l)
	} else {
		values, err = d.client.MetricLabelValues(r.Context(), name, l.query())
	}
	if err != nil {
		return nil, err
	}
	return l.pick(items(values, "")), nil
}

// logValues are a stream label's values, or else those of a field in the newest
// lines.
func (d *Datasource) logValues(r *http.Request, name string, l listing) ([]string, error) {
	values, err := d.client.LogLabelValues(r.Context(), name, l.query())
	if err != nil || len(values) > 0 {
		return values, err
	}
	return d.client.LogFieldValues(r.Context(), name, l.query())
}

func (d *Datasource) listMetrics(r *http.Request) (any, error) {
	l, err := d.readListing(r)
	if err != nil {
		return nil, err
	}
	names, err := d.client.MetricLabelValues(r.Context(), "__name__", l.query())
	if err != nil {
		return nil, err
	}
	picked := l.pick(items(names, ""))
	known, err := d.client.MetricMetadata(r.Context(), "")
	if err != nil {
		return picked, nil // names alone are worth having
	}
	for i := range picked.Items {
		it := &picked.Items[i]
		for _, suffix := range []string{"", "_total", "_bucket", "_sum", "_count"} {
			if m := known[trimmed(it.Text, suffix)]; len(m) > 0 {
				it.Kind, it.Detail = m[0].Type, m[0].Help
				break
			}
		}
	}
	return picked, nil
}

func trimmed(s, suffix string) string {
	if len(s) > len(suffix) && s[len(s)-len(suffix):] == suffix {
		return s[:len(s)-len(suffix)]
	}
	return s
}

func (d *Datasource) listSchedules(r *http.Request) (any, error) {
	schedules, err := d.client.OnCallAt(r.Context(), d.now())
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, s := range schedules {
		names[s.Schedule] = cmp.Or(s.Name, s.Schedule)
	}
	out := list{Items: []item{}}
	for _, id := range slices.Sorted(maps.Keys(names)) {
		out.Items = append(out.Items, item{Text: id, Detail: names[id]})
	}
	return out, nil
}

func readBody(r *http.Request, out any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return invalidf("the body cannot be read: %w", err)
	}
	return nil
}

type verdict struct {
	Valid   bool   `json:"valid"`
	Message string `json:"message,omitempty"`
	From    int    `json:"from"` // characters
	To      int    `json:"to"`
}

// validate says what is wrong with an expression and where. PromQL is read here,
// the other two languages by Belfry.
func (d *Datasource) validate(r *http.Request) (any, error) {
	var in struct {
		Type string `json:"queryType"`
		Expr string `json:"expr"`
	}
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	full := rewrite.Macros{Interval: time.Minute, Rate: time.Minute, Range: time.Hour, Window: time.Hour}.Expand(in.Expr)
	if full == "" {
		return verdict{Valid: true}, nil
	}
	var err error
	switch in.Type {
	case typeLogs, typePatterns:
		now := d.now()
		if rewrite.IsLogSelection(full) {
			_, err = d.client.LogsRange(r.Context(), belfry.LogRange{Query: full, Start: now.Add(-time.Millisecond), End: now, Limit: 1})
		} else {
			_, err = d.client.LogsRange(r.Context(), belfry.LogRange{Query: full, Start: now.Add(-time.Millisecond), End: now, Step: time.Second})
		}
	case typeTraces:
		if _, one := rewrite.TraceID(full); one {
			break
		}
		now := d.now()
		if rewrite.IsTraceMetrics(full) {
			_, _, err = d.client.TraceMetrics(r.Context(), full, now.Add(-time.Second), now, time.Second, 0)
		} else {
			_, err = d.client.SearchTraces(r.Context(), belfry.TraceSearch{Query: full, Start: now, End: now, Limit: 1, SpansPerTrace: 1})
		}
	default:
		err = rewrite.ParsePromQL(full)
		return verdictOf(err, in.Expr), nil
	}
	var reported *belfry.Error
	if err != nil && (!errors.As(err, &reported) || reported.Status >= 500) {
		return nil, err // the server is at fault, not the expression
	}
	return verdictOf(err, in.Expr), nil
}

var (
	lineColumn = regexp.MustCompile(`(?:line|at) (\d+)[:,](?: ?col(?:umn)? ?)?(\d+)`)
	character  = regexp.MustCompile(`(?:character|position|offset|column|col) (\d+)`)
)

// verdictOf finds the place in the words of an error.
func verdictOf(err error, expr string) verdict {
	if err == nil {
		return verdict{Valid: true}
	}
	v := verdict{Message: err.Error(), To: len(expr)}
	var list parser.ParseErrors
	if errors.As(err, &list) && len(list) > 0 {
		first := list[0]
		v.Message = first.Err.Error()
		v.From, v.To = int(first.PositionRange.Start), int(first.PositionRange.End)
	} else if m := lineColumn.FindStringSubmatch(v.Message); m != nil {
		line, _ := strconv.Atoi(m[1])
		column, _ := strconv.Atoi(m[2])
		v.From = offsetOf(expr, line, column)
	} else if m := character.FindStringSubmatch(v.Message); m != nil {
		n, _ := strconv.Atoi(m[1])
		v.From = n - 1
	}
	v.From = max(0, min(v.From, len(expr)))
	v.To = max(v.From, min(v.To, len(expr)))
	return v
}

func offsetOf(expr string, line, column int) int {
	at := 0
	for i := 0; i < len(expr) && line > 1; i++ {
		if expr[i] == '\n' {
			line--
			at = i + 1
		}
	}
	return at + column - 1
}

// rewriteQuery shows an expression with ad-hoc filters joined into it, for panels
// that are taken to Explore, where there are none.
func (d *Datasource) rewriteQuery(r *http.Request) (any, error) {
	var in struct {
		Type    string           `json:"queryType"`
		Expr    string           `json:"expr"`
		Filters []rewrite.Filter `json:"filters"`
		GroupBy []string         `json:"groupBy"`
	}
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	ask := rewrite.PromQL
	switch in.Type {
	case typeLogs, typePatterns:
		ask = rewrite.LogQL
	case typeTraces:
		ask = rewrite.TraceQL
	}
	out, err := ask(in.Expr, in.Filters, in.GroupBy)
	if err != nil {
		return nil, invalid{err}
	}
	return map[string]string{"expr": out}, nil
}
