package store

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"belfry/internal/columnar"
	"belfry/logs"
)

func sortKeys(keys []columnar.ColumnKey) {
	slices.SortFunc(keys, func(a, b columnar.ColumnKey) int {
		return cmp.Or(comparePrecedence(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
}

// Streams implements logs.Querier.
func (s *Store) Streams(ctx context.Context, q logs.StreamsQuery) ([]logs.StreamInfo, error) {
	var filter columnar.Filter
	if len(q.Matchers) > 0 {
		var any columnar.Or
		for _, ms := range q.Matchers {
			any = append(any, streamFilter(ms))
		}
		filter = any
	}
	streams, err := s.db.Streams(ctx, q.Tenant, q.From, q.To, filter)
	if err != nil {
		return nil, err
	}
	out := make([]logs.StreamInfo, len(streams))
	for i, st := range streams {
		out[i] = logs.StreamInfo{Stream: convertStream(st.Stream), Entries: st.Rows}
	}
	return out, nil
}

// Fields implements logs.Querier. It answers from what is known of parts and
// streams, without looking at records.
func (s *Store) Fields(ctx context.Context, q logs.Query) ([]logs.FieldInfo, error) {
	columns, err := s.db.Columns(ctx, q.Tenant, q.From, q.To)
	if err != nil {
		return nil, err
	}
	byName := map[string]*logs.FieldInfo{}
	largest := map[string]int64{}
	add := func(name string, kind columnar.Kind, rows int64) {
		if name == "" || rows == 0 {
			return
		}
		f := byName[name]
		if f == nil {
			f = &logs.FieldInfo{Name: name}
			byName[name] = f
		}
		f.Entries += rows
		if rows > largest[name] {
			largest[name] = rows
			f.Type = fieldType(kind)
		}
	}
	for _, c := range columns {
		add(columnLabel(c.Name), c.Kind, c.Rows)
	}
	all := streamFilter(q.Streams)
	streams, err := s.db.Streams(ctx, q.Tenant, q.From, q.To, all)
	if err != nil {
		return nil, err
	}
	for _, st := range streams {
		for _, f := range st.Fields {
			if !strings.HasPrefix(f.Name, prefixLabel) {
				add(logs.LabelName(f.Name[prefixSize:]), f.Value.Kind(), st.Rows)
			}
		}
	}
	out := make([]logs.FieldInfo, 0, len(byName))
	for _, f := range byName {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b logs.FieldInfo) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func fieldType(k columnar.Kind) logs.FieldType {
	switch k {
	case columnar.KindInt:
		return logs.TypeInt
	case columnar.KindFloat:
		return logs.TypeFloat
	case columnar.KindBool:
		return logs.TypeBool
	case columnar.KindBytes:
		return logs.TypeBytes
	case columnar.KindJSON:
		return logs.TypeJSON
	}
	return logs.TypeString
}

// FieldValues implements logs.Querier.
func (s *Store) FieldValues(ctx context.Context, q logs.Query, name string, limit int) ([]logs.ValueCount, logs.Stats, error) {
	n := s.names(&q)
	cq, err := n.query(ctx, &q)
	if err != nil {
		return nil, logs.Stats{}, err
	}
	refs, err := n.refs(ctx, name)
	if err != nil {
		return nil, logs.Stats{}, err
	}
	var stats logs.Stats
	counts := map[string]int64{}
	for _, ref := range refs {
		values, st, err := s.db.Values(ctx, cq, ref, limit)
		stats.Add(statsOf(st))
		if err != nil {
			return nil, stats, err
		}
		for _, v := range values {
			counts[v.Value.Text()] += v.Rows
		}
	}
	out := make([]logs.ValueCount, 0, len(counts))
	for v, rows := range counts {
		if v != "" {
			out = append(out, logs.ValueCount{Value: v, Entries: rows})
		}
	}
	slices.SortFunc(out, func(a, b logs.ValueCount) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Value, b.Value))
	})
	return out[:min(limit, len(out))], stats, nil
}
