package traceql

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"belfry/traces"
)

// comparison counts the values of every attribute of two groups of spans, for compare().
type comparison struct {
	steps  int
	fields map[traces.Field]*comparedField
	cells  int         // counters in use
	rest   valueCounts // of all values too many; never looked at

	free  []*valueCounts // of values that were forgotten
	room  []valueCounts  // for values to come
	zeros []int64        // for their counts
}

// comparedField are the values of an attribute. Counters are those of the steps of the
// baseline, then those of the selection: place i is one of them.
type comparedField struct {
	name   string
	of     *comparison
	values map[string]*valueCounts // by text
	totals []int64
	over   bool // there are more values than are told apart
	met    int  // values met so far
}

type valueCounts struct {
	value  traces.Value
	counts []int64
	total  int64
	seen   int // how many other values were met before
}

var metaTypes = [2]string{"baseline", "selection"}

const (
	// maxCompareValues bounds the values that are told apart of one attribute at a time. Of an
	// attribute that has more, the rare ones are left out of the counts: see makeRoom.
	maxCompareValues = 10_000
	// Counters of one attribute, and of all.
	maxFieldCells   = 1 << 18
	maxCompareCells = 1 << 22
)

func newComparison(steps int) *comparison {
	return &comparison{steps: steps, fields: map[traces.Field]*comparedField{}, rest: valueCounts{counts: make([]int64, 2*steps)}}
}

func (c *comparison) field(f traces.Field) *comparedField {
	out := c.fields[f]
	if out == nil {
		out = &comparedField{name: FieldRef{Field: f}.String(), of: c, values: map[string]*valueCounts{}, totals: make([]int64, 2*c.steps)}
		c.fields[f] = out
	}
	return out
}

// value returns the counters of a value, nil if there are too many values.
func (f *comparedField) value(v traces.Value) *valueCounts {
	text := v.Text()
	if have := f.values[text]; have != nil {
		return have
	}
	if f.full() {
		f.over = true
		return nil
	}
	out := f.of.take()
	out.value, out.seen = v, f.met
	f.met++
	f.of.cells += len(out.counts)
	f.values[text] = out
	return out
}

// cellsAtOnce is how many counters are made at once.
const cellsAtOnce = 1 << 12

// take returns counters that are zero.
func (c *comparison) take() *valueCounts {
	if last := len(c.free) - 1; last >= 0 {
		out := c.free[last]
		c.free = c.free[:last]
		return out
	}
	n := 2 * c.steps
	if len(c.room) == 0 {
		values := max(cellsAtOnce/n, 1)
		c.room, c.zeros = make([]valueCounts, values), make([]int64, values*n)
	}
	out := &c.room[0]
	out.counts = c.zeros[:n:n]
	c.room, c.zeros = c.room[1:], c.zeros[n:]
	return out
}

// giveBack takes back counters of which nobody knows any more.
func (c *comparison) giveBack(v *valueCounts) {
	clear(v.counts)
	*v = valueCounts{counts: v.counts}
	c.free = append(c.free, v)
}

func (f *comparedField) full() bool {
	n := len(f.values)
	return n >= maxCompareValues || n*len(f.totals) >= maxFieldCells || f.of.cells >= maxCompareCells
}

// makeRoom forgets the rarer half of the values if there are too many, so that a frequent one that
// comes late is counted, too. What is forgotten was seen less often than all that stay (lossy
// counting; Manku and Motwani, "Approximate Frequency Counts over Data Streams", 2002).
func (f *comparedField) makeRoom() {
	if !f.over || !f.full() || len(f.values) == 0 {
		return
	}
	ranks := make([]uint64, 0, len(f.values))
	for _, v := range f.values {
		ranks = append(ranks, v.rank())
	}
	least := selectRank(ranks, len(ranks)/2)
	for text, v := range f.values {
		if v.rank() < least {
			delete(f.values, text)
			f.of.cells -= len(v.counts)
			f.of.giveBack(v)
		}
	}
}

// selectRank returns the rank at position n of their order, byte by byte from the highest. It spoils ranks.
func selectRank(ranks []uint64, n int) uint64 {
	for shift := 56; len(ranks) > 1 && shift >= 0; shift -= 8 {
		var counts [256]int
		for _, r := range ranks {
			counts[byte(r>>shift)]++
		}
		b := 0
		for ; counts[b] <= n; b++ {
			n -= counts[b]
		}
		same := ranks[:0]
		for _, r := range ranks {
			if int(byte(r>>shift)) == b {
				same = append(same, r)
			}
		}
		ranks = same
	}
	return ranks[0]
}

