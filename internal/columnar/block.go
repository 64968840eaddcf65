package columnar

import (
	"cmp"
	"iter"
	"slices"
	"sort"
	"unsafe"
)

// Block is the selected rows of one block, in the block's order: by (stream,
// time) for blocks on disk, by arrival for blocks in memory. Row numbers run
// from 0 to Len()-1 over the selected rows. It is not safe for concurrent use.
type Block struct {
	view  *blockView
	sel   []uint32    // rows of the block; nil: all
	times []int64     // the view's or in room; read-only
	runs  []streamRun // over selected rows
	room  []int64     // for times
	cols  map[ColumnKey]*Vector

	part, block int // where it is from, in a GroupView
}

// Place returns the place of row i in the GroupView that the block is from.
func (b *Block) Place(i int) RowPlace {
	row := uint32(i)
	if b.sel != nil {
		row = b.sel[i]
	}
	return RowPlace{int32(b.part), int32(b.block), row}
}

// fill makes b the rows sel of view, whose head has been read.
func (b *Block) fill(view *blockView, sel []uint32) {
	b.view, b.sel = view, sel
	b.runs = b.runs[:0]
	clear(b.cols)
	if sel == nil {
		b.times = signed(view.times)
		b.runs = append(b.runs, view.runs...)
		return
	}
	b.room = slices.Grow(b.room[:0], len(sel))
	run := 0
	for i, row := range sel {
		b.room = append(b.room, int64(view.times[row]))
		for int(row) >= view.runs[run].end {
			run++
		}
		r := view.runs[run]
		if n := len(b.runs); n > 0 && b.runs[n-1].stream == r.stream {
			b.runs[n-1].end = i + 1
			continue
		}
		b.runs = append(b.runs, streamRun{r.stream, i, i + 1})
	}
	b.times = b.room
}

// signed returns the same words as signed ones, without a copy.
func signed(words []uint64) []int64 {
	return unsafe.Slice((*int64)(unsafe.Pointer(unsafe.SliceData(words))), len(words))
}

// Len returns the number of selected rows.
func (b *Block) Len() int { return len(b.times) }

// Times returns the selected rows' times. It is read-only.
func (b *Block) Times() []int64 { return b.times }

// Stream returns the stream of row i.
func (b *Block) Stream(i int) *Stream {
	r := sort.Search(len(b.runs), func(r int) bool { return b.runs[r].end > i })
	return &b.view.stream(b.runs[r].stream).Stream
}

// StreamRuns calls yield for each run of rows [start, end) of one stream, in
// order: cheaper than Stream row by row.
func (b *Block) StreamRuns() iter.Seq2[*Stream, [2]int] {
	return func(yield func(*Stream, [2]int) bool) {
		for _, r := range b.runs {
			if !yield(&b.view.stream(r.stream).Stream, [2]int{r.start, r.end}) {
				return
			}
		}
	}
}

// Columns returns the keys of all columns that have a value in the block,
// perhaps in rows that are not selected, sorted by name, then kind.
func (b *Block) Columns() ([]ColumnKey, error) {
	cols := b.view.columns()
	keys := make([]ColumnKey, 0, len(cols))
	for i := range cols {
		if key := cols[i].key; key != overflowKey {
			keys = append(keys, key)
		}
	}
	over, err := b.view.overflowKeys(b.sel)
	if err != nil {
		return nil, err
	}
	keys = append(keys, over...)
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys), nil
}

func compareKeys(a, b ColumnKey) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
}

// Column returns one column of the selected rows; it reads and decodes it when
// first asked. It returns nil if no row of the block has it. A damaged column is
// an error, which the worker should return.
func (b *Block) Column(key ColumnKey) (*Vector, error) {
	if v, ok := b.cols[key]; ok {
		return v, nil
	}
	v, err := b.view.gathered(key, b.sel)
	if err != nil {
		return nil, err
	}
	if b.cols == nil {
		b.cols = map[ColumnKey]*Vector{}
	}
	b.cols[key] = v
	return v, nil
}

// Keep narrows the block to some of its rows, ascending.
func (b *Block) Keep(rows []uint32) {
	sel := make([]uint32, len(rows))
	for i, r := range rows {
		sel[i] = r
		if b.sel != nil {
			sel[i] = b.sel[r]
		}
	}
	b.fill(b.view, sel)
}
