package memstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"belfry/internal/fault"
	"belfry/logs"
)

// value returns the value of a name, as an entry shows it.
func value(e *logs.Entry, name string) string {
	if v := e.Stream.Label(name); v != "" {
		return v
	}
	if v := logs.Lookup(e.Metadata, name); v != "" {
		return v
	}
	return logs.Lookup(e.Stream.Metadata, name)
}

func holds(f logs.Filter, e *logs.Entry) bool {
	switch f := f.(type) {
	case logs.And:
		for _, x := range f {
			if !holds(x, e) {
				return false
			}
		}
		return true
	case logs.Or:
		return slices.ContainsFunc(f, func(x logs.Filter) bool { return holds(x, e) })
	case logs.Not:
		return !holds(f.Of, e)
	case logs.LineContains:
		if f.Fold {
			return strings.Contains(strings.ToLower(e.Line), strings.ToLower(f.Text))
		}
		return strings.Contains(e.Line, f.Text)
	case logs.LineMatches:
		return f.Re.MatchString(e.Line)
	case logs.FieldMatches:
		return f.Matcher.Matches(value(e, f.Matcher.Name))
	}
	return f == nil
}

func streamMatches(ms []*logs.Matcher, s *logs.Stream) bool {
	for _, m := range ms {
		if !m.Matches(s.Label(m.Name)) {
			return false
		}
	}
	return true
}

// matching returns q's entries by arrival.
func (s *Store) matching(ctx context.Context, q logs.Query) ([]logs.Entry, logs.Stats, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []logs.Entry
	var stats logs.Stats
	t := s.tenants[q.Tenant]
	if t == nil {
		return nil, stats, ctx.Err()
	}
	for i := range t.entries {
		e := &t.entries[i]
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, stats, ctx.Err()
		}
		stats.RowsScanned++
		stats.BytesScanned += int64(len(e.Line))
		if e.Time >= q.From && e.Time < q.To && streamMatches(q.Streams, e.Stream) && holds(q.Filter, e) {
			out = append(out, *e)
		}
	}
	stats.Entries = int64(len(out))
	return out, stats, nil
}

// Select implements logs.Querier.
func (s *Store) Select(ctx context.Context, q logs.SelectQuery, yield func(*logs.Entry) bool) (logs.Stats, error) {
	entries, stats, err := s.matching(ctx, q.Query)
	if err != nil {
		return stats, err
	}
	before := func(aTime, bTime int64, aID, bID logs.StreamID) int {
		if q.Direction == logs.Backward {
			aTime, bTime = bTime, aTime
		}
		return cmp.Or(cmp.Compare(aTime, bTime), bytes.Compare(aID[:], bID[:]))
	}
	slices.SortStableFunc(entries, func(a, b logs.Entry) int { return before(a.Time, b.Time, a.Stream.ID, b.Stream.ID) })
	n, nth := 0, 0
	for i := range entries {
		e := &entries[i]
		if nth++; i > 0 && before(entries[i-1].Time, e.Time, entries[i-1].Stream.ID, e.Stream.ID) != 0 {
			nth = 1
		}
		e.Cursor = logs.Cursor{Time: e.Time, Stream: e.Stream.ID, Nth: nth}
		if a := q.After; a != nil {
			if c := before(a.Time, e.Time, a.Stream, e.Stream.ID); c > 0 || c == 0 && nth <= a.Nth {
				continue
			}
		}
		want(e, q.Want)
		if n++; !yield(e) || n == q.Limit {
			break
		}
	}
	return stats, ctx.Err()
}

// want empties what is not wanted.
func want(e *logs.Entry, w logs.Want) {
	if !w.Line {
		e.Line = ""
	}
	if !w.AllFields {
		e.Metadata = slices.DeleteFunc(slices.Clone(e.Metadata), func(l logs.Label) bool { return !slices.Contains(w.Fields, l.Name) })
	}
}

// Scan implements logs.Querier.
func (s *Store) Scan(ctx context.Context, q logs.ScanQuery, newWorker func() logs.Worker) (logs.Stats, error) {
	workers := []logs.Worker{newWorker(), newWorker()}
	entries, stats, err := s.matching(ctx, q.Query)
	if err != nil {
		return stats, err
	}
	const size = 3 // small, so that tests cross batches
	for i := 0; i < len(entries); i += size {
		err := workers[i/size%2].Batch(toBatch(entries[i:min(i+size, len(entries))], q.Want))
		if errors.Is(err, logs.ErrStop) {
			break
		}
		if err != nil {
			return stats, err
		}
	}
	return stats, ctx.Err()
}

