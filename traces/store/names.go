package store

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"belfry/internal/columnar"
	"belfry/traces"
)

const (
	// listedSpans bounds how many spans with events or links are looked through
	// for names and values.
	listedSpans  = 50_000
	defaultNames = 10_000
)

// nameSet gathers names by scope.
type nameSet map[traces.Scope]map[string]struct{}

func (n nameSet) add(scope traces.Scope, name string) {
	names := n[scope]
	if names == nil {
		names = map[string]struct{}{}
		n[scope] = names
	}
	names[name] = struct{}{}
}

func (n nameSet) addStream(s *columnar.Stream) {
	for _, f := range s.Fields {
		if key, ok := strings.CutPrefix(f.Name, resourcePrefix); ok {
			n.add(traces.ScopeResource, key)
		} else if key, ok := strings.CutPrefix(f.Name, scopePrefix); ok {
			n.add(traces.ScopeInstrumentation, key)
		}
	}
}

func (n nameSet) addSpans(spans []traces.Span) {
	for i := range spans {
		for _, e := range spans[i].Events {
			for _, a := range e.Attributes {
				n.add(traces.ScopeEvent, a.Key)
			}
		}
		for _, l := range spans[i].Links {
			for _, a := range l.Attributes {
				n.add(traces.ScopeLink, a.Key)
			}
		}
	}
}

func (n nameSet) merge(o nameSet) {
	for scope, names := range o {
		for name := range names {
			n.add(scope, name)
		}
	}
}

func (n nameSet) list(q traces.NamesQuery) []traces.Names {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultNames
	}
	var out []traces.Names
	for scope, names := range n {
		if len(q.Scopes) > 0 && !slices.Contains(q.Scopes, scope) {
			continue
		}
		list := make([]string, 0, len(names))
		for name := range names {
			list = append(list, name)
		}
		slices.Sort(list)
		out = append(out, traces.Names{Scope: scope, Names: list[:min(len(list), limit)]})
	}
	slices.SortFunc(out, func(a, b traces.Names) int { return cmp.Compare(a.Scope, b.Scope) })
	return out
}

func wantsScope(q traces.NamesQuery, scopes ...traces.Scope) bool {
	if len(q.Scopes) == 0 {
		return true
	}
	return slices.ContainsFunc(scopes, func(s traces.Scope) bool { return slices.Contains(q.Scopes, s) })
}

// Names returns the names of attributes; see traces.Querier.
func (s *Store) Names(ctx context.Context, tenant string, q traces.NamesQuery) ([]traces.Names, error) {
	found := nameSet{}
	if q.Filter != nil {
		if err := s.namesOfSpans(ctx, tenant, q, found); err != nil {
			return nil, err
		}
	} else {
		if wantsScope(q, traces.ScopeSpan) {
			columns, err := s.db.Columns(ctx, tenant, q.From, q.To)
			if err != nil {
				return nil, err
			}
			for _, c := range columns {
				if key, ok := attributeKey(c.Name); ok && c.Rows > 0 {
					found.add(traces.ScopeSpan, key)
				}
			}
		}
		if wantsScope(q, traces.ScopeResource, traces.ScopeInstrumentation) {
			streams, err := s.db.Streams(ctx, tenant, q.From, q.To, nil)
			if err != nil {
				return nil, err
			}
			for _, stream := range streams {
				found.addStream(stream.Stream)
			}
		}
	}
	if wantsScope(q, traces.ScopeEvent, traces.ScopeLink) {
		if err := s.namesOfEvents(ctx, tenant, q, found); err != nil {
			return nil, err
		}
	}
	return found.list(q), nil
}

// namesOfSpans looks at the columns of matching rows, without their values.
func (s *Store) namesOfSpans(ctx context.Context, tenant string, q traces.NamesQuery, found nameSet) error {
	query := engineQuery(tenant, traces.SpanQuery{From: q.From, To: q.To, Filter: q.Filter})
	query.Limits = s.limits(traces.Limits{})
	var workers []nameSet
	_, err := s.db.Scan(ctx, query, func() columnar.Worker {
		mine := nameSet{}
		workers = append(workers, mine)
		return columnar.WorkerFunc(func(b *columnar.Block) error {
			for stream := range b.StreamRuns() {
				mine.addStream(stream)
			}
			keys, err := b.Columns()
			if err != nil {
				return err
			}
			for _, key := range keys {
				name, ok := attributeKey(key.Name)
				if _, known := mine[traces.ScopeSpan][name]; known || !ok {
					continue
				}
				v, err := b.Column(key)
				if err != nil {
					return err
				}
				if v != nil && v.Count() > 0 {
					mine.add(traces.ScopeSpan, name)
				}
			}
			return nil
		})
	})
	for _, w := range workers {
		found.merge(w)
	}
	return err
}

