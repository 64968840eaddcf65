package store

import (
	"cmp"
	"slices"
	"strings"

	"belfry/internal/columnar"
	"belfry/logs"
)

// reader turns the engine's streams and column names into those of the
// contract, each once. It is used by one goroutine.
type reader struct {
	streams map[columnar.StreamID]*logs.Stream
	labels  map[string]string // column name to label name
}

func newReader() *reader {
	return &reader{streams: map[columnar.StreamID]*logs.Stream{}, labels: map[string]string{}}
}

func (r *reader) stream(s *columnar.Stream) *logs.Stream {
	if known, ok := r.streams[s.ID]; ok {
		return known
	}
	out := convertStream(s)
	r.streams[s.ID] = out
	return out
}

func convertStream(s *columnar.Stream) *logs.Stream {
	out := &logs.Stream{ID: logs.StreamID(s.ID)}
	for _, f := range s.Fields { // sorted by name: labels first
		if name, ok := strings.CutPrefix(f.Name, prefixLabel); ok {
			out.Labels = append(out.Labels, logs.Label{Name: name, Value: f.Value.Text()})
		}
	}
	for _, f := range s.Fields {
		if strings.HasPrefix(f.Name, prefixLabel) || len(f.Name) < prefixSize {
			continue
		}
		out.Metadata = addField(out.Metadata, out.Labels, logs.LabelName(f.Name[prefixSize:]), f.Value.Text())
	}
	sortLabels(out.Metadata)
	return out
}

// addField adds metadata unless its name is taken; labels push it aside.
func addField(list, labels []logs.Label, name, value string) []logs.Label {
	if logs.Lookup(labels, name) != "" {
		name += logs.ExtractedSuffix
		if logs.Lookup(labels, name) != "" {
			return list
		}
	}
	if value == "" || logs.Lookup(list, name) != "" {
		return list
	}
	return append(list, logs.Label{Name: name, Value: value})
}

func sortLabels(list []logs.Label) {
	slices.SortFunc(list, func(a, b logs.Label) int { return cmp.Compare(a.Name, b.Name) })
}

func (r *reader) label(column string) string {
	label, ok := r.labels[column]
	if !ok {
		label = columnLabel(column)
		r.labels[column] = label
	}
	return label
}

// entry makes an entry of a row.
func (r *reader) entry(row *columnar.Row) *logs.Entry {
	e := &logs.Entry{
		Time: row.Time, Stream: r.stream(row.Stream),
		Cursor: logs.Cursor{Time: row.Cursor.Time, Stream: logs.StreamID(row.Cursor.Stream), Nth: row.Cursor.Nth},
	}
	e.Metadata = make([]logs.Label, 0, len(row.Fields))
	for _, fixed := range [...]bool{true, false} {
		for i := range row.Fields {
			f := &row.Fields[i]
			switch {
			case isFixed(f.Name) != fixed:
			case f.Name == bodyName:
				e.Line = f.Value.Text()
			default:
				e.Metadata = addField(e.Metadata, e.Stream.Labels, r.label(f.Name), f.Value.Text())
			}
		}
	}
	sortLabels(e.Metadata)
	return e
}

func statsOf(s columnar.Stats) logs.Stats {
	return logs.Stats{
		Entries: s.RowsMatched, RowsScanned: s.RowsScanned, BytesScanned: s.BytesScanned,
		Blocks: s.Blocks, BlocksPruned: s.BlocksPruned, Elapsed: s.Elapsed, Cut: s.Cut.String(),
	}
}
