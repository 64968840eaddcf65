package columnar

import (
	"bytes"
	"math/bits"
	"sort"

	"belfry/internal/columnar/column"
)

// streamFacts is what a filter's stream conditions say of the streams of one
// part or memtable.
type streamFacts struct {
	holds   [][]bool // by condition, by stream
	allowed []bool   // by stream: rows of it may match; nil if all may
	none    bool     // no stream may
}

// factsOf decides the stream conditions of a filter, once per stream.
func factsOf(root *node, streams int, stream func(i int) *streamDef) *streamFacts {
	f := &streamFacts{}
	if root.count == 0 {
		return f
	}
	f.holds = make([][]bool, root.count)
	for i := range f.holds {
		f.holds[i] = make([]bool, streams)
	}
	root.eachStream(func(n *node) {
		for i := range streams {
			f.holds[n.num][i] = n.onStream(stream(i))
		}
	})
	f.allowed = make([]bool, streams)
	f.none = true
	some := false
	for i := range streams {
		f.allowed[i] = root.ofStream(f, i) != never
		if f.allowed[i] {
			f.none = false
		} else {
			some = true
		}
	}
	if !some {
		f.allowed = nil
	}
	return f
}

func (n *node) eachStream(f func(*node)) {
	if n.op == opStream {
		f(n)
	}
	for _, c := range n.of {
		c.eachStream(f)
	}
}

// onStream decides a stream condition.
func (n *node) onStream(d *streamDef) bool {
	if n.ids != nil {
		return n.ids[d.ID]
	}
	l := n.leaf
	for i := range d.Fields {
		f := &d.Fields[i]
		if (l.ref.Every || f.Name == l.ref.Name) && l.onValue(f.Value) {
			return true
		}
	}
	return false
}

func (l *leaf) onValue(v Value) bool {
	k := v.Kind()
	switch {
	case !l.takes[k]:
		return false
	case l.exists:
		return true
	case k.VarWidth():
		return l.bytesMatch[k]([]byte(v.Str()))
	}
	return l.numMatch[k](v.Bits())
}

// ofStream decides the filter for all rows of a stream, knowing only the stream.
func (n *node) ofStream(f *streamFacts, stream int) tri {
	switch n.op {
	case opStream:
		if f.holds[n.num][stream] {
			return always
		}
		return never
	case opAnd, opOr, opNot:
		return n.combine(func(c *node) tri { return c.ofStream(f, stream) })
	}
	return maybe
}

// combine applies a logical operation to its operands' outcomes.
func (n *node) combine(of func(*node) tri) tri {
	switch n.op {
	case opAnd:
		out := always
		for _, c := range n.of {
			if out = min(out, of(c)); out == never {
				return never
			}
		}
		return out
	case opOr:
		out := never
		for _, c := range n.of {
			if out = max(out, of(c)); out == always {
				return always
			}
		}
		return out
	}
	return always - of(n.of[0])
}

// evaluator decides a filter on one block.
type evaluator struct {
	view  *blockView
	facts *streamFacts
	err   error
}

// eval returns the rows of in that meet the filter.
func (e *evaluator) eval(n *node, in bitmap) (bitmap, error) {
	a := e.view.io.Arena
	switch n.op {
	case opAnd:
		for _, c := range n.of {
			if in.empty() {
				return in, nil
			}
			var err error
			if in, err = e.eval(c, in); err != nil {
				return nil, err
			}
		}
		return in, nil
	case opOr:
		out := bitmap(a.ZeroWords(len(in)))
		rest := bitmap(a.Words(len(in)))
		copy(rest, in)
		for _, c := range n.of {
			if rest.empty() {
				break
			}
			got, err := e.eval(c, rest)
			if err != nil {
				return nil, err
			}
			out.or(got)
			rest.andNot(out)
		}
		return out, nil
	case opNot:
		got, err := e.eval(n.of[0], in)
		if err != nil {
			return nil, err
		}
		out := bitmap(a.Words(len(in)))
		copy(out, in)
		out.andNot(got)
		return out, nil
	case opTime:
		return e.between(n.from, n.to, in)
	case opStream:
		return e.ofStreams(e.facts.holds[n.num], in)
	}
	return e.evalLeaf(n.leaf, in)
}

// between returns the rows of in whose times are in [from, to).
func (e *evaluator) between(from, to int64, in bitmap) (bitmap, error) {
	if lo, hi := e.view.timeBounds(); lo >= from && hi < to {
		return in, nil
	}
	if err := e.view.headOf(e.selection(in)); err != nil {
		return nil, err
	}
	out := bitmap(e.view.io.Arena.ZeroWords(len(in)))
	in.each(func(i int) {
		if t := int64(e.view.times[i]); t >= from && t < to {
			out.set(i)
		}
	})
	return out, nil
}

// ofStreams returns the rows of in that belong to streams of which holds is true.
func (e *evaluator) ofStreams(holds []bool, in bitmap) (bitmap, error) {
	if err := e.view.headOf(e.selection(in)); err != nil {
		return nil, err
	}
	out := bitmap(e.view.io.Arena.ZeroWords(len(in)))
	for _, r := range e.view.runs {
		if holds[r.stream] {
			out.setRange(r.start, r.end)
		}
	}
	for i := range out {
		out[i] &= in[i]
	}
	return out, nil
}

// selection returns the rows in m for loading pages: nil for all, if most are in it.
func (e *evaluator) selection(m bitmap) []uint32 {
	n := m.count()
	if n > e.view.rows*3/4 {
		return nil
	}
	return m.rows(e.view.io.Arena.Uint32s(n)[:0])
}

