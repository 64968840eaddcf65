package plugin

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
	"belfry/ui/grafana/pkg/rewrite"
)

// Kinds of labels of a line, as Grafana's log details group them.
const (
	kindStream   = "I"
	kindMetadata = "S"
	kindParsed   = "P"
)

// row is a line with all that is known of it.
type row struct {
	time   int64 // ns
	line   string
	id     string
	labels json.RawMessage // of all kinds
	kinds  json.RawMessage
	named  []label
}

type label struct{ name, value, kind string }

func (r *row) lookup(name string) string {
	i, ok := slices.BinarySearchFunc(r.named, name, func(l label, n string) int { return cmp.Compare(l.name, n) })
	if !ok {
		return ""
	}
	return r.named[i].value
}

// rowsOf gives every line an ID that follows from what it is: its time, labels
// and text. Lines that agree in all of them are numbered.
func rowsOf(streams []belfry.Stream) []row {
	n := 0
	for _, s := range streams {
		n += len(s.Entries)
	}
	rows := make([]row, 0, n)
	seen := make(map[string]int, n)
	for _, s := range streams {
		fixed := labelsOf(s.Labels, kindStream)
		var shared row // of entries with no labels of their own
		for _, e := range s.Entries {
			r := row{time: e.Time, line: e.Line}
			if len(e.Metadata)+len(e.Parsed) == 0 {
				if shared.labels == nil {
					shared.setLabels(fixed)
				}
				r.named, r.labels, r.kinds = shared.named, shared.labels, shared.kinds
			} else {
				r.setLabels(merged(fixed, e.Metadata, e.Parsed))
			}
			r.identify(seen)
			rows = append(rows, r)
		}
	}
	return rows
}

func labelsOf(m map[string]string, kind string) []label {
	out := make([]label, 0, len(m))
	for name, value := range m {
		out = append(out, label{name, value, kind})
	}
	slices.SortFunc(out, func(a, b label) int { return cmp.Compare(a.name, b.name) })
	return out
}

// merged adds to fixed; of equal names the latest wins.
func merged(fixed []label, metadata, parsed map[string]string) []label {
	out := make([]label, 0, len(fixed)+len(metadata)+len(parsed))
	for _, l := range fixed {
		if _, ok := metadata[l.name]; ok {
			continue
		}
		if _, ok := parsed[l.name]; !ok {
			out = append(out, l)
		}
	}
	for name, value := range metadata {
		if _, ok := parsed[name]; !ok {
			out = append(out, label{name, value, kindMetadata})
		}
	}
	for name, value := range parsed {
		out = append(out, label{name, value, kindParsed})
	}
	slices.SortFunc(out, func(a, b label) int { return cmp.Compare(a.name, b.name) })
	return out
}

// setLabels writes the labels and their kinds as JSON.
func (r *row) setLabels(named []label) {
	size := 2
	for _, l := range named {
		size += len(l.name) + len(l.value) + 8
	}
	values := append(make([]byte, 0, size), '{')
	kinds := append(make([]byte, 0, size), '{')
	for i, l := range named {
		if i > 0 {
			values, kinds = append(values, ','), append(kinds, ',')
		}
		values = append(appendJSON(append(appendJSON(values, l.name), ':'), l.value), ""...)
		kinds = append(append(append(appendJSON(kinds, l.name), `:"`...), l.kind...), '"')
	}
	r.named, r.labels, r.kinds = named, append(values, '}'), append(kinds, '}')
}

// appendJSON writes a string as JSON; most need no escaping.
func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...)
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func (r *row) identify(seen map[string]int) {
	h := xxhash.New()
	_, _ = h.Write(r.labels)
	_, _ = h.WriteString("\x00" + r.line)
	id := strconv.AppendInt(make([]byte, 0, 44), r.time, 10)
	var sum [8]byte
	id = hex.AppendEncode(append(id, '_'), h.Sum(sum[:0]))
	r.id = string(id)
	n := seen[r.id]
	seen[r.id] = n + 1
	if n > 0 {
		r.id += "_" + strconv.Itoa(n)
	}
}

// sortRows orders by time and, within a nanosecond, by ID: the one direction is
// the exact reverse of the other.
func sortRows(rows []row, forward bool) {
	slices.SortFunc(rows, func(a, b row) int {
		c := cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.id, b.id))
		if forward {
			return c
		}
		return -c
	})
}

