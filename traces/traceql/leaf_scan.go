package traceql

import (
	"context"
	"math"
	"slices"
	"sync"

	"belfry/traces"
)

// leafScan finds the marks of one leaf in some traces of a part.
type leafScan struct {
	*joinedScan
	part   traces.JoinedPart
	leaf   *leafPlan
	lo, hi uint32
	room   int64

	mu   sync.Mutex
	list markList
	over bool // there are more marks than room
}

var placeFields = []traces.Field{
	traces.Intrinsic(traces.TraceOrdinal), traces.Intrinsic(traces.NestedSetLeft),
	traces.Intrinsic(traces.NestedSetRight), traces.Intrinsic(traces.NestedSetParent),
}

func (l *leafScan) run(ctx context.Context) error {
	refs := fieldsOf(l.leaf.now, slices.Clone(l.leaf.own))
	for _, e := range l.plan.values {
		refs = fieldsOf(e, refs)
	}
	q := traces.SpanQuery{From: l.from, To: l.to, Filter: pushdownJoined(l.leaf.whole), Fields: plainFields(refs)}
	stats, err := l.view.Whole(ctx, l.part, q, func() traces.ColumnVisitor {
		e := newColumnEval(refs)
		return func(c traces.Columns) error {
			e.reset(c)
			found, err := l.marksOf(e)
			if err != nil || len(found.marks) == 0 {
				return err
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.list.size()+found.size() > l.room {
				l.over = true
				return traces.ErrStop
			}
			l.list.add(found, len(l.plan.values), len(l.leaf.own))
			return nil
		}
	})
	l.stats.Add(stats)
	if err != nil || l.over || l.leaf.later == nil {
		return err
	}
	return l.decideLater(ctx)
}

// marksOf returns the marks of a block, as far as the span's own fields tell.
func (l *leafScan) marksOf(e *columnEval) (*markList, error) {
	out := &markList{}
	keep, err := e.mask(l.leaf.now)
	if err != nil {
		return nil, err
	}
	var cols [4]*traces.Column
	for i, f := range placeFields {
		if cols[i], err = e.column(f); err != nil || cols[i] == nil {
			return out, err
		}
	}
	rows := l.rows(keep, cols[0])
	if len(rows) == 0 {
		return out, nil
	}
	starts := e.cols.Starts()
	out.marks = make([]mark, len(rows))
	for n, row := range rows {
		i := int(row)
		out.marks[n] = mark{
			trace: uint32(cols[0].Nums[i]), left: int32(cols[1].Nums[i]), right: int32(cols[2].Nums[i]), parent: int32(cols[3].Nums[i]),
			row: uint32(n), start: starts[i], place: e.cols.Place(i),
		}
	}
	if out.values, err = e.valuesAt(rows, l.plan.values); err != nil {
		return nil, err
	}
	own := make([]Expr, len(l.leaf.own))
	for i, ref := range l.leaf.own {
		own[i] = ref
	}
	out.own, err = e.valuesAt(rows, own)
	return out, err
}

// rows returns the rows of keep (nil: all) that belong to the traces looked at.
func (l *leafScan) rows(keep []bool, ordinals *traces.Column) []int32 {
	n := len(ordinals.Nums)
	if keep != nil {
		n = 0
		for _, k := range keep {
			if k {
				n++
			}
		}
	}
	if n == 0 {
		return nil
	}
	rows := make([]int32, 0, n)
	for i, word := range ordinals.Nums {
		if trace := uint32(word); (keep == nil || keep[i]) && trace >= l.lo && trace < l.hi && ordinals.Has(i) {
			rows = append(rows, int32(i))
		}
	}
	return rows
}

// decideLater keeps the marks for which the rest of the condition is true, which
// names fields of their parents.
func (l *leafScan) decideLater(ctx context.Context) error {
	parents := l.parents()
	if err := l.readParents(ctx, parents); err != nil {
		return err
	}
	row := &familyRow{leaf: l.leaf}
	kept := l.list.marks[:0]
	for _, m := range l.list.marks {
		n := len(l.leaf.own)
		row.own, row.parent = l.list.own[int(m.row)*n:int(m.row+1)*n], nil
		if m.parent > 0 {
			row.parent = parents.values[parents.index[placeOf(m.trace, m.parent)]]
		}
		if (spanAt{row: row}).holds(l.leaf.later) {
			kept = append(kept, m)
		}
	}
	l.list.marks = kept
	return nil
}

// parentTable has the fields of spans by their places.
type parentTable struct {
	traces []bool // that have such spans, from the first one looked at
	index  map[uint64]int32
	values [][]Static // nil for those that are not there, or cannot meet the condition
}

// parents returns the places of the marks' parents.
func (l *leafScan) parents() *parentTable {
	t := &parentTable{traces: make([]bool, l.hi-l.lo), index: make(map[uint64]int32, len(l.list.marks))}
	for i := range l.list.marks {
		m := &l.list.marks[i]
		if m.parent <= 0 {
			continue
		}
		place := placeOf(m.trace, m.parent)
		if _, known := t.index[place]; !known {
			t.index[place] = int32(len(t.index))
			t.traces[m.trace-l.lo] = true
		}
	}
	t.values = make([][]Static, len(t.index))
	return t
}

// placeOf names a span of a part by its trace and its left number.
func placeOf(trace uint32, left int32) uint64 { return uint64(trace)<<32 | uint64(uint32(left)) }

// readParents fills the table. Every span has a value of its own in it, so that
// visitors need no lock.
func (l *leafScan) readParents(ctx context.Context, t *parentTable) error {
	exprs := make([]Expr, len(l.leaf.parents))
	refs := make([]FieldRef, len(exprs))
	for i, ref := range l.leaf.parents {
		refs[i] = FieldRef{Field: ref.Field}
		exprs[i] = refs[i]
	}
	q := traces.SpanQuery{From: math.MinInt64, To: math.MaxInt64, ByStart: true, Filter: pushdownParent(l.leaf.later), Fields: plainFields(refs)}
	stats, err := l.view.Whole(ctx, l.part, q, func() traces.ColumnVisitor {
		e := newColumnEval(refs)
		return func(c traces.Columns) error {
			e.reset(c)
			rows, numbers, err := l.findRows(e, t)
			if err != nil || len(rows) == 0 {
				return err
			}
			values, err := e.valuesAt(rows, exprs)
			for i, n := range numbers {
				t.values[n] = values[i*len(exprs) : (i+1)*len(exprs)]
			}
			return err
		}
	})
	l.stats.Add(stats)
	return err
}

// findRows returns the rows that are in the table, with their numbers there.
func (l *leafScan) findRows(e *columnEval, t *parentTable) (rows, numbers []int32, err error) {
	ordinals, err := e.column(placeFields[0])
	if err != nil || ordinals == nil {
		return nil, nil, err
	}
	lefts, err := e.column(placeFields[1])
	if err != nil || lefts == nil {
		return nil, nil, err
	}
	for i, n := range ordinals.Nums {
		if trace := uint32(n); trace < l.lo || trace >= l.hi || !t.traces[trace-l.lo] || !ordinals.Has(i) {
			continue
		}
		if number, ok := t.index[placeOf(uint32(n), int32(lefts.Nums[i]))]; ok {
			rows, numbers = append(rows, int32(i)), append(numbers, number)
		}
	}
	return rows, numbers, nil
}

// familyRow is a span whose own fields and whose parent's fields are known.
type familyRow struct {
	leaf        *leafPlan
	own, parent []Static // parent is nil if there is none, or it does not matter
}

func (r *familyRow) value(ref FieldRef) traces.Value {
	if !ref.Parent {
		for i, have := range r.leaf.own {
			if have == ref {
				return r.own[i].Value
			}
		}
		return traces.Value{}
	}
	if r.parent != nil {
		for i, have := range r.leaf.parents {
			if have == ref {
				return r.parent[i].Value
			}
		}
	}
	return traces.Value{}
}