func toBatch(entries []logs.Entry, w logs.Want) *logs.Batch {
	b := &logs.Batch{}
	columns := map[string]int{}
	for i := range entries {
		e := &entries[i]
		b.Times = append(b.Times, e.Time)
		b.Streams = append(b.Streams, e.Stream)
		if w.Line {
			b.Lines = append(b.Lines, e.Line)
		}
		for _, m := range e.Metadata {
			if !w.AllFields && !slices.Contains(w.Fields, m.Name) {
				continue
			}
			c, ok := columns[m.Name]
			if !ok {
				c = len(b.Fields)
				columns[m.Name] = c
				b.Fields = append(b.Fields, logs.Column{Name: m.Name, Values: make([]string, len(entries))})
			}
			b.Fields[c].Values[i] = m.Value
		}
	}
	slices.SortFunc(b.Fields, func(a, b logs.Column) int { return cmp.Compare(a.Name, b.Name) })
	return b
}

// Count implements logs.Querier.
func (s *Store) Count(ctx context.Context, q logs.CountQuery) ([]logs.CountGroup, logs.Stats, error) {
	entries, stats, err := s.matching(ctx, q.Query)
	if err != nil {
		return nil, stats, err
	}
	var groups []logs.CountGroup
	index := map[string]int{}
	for i := range entries {
		e := &entries[i]
		if e.Time <= q.Start {
			continue
		}
		bucket := (e.Time - q.Start - 1) / q.Width
		if bucket >= int64(q.Buckets) {
			continue
		}
		values := make([]string, len(q.By))
		for j, name := range q.By {
			values[j] = value(e, name)
		}
		key := strings.Join(values, "\xff")
		g, ok := index[key]
		if !ok {
			g = len(groups)
			if q.MaxGroups > 0 && g == q.MaxGroups {
				return nil, stats, fault.New(fault.Unprocessable, "more than %d groups", q.MaxGroups)
			}
			index[key] = g
			groups = append(groups, logs.CountGroup{Values: values, Counts: make([]float64, q.Buckets)})
		}
		if q.Bytes {
			groups[g].Counts[bucket] += float64(len(e.Line))
		} else {
			groups[g].Counts[bucket]++
		}
	}
	return groups, stats, nil
}

// Streams implements logs.Querier.
func (s *Store) Streams(ctx context.Context, q logs.StreamsQuery) ([]logs.StreamInfo, error) {
	entries, _, err := s.matching(ctx, logs.Query{Tenant: q.Tenant, From: q.From, To: q.To})
	if err != nil {
		return nil, err
	}
	found := map[logs.StreamID]*logs.StreamInfo{}
	for i := range entries {
		st := entries[i].Stream
		if len(q.Matchers) > 0 && !slices.ContainsFunc(q.Matchers, func(ms []*logs.Matcher) bool { return streamMatches(ms, st) }) {
			continue
		}
		if found[st.ID] == nil {
			found[st.ID] = &logs.StreamInfo{Stream: st}
		}
		found[st.ID].Entries++
	}
	var out []logs.StreamInfo
	for _, info := range found {
		out = append(out, *info)
	}
	slices.SortFunc(out, func(a, b logs.StreamInfo) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out, nil
}

// Fields implements logs.Querier.
func (s *Store) Fields(ctx context.Context, q logs.Query) ([]logs.FieldInfo, error) {
	entries, _, err := s.matching(ctx, q)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for i := range entries {
		for _, l := range slices.Concat(entries[i].Metadata, entries[i].Stream.Metadata) {
			counts[l.Name]++
		}
	}
	var out []logs.FieldInfo
	s.mu.RLock()
	defer s.mu.RUnlock()
	for name, n := range counts {
		out = append(out, logs.FieldInfo{Name: name, Type: s.tenants[q.Tenant].types[name], Entries: n})
	}
	slices.SortFunc(out, func(a, b logs.FieldInfo) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// FieldValues implements logs.Querier.
func (s *Store) FieldValues(ctx context.Context, q logs.Query, name string, limit int) ([]logs.ValueCount, logs.Stats, error) {
	entries, stats, err := s.matching(ctx, q)
	if err != nil {
		return nil, stats, err
	}
	counts := map[string]int64{}
	for i := range entries {
		if v := value(&entries[i], name); v != "" && entries[i].Stream.Label(name) == "" {
			counts[v]++
		}
	}
	var out []logs.ValueCount
	for v, n := range counts {
		out = append(out, logs.ValueCount{Value: v, Entries: n})
	}
	slices.SortFunc(out, func(a, b logs.ValueCount) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Value, b.Value))
	})
	return out[:min(limit, len(out))], stats, nil
}
