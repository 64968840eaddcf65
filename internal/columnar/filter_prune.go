package columnar

import (
	"math"
	"slices"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/part"
)

// prune decides the filter for the whole block by what its directory and, with
// probe, its filters tell.
func (e *evaluator) prune(n *node, probe bool) tri {
	switch n.op {
	case opTime:
		lo, hi := e.view.timeBounds()
		switch {
		case hi < n.from || lo >= n.to:
			return never
		case lo >= n.from && hi < n.to:
			return always
		}
		return maybe
	case opStream:
		return e.pruneStream(n)
	case opRow:
		return e.pruneLeaf(n.leaf, probe)
	}
	return n.combine(func(c *node) tri { return e.prune(c, probe) })
}

func (v *blockView) timeBounds() (lo, hi int64) {
	if v.block != nil {
		return v.block.min, v.block.max
	}
	return v.blk.MinTime, v.blk.MaxTime
}

func (e *evaluator) pruneStream(n *node) tri {
	if e.view.blk == nil {
		return maybe
	}
	holds := e.facts.holds[n.num][e.view.blk.FirstStream : e.view.blk.LastStream+1]
	yes := 0
	for _, h := range holds {
		if h {
			yes++
		}
	}
	switch yes {
	case 0:
		return never
	case len(holds):
		return always
	}
	return maybe
}

// eachColumn calls f with the slots of the columns that a condition looks at.
func (v *blockView) eachColumn(l *leaf, f func(slot int) bool) {
	if l.ref.Every {
		for i := range v.columns() {
			if key := v.cols[i].key; l.takes[key.Kind] && key != overflowKey && !f(i) {
				return
			}
		}
		return
	}
	for k := column.String; k <= column.JSON; k++ {
		if !l.takes[k] {
			continue
		}
		key := ColumnKey{l.ref.Name, k}
		if slot := v.find(key); slot >= 0 && key != overflowKey && !f(slot) {
			return
		}
	}
}

func (e *evaluator) pruneLeaf(l *leaf, probe bool) tri {
	out := never
	e.view.eachColumn(l, func(slot int) bool {
		t := maybe
		if e.view.blk != nil {
			t = e.pruneColumn(l, slot, probe)
		} else if probe && e.view.settled() && !e.mayContainInMemory(l, &e.view.cols[slot]) {
			t = never
		}
		out = max(out, t)
		return out != always && e.err == nil
	})
	if out == never && e.view.find(overflowKey) >= 0 {
		out = maybe
	}
	return out
}

// pruneColumn is pruneLeaf for the column in a slot of a block of a part.
func (e *evaluator) pruneColumn(l *leaf, slot int, probe bool) tri {
	d := &e.view.blk.Columns[slot]
	kind := e.view.part.r.Columns[d.Column].Kind
	if l.exists {
		if d.Count == e.view.rows {
			return always
		}
		return maybe
	}
	if l.bounded && d.Bounded {
		var lo, hi float64
		switch kind {
		case column.Int:
			lo, hi = roundDown(int64(d.Min)), roundUp(int64(d.Max))
		case column.Float:
			lo, hi = math.Float64frombits(d.Min), math.Float64frombits(d.Max)
		default:
			return maybe
		}
		if hi < l.lo || lo > l.hi {
			return never
		}
		return maybe
	}
	if !probe || d.Filter == column.NoFilter {
		return maybe
	}
	if !e.mayContain(l, d, kind) {
		return never
	}
	return maybe
}

// probes reports whether the filter holds only where one of the values is that filters of values
// are asked for.
func (n *node) probes() bool {
	switch n.op {
	case opAnd:
		return slices.ContainsFunc(n.of, (*node).probes)
	case opOr:
		return len(n.of) > 0 && !slices.ContainsFunc(n.of, func(c *node) bool { return !c.probes() })
	case opRow:
		return slices.ContainsFunc(n.leaf.probes[:], func(p []probe) bool { return len(p) > 0 })
	}
	return false
}

// mayContain asks a column's Bloom filter.
func (e *evaluator) mayContain(l *leaf, d *part.BlockColumn, kind Kind) bool {
	all := func(hashes []uint64) bool {
		for _, h := range hashes {
			before := e.view.io.BytesRead
			ok, err := e.view.part.r.MayContain(&e.view.io, d, h)
			e.view.stats.BytesRead += e.view.io.BytesRead - before
			if err != nil {
				e.err = err
				return true
			}
			if !ok {
				return false
			}
		}
		return true
	}
	if probes := l.probes[kind]; len(probes) > 0 {
		for _, p := range probes {
			if d.Filter == column.ValueFilter {
				if all([]uint64{p.value}) {
					return true
				}
			} else if all(p.words) {
				return true
			}
		}
		return false
	}
	if d.Filter != column.WordFilter || !isText(kind) {
		return true
	}
	if !all(l.words) {
		return false
	}
	for _, lits := range l.require {
		if !slices.ContainsFunc(lits, func(lit literal) bool { return all(lit.words) && e.mayHold(d, &lit) }) {
			return false
		}
	}
	return true
}

// isText reports whether the values of a kind are their own text form.
func isText(k Kind) bool { return k == column.String || k == column.JSON }

// mayHold asks a column's gram filter.
func (e *evaluator) mayHold(d *part.BlockColumn, lit *literal) bool {
	if !lit.probed {
		return true
	}
	before := e.view.io.BytesRead
	ok, err := e.view.part.r.MayHold(&e.view.io, d, &lit.probe)
	e.view.stats.BytesRead += e.view.io.BytesRead - before
	if err != nil {
		e.err = err
		return true
	}
	return ok
}
