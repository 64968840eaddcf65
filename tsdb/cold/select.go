package cold

import (
	"context"
	"slices"
	"sort"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/labels"
)

// matching returns the series that all matchers match. It is the caller's.
func (b *Block) matching(ctx context.Context, matchers []*labels.Matcher) (*roaring.Bitmap, error) {
	// Those that name values narrow the set down before those that exclude some.
	var result *roaring.Bitmap
	var exclude []*labels.Matcher
	for _, m := range matchers {
		if m.Matches("") {
			exclude = append(exclude, m)
			continue
		}
		set, err := b.withValues(ctx, m, m.Matches)
		if err != nil {
			return nil, err
		}
		if result == nil {
			result = set
		} else {
			result.And(set)
		}
		if result.IsEmpty() {
			return result, nil
		}
	}
	if result == nil {
		result = roaring.New()
		result.AddRange(1, b.meta.Stats.NumSeries+1)
	}
	for _, m := range exclude {
		// What matches the empty string matches series without the label: drop
		// those whose value does not match.
		set, err := b.withValues(ctx, m, func(v string) bool { return !m.Matches(v) })
		if err != nil {
			return nil, err
		}
		result.AndNot(set)
	}
	return result, nil
}

// withValues returns the series that have the matcher's label with a value that
// is wanted.
func (b *Block) withValues(ctx context.Context, m *labels.Matcher, wanted func(string) bool) (*roaring.Bitmap, error) {
	set := roaring.New()
	of := b.names.find(m.Name)
	if of == nil {
		return set, nil
	}
	if err := of.load(); err != nil {
		return nil, err
	}
	if exact := namedValues(m); exact != nil {
		for _, v := range exact {
			if i := of.index(v); i >= 0 {
				if err := of.addTo(set, i); err != nil {
					return nil, err
				}
			}
		}
		return set, nil
	}
	from, to := 0, len(of.strings)
	if prefix := m.Prefix(); prefix != "" && m.Type == labels.MatchRegexp {
		from = sort.SearchStrings(of.strings, prefix)
		to = from + sort.Search(len(of.strings)-from, func(i int) bool { return !strings.HasPrefix(of.strings[from+i], prefix) })
	}
	for i := from; i < to; i++ {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !wanted(of.strings[i]) {
			continue
		}
		if err := of.addTo(set, i); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// namedValues returns the values that withValues looks for if the matcher names
// them all, else nil.
func namedValues(m *labels.Matcher) []string {
	empty := m.Matches("")
	switch {
	case m.Type == labels.MatchEqual && !empty, m.Type == labels.MatchNotEqual && empty:
		return []string{m.Value}
	case m.Type == labels.MatchRegexp && !empty, m.Type == labels.MatchNotRegexp && empty:
		return m.SetMatches()
	}
	return nil
}

// labelValues returns the values of a label, sorted, of the series that match.
func (b *Block) labelValues(ctx context.Context, name string, matchers []*labels.Matcher) ([]string, error) {
	of := b.names.find(name)
	if of == nil {
		return nil, nil
	}
	if err := of.load(); err != nil {
		return nil, err
	}
	if len(matchers) == 0 {
		return slices.Clone(of.strings), nil
	}
	set, err := b.matching(ctx, matchers)
	if err != nil {
		return nil, err
	}
	out := []string{}
	with := roaring.New()
	for i, v := range of.strings {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		with.Clear()
		if err := of.addTo(with, i); err != nil {
			return nil, err
		}
		if with.Intersects(set) {
			out = append(out, v)
		}
	}
	return out, nil
}

// labelNames returns the names of labels, sorted, of the series that match.
func (b *Block) labelNames(ctx context.Context, matchers []*labels.Matcher) ([]string, error) {
	if len(matchers) == 0 {
		return slices.Clone(b.names.names), nil
	}
	set, err := b.matching(ctx, matchers)
	if err != nil {
		return nil, err
	}
	seen := make([]bool, len(b.names.names))
	r := seriesReader{b: b}
	n := 0
	for it := set.Iterator(); it.HasNext(); n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := r.read(it.Next()); err != nil {
			return nil, err
		}
		for _, l := range r.labels {
			seen[l.name] = true
		}
	}
	out := []string{}
	for i, name := range b.names.names {
		if seen[i] {
			out = append(out, name)
		}
	}
	return out, nil
}
