package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"belfry/internal/columnar"
	"belfry/logs"

	"github.com/grafana/regexp"
	"github.com/prometheus/prometheus/model/labels"
)

// names finds, for one query, the columns and stream fields behind label names.
type names struct {
	store    *Store
	tenant   string
	from, to int64
	loaded   bool
	columns  map[string][]columnar.Ref // by label name, in order of precedence
	// guess takes the place of all that, where no store can be asked.
	guess func(name string) []columnar.Ref
}

func (s *Store) names(q *logs.Query) *names {
	return &names{store: s, tenant: q.Tenant, from: q.From, to: q.To}
}

// refs returns what holds the metadata of a name, in order of precedence. Only
// a '_' may stand for another character: other names are themselves.
func (n *names) refs(ctx context.Context, name string) ([]columnar.Ref, error) {
	if n.guess != nil {
		return n.guess(name), nil
	}
	if !strings.Contains(name, "_") {
		refs := []columnar.Ref{columnar.RowRef(name), columnar.StreamRef(prefixResource + name), columnar.StreamRef(prefixScope + name)}
		if name == logs.FieldFlags {
			refs = append([]columnar.Ref{columnar.RowRef(fixedPrefix + name)}, refs...)
		}
		return refs, nil
	}
	if !n.loaded {
		if err := n.load(ctx); err != nil {
			return nil, err
		}
	}
	return n.columns[name], nil
}

func (n *names) load(ctx context.Context) error {
	n.loaded, n.columns = true, map[string][]columnar.Ref{}
	infos, err := n.store.db.Columns(ctx, n.tenant, n.from, n.to)
	if err != nil {
		return err
	}
	var columns []string
	for _, c := range infos {
		columns = append(columns, c.Name)
	}
	slices.SortFunc(columns, comparePrecedence)
	for _, name := range slices.Compact(columns) {
		if label := columnLabel(name); label != "" {
			n.columns[label] = append(n.columns[label], columnar.RowRef(name))
		}
	}
	streams, err := n.store.db.Streams(ctx, n.tenant, n.from, n.to, nil)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	var fields []string
	for _, st := range streams {
		for _, f := range st.Fields {
			if !seen[f.Name] && !strings.HasPrefix(f.Name, prefixLabel) {
				seen[f.Name] = true
				fields = append(fields, f.Name)
			}
		}
	}
	slices.Sort(fields)
	for _, f := range fields {
		label := logs.LabelName(f[prefixSize:])
		n.columns[label] = append(n.columns[label], columnar.StreamRef(f))
	}
	return nil
}

// comparePrecedence orders columns: fixed ones first.
func comparePrecedence(a, b string) int {
	if fa, fb := isFixed(a), isFixed(b); fa != fb {
		if fa {
			return -1
		}
		return 1
	}
	return strings.Compare(strings.TrimPrefix(a, fixedPrefix), strings.TrimPrefix(b, fixedPrefix))
}

// query translates a query.
func (n *names) query(ctx context.Context, q *logs.Query) (columnar.Query, error) {
	out := columnar.Query{
		Tenant: q.Tenant, From: q.From, To: q.To, Limits: columnar.Limits{BytesScanned: q.Limits.BytesScanned},
	}
	all := streamFilter(q.Streams)
	if q.Filter != nil {
		f, err := n.filter(ctx, q.Filter)
		if err != nil {
			return out, err
		}
		all = append(all, f)
	}
	if len(all) > 0 {
		out.Filter = all
	}
	return out, nil
}

// streamFilter is the condition that a selector sets.
func streamFilter(ms []*logs.Matcher) columnar.And {
	var all columnar.And
	for _, m := range ms {
		ref := columnar.StreamRef(prefixLabel + m.Name)
		f := matches(ref, m)
		if m.Matches("") {
			f = columnar.Or{f, columnar.Not{Of: columnar.Exists{Ref: ref}}}
		}
		all = append(all, f)
	}
	return all
}

// matches is the condition that there is a value and that it matches.
func matches(ref columnar.Ref, m *logs.Matcher) columnar.Filter {
	var f columnar.Filter
	switch m.Type {
	case labels.MatchEqual, labels.MatchNotEqual:
		f = columnar.Equal{Ref: ref, Value: columnar.String(m.Value), AsText: true}
	default:
		f = regexpMatches(ref, m)
	}
	if m.Type == labels.MatchNotEqual || m.Type == labels.MatchNotRegexp {
		return columnar.And{columnar.Exists{Ref: ref}, columnar.Not{Of: f}}
	}
	return f
}

func regexpMatches(ref columnar.Ref, m *logs.Matcher) columnar.Filter {
	if set := m.SetMatches(); len(set) > 0 {
		values := make([]columnar.Value, len(set))
		for i, s := range set {
			values[i] = columnar.String(s)
		}
		return columnar.In{Ref: ref, Values: values, AsText: true}
	}
	if re, err := regexp.Compile("^(?s:" + m.Value + ")$"); err == nil {
		return columnar.Regexp{Ref: ref, Re: re}
	}
	negative := m.Type == labels.MatchNotRegexp
	return columnar.Func{Ref: ref, Match: func(v columnar.Value) bool { return m.Matches(v.Text()) != negative }}
}

func (n *names) filter(ctx context.Context, f logs.Filter) (columnar.Filter, error) {
	switch f := f.(type) {
	case nil:
		return columnar.And{}, nil
	case logs.And:
		all, err := n.filters(ctx, f)
		return columnar.And(all), err
	case logs.Or:
		any, err := n.filters(ctx, f)
		return columnar.Or(any), err
	case logs.Not:
		of, err := n.filter(ctx, f.Of)
		return columnar.Not{Of: of}, err
	case logs.LineContains:
		if f.Text == "" {
			return columnar.And{}, nil
		}
		return columnar.Contains{Ref: columnar.RowRef(bodyName), Text: f.Text, Fold: f.Fold}, nil
	case logs.LineMatches:
		body := columnar.RowRef(bodyName)
		re := columnar.Regexp{Ref: body, Re: f.Re}
		if f.Re.MatchString("") { // an empty line has no body
			return columnar.Or{re, columnar.Not{Of: columnar.Exists{Ref: body}}}, nil
		}
		return re, nil
	case logs.FieldMatches:
		return n.fieldMatches(ctx, f.Matcher)
	}
	return nil, fmt.Errorf("unknown filter %T", f)
}

func (n *names) filters(ctx context.Context, list []logs.Filter) ([]columnar.Filter, error) {
	out := make([]columnar.Filter, len(list))
	for i, f := range list {
		var err error
		if out[i], err = n.filter(ctx, f); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fieldMatches tests the first of the places that have a value.
func (n *names) fieldMatches(ctx context.Context, m *logs.Matcher) (columnar.Filter, error) {
	refs, err := n.refs(ctx, m.Name)
	if err != nil {
		return nil, err
	}
	refs = append([]columnar.Ref{columnar.StreamRef(prefixLabel + m.Name)}, refs...)
	var any columnar.Or
	var none columnar.And
	for _, ref := range refs {
		any = append(any, append(slices.Clone(none), matches(ref, m)))
		none = append(none, columnar.Not{Of: columnar.Exists{Ref: ref}})
	}
	if m.Matches("") {
		any = append(any, none)
	}
	return any, nil
}