// rank orders values by how often they were seen, those seen as often by who came first.
func (v *valueCounts) rank() uint64 {
	return uint64(min(v.total, math.MaxUint32))<<32 | uint64(math.MaxUint32-min(v.seen, math.MaxUint32))
}

func (v *valueCounts) add(place int32, n int64) {
	v.counts[place] += n
	v.total += n
}

// count counts a span's value.
func (f *comparedField) count(v traces.Value, place int) {
	if v.IsNil() {
		return
	}
	f.totals[place]++
	if counts := f.value(v); counts != nil {
		counts.add(int32(place), 1)
	} else {
		f.makeRoom() // for the next
	}
}

// place returns the counter of a span.
func (c *comparison) place(def *Compare, start int64, step int, selected bool) int {
	inWindow := def.From == 0 && def.To == 0 || start >= def.From && start < def.To
	if inWindow && selected {
		return c.steps + step
	}
	return step
}

func (c *comparison) observe(def *Compare, s spanAt, step int) {
	place := c.place(def, s.span.Start, step, s.holds(def.Selection.Expr))
	for _, a := range s.span.Attributes {
		c.field(traces.Field{Scope: traces.ScopeSpan, Name: a.Key}).count(a.Value, place)
	}
	for _, a := range s.span.Resource.Attributes {
		c.field(traces.Field{Scope: traces.ScopeResource, Name: a.Key}).count(a.Value, place)
	}
	c.field(traces.Intrinsic(traces.Name)).count(traces.String(s.span.Name), place)
	c.field(traces.Intrinsic(traces.StatusField)).count(traces.String(s.span.Status.String()), place)
	c.field(traces.Intrinsic(traces.SpanKindField)).count(traces.String(s.span.Kind.String()), place)
}

func (c *comparison) merge(o *comparison) {
	for key, from := range o.fields {
		into := c.fields[key]
		if into == nil {
			c.fields[key] = from
			continue
		}
		into.over = into.over || from.over
		addTo(into.totals, from.totals)
		for text, counts := range from.values {
			if have := into.values[text]; have != nil {
				addTo(have.counts, counts.counts)
				have.total += counts.total
			} else {
				into.values[text] = counts
			}
		}
	}
}

func addTo(sum, add []int64) {
	for i, n := range add {
		sum[i] += n
	}
}

// series returns the most frequent values of each attribute, their sum for each
// group, and an error marker where there are more.
func (c *comparison) series(def *Compare, end func(int) int64) []Series {
	var out []Series
	emit := func(steps []int64, labels ...Label) {
		s := Series{Labels: labels}
		for i, n := range steps {
			s.Points = append(s.Points, Point{Time: end(i), Value: float64(n)})
		}
		out = append(out, s)
	}
	for side, meta := range metaTypes {
		from, to := side*c.steps, (side+1)*c.steps
		for _, field := range c.fields {
			list := field.top(from, to, def.TopN+1)
			if len(list) == 0 && sum(field.totals[from:to]) == 0 {
				continue
			}
			for _, v := range list[:min(len(list), def.TopN)] {
				emit(v.counts[from:to], Label{"__meta_type", traces.String(meta)}, Label{field.name, v.value})
			}
			if len(list) > def.TopN || field.over {
				emit(nil, Label{"__meta_type", traces.String(meta)}, Label{"__meta_error", traces.String("__too_many_values__")}, Label{field.name, traces.String("nil")})
			}
			emit(field.totals[from:to], Label{"__meta_type", traces.String(meta + "_total")}, Label{field.name, traces.String("nil")})
		}
	}
	return out
}

func sum(counts []int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// ranked is a value with how often it was counted.
type ranked struct {
	*valueCounts
	total int64
}

// before orders values by how often they were counted, the most frequent first.
func before(a, b ranked) int {
	if order := cmp.Compare(b.total, a.total); order != 0 {
		return order
	}
	return strings.Compare(a.value.Text(), b.value.Text())
}

// top returns the n most frequent values by the counters [from, to).
func (f *comparedField) top(from, to, n int) []*valueCounts {
	list := make([]ranked, 0, min(len(f.values), n)+1)
	for _, v := range f.values {
		r := ranked{v, sum(v.counts[from:to])}
		if r.total == 0 || len(list) == n && before(r, list[n-1]) > 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(list, r, before)
		list = slices.Insert(list, at, r)
		list = list[:min(len(list), n)]
	}
	out := make([]*valueCounts, 0, len(list))
	for _, r := range list {
		out = append(out, r.valueCounts)
	}
	return out
}

// noPlace is the counter of a span that is not counted.
const noPlace = math.MinInt32