// logFrame has the fields of Grafana's contract of log lines, and a field with a
// link for the trace and for each derived field that any line has.
func (d *Datasource) logFrame(q *Query, expr string, rows []row, res *belfry.Result) *data.Frame {
	f := d.logFields(rows)
	f.Meta = &data.FrameMeta{
		Type: data.FrameTypeLogLines, TypeVersion: version(), PreferredVisualization: data.VisTypeLogs,
		ExecutedQueryString: expr, Notices: notices(res.Warnings),
		Custom: map[string]any{"searchWords": rewrite.SearchWords(expr), "limit": q.MaxLines},
		Stats: []data.QueryStat{
			stat("Scanned", "decbytes", res.Stats.Bytes), stat("Lines scanned", "short", res.Stats.Lines),
			stat("Time in Belfry", "s", res.Stats.Seconds),
		},
	}
	return f
}

func stat(name, unit string, v float64) data.QueryStat {
	return data.QueryStat{FieldConfig: data.FieldConfig{DisplayName: name, Unit: unit}, Value: v}
}

func (d *Datasource) logFields(rows []row) *data.Frame {
	times, bodies := make([]time.Time, len(rows)), make([]string, len(rows))
	severities, ids := make([]string, len(rows)), make([]string, len(rows))
	labels, kinds := make([]json.RawMessage, len(rows)), make([]json.RawMessage, len(rows))
	for i := range rows {
		r := &rows[i]
		times[i], bodies[i], ids[i] = time.Unix(0, r.time).UTC(), r.line, r.id
		labels[i], kinds[i] = r.labels, r.kinds
		severities[i] = cmp.Or(r.lookup(levelLabel), r.lookup("level"), r.lookup("severity_text"))
	}
	kindField := data.NewField("labelTypes", nil, kinds)
	kindField.Config = &data.FieldConfig{Custom: map[string]any{"hidden": true}}
	f := data.NewFrame("", data.NewField("timestamp", nil, times), data.NewField("body", nil, bodies),
		data.NewField("severity", nil, severities), data.NewField("id", nil, ids),
		data.NewField("labels", nil, labels), kindField)
	f.Fields = append(f.Fields, d.traceField(rows)...)
	for i := range d.settings.DerivedFields {
		if field := d.derivedField(&d.settings.DerivedFields[i], rows); field != nil {
			f.Fields = append(f.Fields, field)
		}
	}
	return f
}

// traceField links lines to their traces with nothing configured.
func (d *Datasource) traceField(rows []row) []*data.Field {
	values, found := make([]*string, len(rows)), false
	for i := range rows {
		for _, name := range traceLabels {
			if v := rows[i].lookup(name); v != "" {
				values[i], found = &v, true
				break
			}
		}
	}
	if !found {
		return nil
	}
	field := data.NewField("trace_id", nil, values)
	field.Config = &data.FieldConfig{Links: []data.DataLink{d.traceLink("Open the trace", "${__value.raw}")}}
	return []*data.Field{field}
}

func (d *Datasource) derivedField(df *DerivedField, rows []row) *data.Field {
	values, found := make([]*string, len(rows)), false
	for i := range rows {
		v := ""
		if df.pattern == nil {
			v = rows[i].lookup(df.Matcher)
		} else if m := df.pattern.FindStringSubmatch(rows[i].line); m != nil {
			v = m[len(m)-1]
			if len(m) > 1 {
				v = m[1]
			}
		}
		if v != "" {
			values[i], found = &v, true
		}
	}
	if !found {
		return nil
	}
	field := data.NewField(df.Name, nil, values)
	link := data.DataLink{Title: df.Title, URL: df.URL, TargetBlank: true}
	switch {
	case df.DatasourceUID != "":
		id := df.URL
		if id == "" {
			id = "${__value.raw}"
		}
		link = d.traceLinkTo(df.Title, id, Target{UID: df.DatasourceUID, Type: df.DatasourceType})
	case df.URL == "":
		link = d.traceLinkTo(df.Title, "${__value.raw}", Target{})
	}
	field.Config = &data.FieldConfig{Links: []data.DataLink{link}}
	return field
}

// columns are the names of labels that rows have, sorted.
func columns(sets []map[string]string) []string {
	names := map[string]struct{}{}
	for _, s := range sets {
		for n := range s {
			names[n] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