// withEvents narrows a filter to spans that have events or links.
func withEvents(filter traces.Filter, fields ...string) traces.Filter {
	anyOf := traces.Or{}
	for _, f := range fields {
		anyOf = append(anyOf, traces.Exists{Field: traces.Intrinsic(f)})
	}
	if filter == nil {
		return anyOf
	}
	return traces.And{anyOf, filter}
}

func (s *Store) namesOfEvents(ctx context.Context, tenant string, q traces.NamesQuery, found nameSet) error {
	_, err := s.Newest(ctx, tenant, traces.SpanQuery{
		From: q.From, To: q.To, Filter: withEvents(q.Filter, traces.EventName, traces.LinkTraceID),
		Fields: []traces.Field{traces.Intrinsic(traces.EventName), traces.Intrinsic(traces.LinkTraceID)},
		Limits: traces.Limits{Spans: listedSpans},
	}, listed(func(spans []traces.Span) { found.addSpans(spans) }))
	return err
}

// listed ends a query after listedSpans.
func listed(use func([]traces.Span)) traces.Visitor {
	seen := 0
	return func(spans []traces.Span) error {
		use(spans)
		if seen += len(spans); seen >= listedSpans {
			return traces.ErrStop
		}
		return nil
	}
}

// Values returns the values of a field; see traces.Querier.
func (s *Store) Values(ctx context.Context, tenant string, q traces.ValuesQuery) ([]traces.ValueCount, traces.Stats, error) {
	if q.Limit <= 0 {
		q.Limit = defaultNames
	}
	counts := valueCounts{index: map[string]int{}}
	var total traces.Stats
	refs := refsOf(q.Field)
	switch {
	case len(refs) == 0:
		stats, err := s.valuesOfEvents(ctx, tenant, q, &counts)
		if err != nil {
			return nil, stats, err
		}
		total = stats
	case q.Filter == nil && len(refs) == 1 && refs[0].Stream:
		streams, err := s.db.Streams(ctx, tenant, q.From, q.To, columnar.Exists{Ref: refs[0]})
		if err != nil {
			return nil, total, err
		}
		for _, stream := range streams {
			if v, ok := stream.Field(refs[0].Name); ok {
				counts.add(valueOf(v), stream.Rows)
			}
		}
	default:
		for _, ref := range refs {
			query := engineQuery(tenant, traces.SpanQuery{From: q.From, To: q.To, Filter: q.Filter})
			query.Limits = s.limits(traces.Limits{})
			list, stats, err := s.db.Values(ctx, query, ref, q.Limit)
			total.Add(statsOf(stats))
			if err != nil {
				return nil, total, err
			}
			for _, v := range list {
				counts.add(valueOf(v.Value), v.Rows)
			}
		}
	}
	return counts.top(q.Limit), total, nil
}

func (s *Store) valuesOfEvents(ctx context.Context, tenant string, q traces.ValuesQuery, counts *valueCounts) (traces.Stats, error) {
	return s.Newest(ctx, tenant, traces.SpanQuery{
		From: q.From, To: q.To, Filter: withEvents(q.Filter, traces.EventName, traces.LinkTraceID),
		Fields: []traces.Field{q.Field},
		Limits: traces.Limits{Spans: listedSpans},
	}, listed(func(spans []traces.Span) {
		for i := range spans {
			spans[i].Values(q.Field, func(v traces.Value) bool { counts.add(v, 1); return true })
		}
	}))
}

// valueCounts counts values, those of different types apart.
type valueCounts struct {
	index map[string]int
	list  []traces.ValueCount
}

func (c *valueCounts) add(v traces.Value, n int64) {
	if v.IsNil() {
		return
	}
	key := v.Kind().String() + " " + v.Text()
	i, known := c.index[key]
	if !known {
		i = len(c.list)
		c.index[key] = i
		c.list = append(c.list, traces.ValueCount{Value: v})
	}
	c.list[i].Spans += n
}

func (c *valueCounts) top(limit int) []traces.ValueCount {
	slices.SortStableFunc(c.list, func(a, b traces.ValueCount) int {
		return cmp.Or(cmp.Compare(b.Spans, a.Spans), cmp.Compare(a.Value.Text(), b.Value.Text()))
	})
	return c.list[:min(len(c.list), limit)]
}
