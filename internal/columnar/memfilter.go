package columnar

import (
	"slices"
	"sync"

	"belfry/internal/columnar/encoding"
)

// memFilters are filters of the values of a settled block in memory, by column. They
// are made when a query first looks for a value, so that appends pay nothing.
type memFilters struct {
	mu       sync.Mutex
	byColumn map[ColumnKey][]byte
}

// of returns the filter of a column of byte strings.
func (f *memFilters) of(key ColumnKey, b *memBlock, col int) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if filter, ok := f.byColumn[key]; ok {
		return filter
	}
	hashes := make([]uint64, 0, b.cols[col].Count())
	b.cols[col].EachBytes(func(_ uint32, v []byte) { hashes = append(hashes, encoding.HashValue(v)) })
	slices.Sort(hashes)
	filter := encoding.AppendBloom(nil, slices.Compact(hashes))
	if f.byColumn == nil {
		f.byColumn = map[ColumnKey][]byte{}
	}
	f.byColumn[key] = filter
	return filter
}

// settled reports whether the view's block is one in memory that does not change any more.
func (v *blockView) settled() bool { return v.block != nil && v.block.of == nil }

// mayContainInMemory is mayContain for a column of a settled block in memory.
func (e *evaluator) mayContainInMemory(l *leaf, c *blockColumn) bool {
	probes := l.probes[c.key.Kind]
	if len(probes) == 0 || !c.key.Kind.VarWidth() {
		return true
	}
	col := e.view.memColumn(c.key)
	if col < 0 || col >= len(e.view.block.cols) || e.view.block.cols[col] == nil {
		return true
	}
	filter := e.view.block.filters.of(c.key, e.view.block, col)
	return slices.ContainsFunc(probes, func(p probe) bool { return encoding.ProbeBloom(filter, p.value) })
}