func (e *evaluator) evalLeaf(l *leaf, in bitmap) (bitmap, error) {
	out := bitmap(e.view.io.Arena.ZeroWords(len(in)))
	sel := e.selection(in)
	var err error
	e.view.eachColumn(l, func(slot int) bool {
		if e.view.blk != nil && e.pruneColumn(l, slot, l.ref.Every) == never {
			return true
		}
		in, sel := in, sel
		var v *Vector
		if e.view.canPick(slot, sel) {
			if v, err = e.view.pick(slot, sel); err != nil {
				return false
			}
			all, hits := bitmap(e.view.io.Arena.ZeroWords((len(sel)+63)/64)), bitmap(e.view.io.Arena.ZeroWords((len(sel)+63)/64))
			all.setRange(0, len(sel))
			l.match(v, all, hits, true, e.view.io.Arena)
			hits.each(func(i int) { out.set(int(sel[i])) })
			return true
		}
		var rest bitmap
		if rest, err = e.byTemplates(l, slot, in, out); err != nil {
			return false
		}
		if &rest[0] != &in[0] {
			if rest.empty() {
				return true
			}
			in, sel = rest, e.selection(rest)
		}
		if v, err = e.view.vector(slot, sel); err != nil {
			return false
		}
		l.match(v, in, out, sel == nil, e.view.io.Arena)
		return true
	})
	if err == nil {
		err = e.err
	}
	if err != nil || e.view.find(overflowKey) < 0 {
		return out, err
	}
	return out, e.evalOverflow(l, in, out, sel)
}

// evalOverflow adds the rows of in whose overflow entries meet the condition.
func (e *evaluator) evalOverflow(l *leaf, in, out bitmap, sel []uint32) error {
	over, err := e.view.vector(e.view.find(overflowKey), sel)
	if err != nil {
		return err
	}
	in.each(func(i int) {
		if err != nil || out.has(i) || !over.Has(i) {
			return
		}
		err = eachOverflow(over.Bytes(i), func(kind Kind, name, value []byte) bool {
			if !l.takes[kind] || !l.ref.Every && string(name) != l.ref.Name {
				return true
			}
			if l.exists || kind.VarWidth() && l.bytesMatch[kind](value) || !kind.VarWidth() && l.numMatch[kind](leUint64(value)) {
				out.set(i)
				return false
			}
			return true
		})
	})
	return err
}

func leUint64(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// match adds to out the rows of in whose values meet the condition. loaded says
// that all rows are readable, not just those in in.
func (l *leaf) match(v *Vector, in, out bitmap, loaded bool, a *column.Arena) {
	m := in
	if p := v.Present(); p != nil {
		m = a.Words(len(in))
		for i := range m {
			m[i] = in[i] & p[i]
		}
	}
	k := v.Kind()
	if l.exists {
		out.or(m)
		return
	}
	if !k.VarWidth() {
		if only := l.only[k]; only != nil {
			matchNumber(v.Nums(), *only, m, out)
			return
		}
		nums, match := v.Nums(), l.numMatch[k]
		m.each(func(i int) {
			if match(nums[i]) {
				out.set(i)
			}
		})
		return
	}
	match := l.bytesMatch[k]
	if n := v.DictLen(); n > 0 {
		l.matchDict(v, n, m, out, a)
		return
	}
	if offs, data, ok := v.Plain(); ok && loaded && isText(k) && len(l.needle) > 0 {
		l.matchNeedle(offs, data, m, out, match)
		return
	}
	m.each(func(i int) {
		if match(v.Bytes(i)) {
			out.set(i)
		}
	})
}

// matchNumber adds to out the rows of m whose number is only, 64 rows at a time.
func matchNumber(nums []uint64, only uint64, m, out bitmap) {
	for w, word := range m {
		if word == 0 {
			continue
		}
		equal := uint64(0)
		for i, n := range nums[w*64 : min(w*64+64, len(nums))] {
			d := n ^ only
			equal |= ((d|-d)>>63 ^ 1) << i // without a branch
		}
		out[w] |= equal & word
	}
}

// matchDict decides once per dictionary entry that occurs.
func (l *leaf) matchDict(v *Vector, n int, m, out bitmap, a *column.Arena) {
	match := l.bytesMatch[v.Kind()]
	if n == 1 {
		if !m.empty() && match(v.DictBytes(0)) {
			out.or(m)
		}
		return
	}
	verdict := a.Bytes(n) // 0 unknown, 2 no, 3 yes
	clear(verdict)
	for w, word := range m {
		hits := uint64(0)
		for ; word != 0; word &= word - 1 {
			bit := bits.TrailingZeros64(word)
			id := v.DictID(w*64 + bit)
			if verdict[id] == 0 {
				verdict[id] = 2
				if match(v.DictBytes(id)) {
					verdict[id] = 3
				}
			}
			hits |= uint64(verdict[id]&1) << bit
		}
		out[w] |= hits
	}
}

// matchNeedle searches all values at once for what every match contains, and
// looks at the values it is found in.
func (l *leaf) matchNeedle(offs []uint32, data []byte, m, out bitmap, match func([]byte) bool) {
	rows := len(offs) - 1
	row := 0
	for pos := 0; row < rows; {
		i := bytes.Index(data[pos:], l.needle)
		if i < 0 {
			return
		}
		p := uint32(pos + i)
		row += sort.Search(rows-row, func(r int) bool { return offs[row+r+1] > p })
		if row >= rows {
			return
		}
		end := offs[row+1]
		if p+uint32(len(l.needle)) > end { // lies across two values
			pos = int(p) + 1
			continue
		}
		if m.has(row) && (l.exact || match(data[offs[row]:end])) { // exact: the needle is all that is required
			out.set(row)
		}
		pos = int(end)
		row++
	}
}
