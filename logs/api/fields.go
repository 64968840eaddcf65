package api

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logql/extract"
)

// Bounds of field detection.
const (
	defaultFieldLimit = 1000
	defaultLineLimit  = 1000
	maxLineLimit      = 5000
)

type detectedField struct {
	Label       string   `json:"label"`
	Type        string   `json:"type"`
	Cardinality int      `json:"cardinality"`
	Parsers     []string `json:"parsers"`

	values map[string]struct{}
	hints  map[string]bool
}

// detector finds fields in metadata and lines.
type detector struct {
	fields map[string]*detectedField
	key    []byte
}

func (d *detector) add(name, value, parser string) {
	f := d.fields[name]
	if f == nil {
		f = &detectedField{Label: name, Type: guessType(value), values: map[string]struct{}{}, hints: map[string]bool{}}
		d.fields[name] = f
	}
	if f.Type != guessType(value) {
		f.Type = "string"
	}
	f.values[value] = struct{}{}
	if parser != "" && !f.hints[parser] {
		f.hints[parser] = true
		f.Parsers = append(f.Parsers, parser)
	}
}

func guessType(v string) string {
	if _, err := strconv.ParseInt(v, 10, 64); err == nil {
		return "int"
	}
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		return "float"
	}
	if v == "true" || v == "false" {
		return "boolean"
	}
	if _, err := extract.ParseDuration(v); err == nil {
		return "duration"
	}
	if _, err := extract.ParseBytes(v); err == nil {
		return "bytes"
	}
	return "string"
}

func (d *detector) entry(e *logql.Entry) {
	for _, l := range e.Metadata {
		d.add(l.Name, l.Value, "")
	}
	for _, l := range e.Parsed {
		if !strings.HasPrefix(l.Name, "__") {
			d.add(l.Name, l.Value, "")
		}
	}
	name := func(key string) string {
		if logs.Lookup(e.Stream, key) != "" || logs.Lookup(e.Metadata, key) != "" {
			return key + logs.ExtractedSuffix
		}
		return key
	}
	if strings.HasPrefix(strings.TrimLeft(e.Line, " "), "{") {
		_ = extract.FlattenJSON(e.Line, func(key []byte, value string) {
			if value != "" {
				d.add(name(string(key)), value, "json")
			}
		})
		return
	}
	if !strings.Contains(e.Line, "=") {
		return
	}
	_ = extract.Logfmt(e.Line, false, func(key, value string) {
		if value != "" {
			d.key = extract.AppendLabelName(d.key[:0], key)
			d.add(name(string(d.key)), value, "logfmt")
		}
	})
}

// detect looks at the newest entries of the request's query.
func (a *API) detect(r *http.Request) (*detector, int, error) {
	d := &detector{fields: map[string]*detectedField{}}
	lines, err := intParam(r, "line_limit", defaultLineLimit)
	if err != nil {
		return nil, 0, err
	}
	limit, err := intParam(r, "limit", defaultFieldLimit)
	if err != nil {
		return nil, 0, err
	}
	start, end, err := a.bounds(r)
	if err != nil {
		return nil, 0, err
	}
	query := r.Form.Get("query")
	if query == "" {
		query = "{}"
	}
	n := 0
	_, err = a.engine.Stream(r.Context(), logql.Params{
		Tenant: tenant.ID(r.Context()), Query: query, Start: start, End: end,
	}, nil, func(e logql.Entry, _ logs.Cursor) bool {
		d.entry(&e)
		n++
		return n < min(lines, maxLineLimit)
	})
	return d, limit, err
}

func (a *API) detectedFields(w http.ResponseWriter, r *http.Request) error {
	d, limit, err := a.detect(r)
	if err != nil {
		return err
	}
	out := make([]*detectedField, 0, len(d.fields))
	for _, f := range d.fields {
		f.Cardinality = len(f.values)
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *detectedField) int { return cmp.Compare(a.Label, b.Label) })
	return writeJSON(w, map[string]any{"fields": out[:min(limit, len(out))], "limit": limit})
}

func (a *API) detectedFieldValues(w http.ResponseWriter, r *http.Request) error {
	d, limit, err := a.detect(r)
	if err != nil {
		return err
	}
	values := []string{}
	if f := d.fields[r.PathValue("name")]; f != nil {
		for v := range f.values {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return writeJSON(w, map[string]any{"values": values[:min(limit, len(values))], "limit": limit})
}

type detectedLabel struct {
	Label       string `json:"label"`
	Cardinality int    `json:"cardinality"`
}

func (a *API) detectedLabels(w http.ResponseWriter, r *http.Request) error {
	infos, err := a.queryInfos(r)
	if err != nil {
		return err
	}
	values := map[string]map[string]struct{}{}
	for _, info := range infos {
		for _, l := range info.Labels {
			if values[l.Name] == nil {
				values[l.Name] = map[string]struct{}{}
			}
			values[l.Name][l.Value] = struct{}{}
		}
	}
	out := make([]detectedLabel, 0, len(values))
	for name, set := range values {
		out = append(out, detectedLabel{name, len(set)})
	}
	slices.SortFunc(out, func(a, b detectedLabel) int { return cmp.Compare(a.Label, b.Label) })
	return writeJSON(w, map[string]any{"detectedLabels": out})
}

var errTooManyTails = errors.New("too many tails are open")
