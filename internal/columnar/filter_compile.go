package columnar

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"belfry/internal/columnar/automaton"
	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/fault"
)

// tri is the outcome of a condition for many rows at once.
type tri uint8

const (
	never tri = iota
	maybe
	always
)

// node is a compiled filter. It is read-only and shared by the goroutines of a query.
type node struct {
	op    nodeOp
	of    []*node
	leaf  *leaf
	ids   map[StreamID]bool
	from  int64
	to    int64
	num   int // stream leaves are numbered: their place in streamFacts
	cost  int
	count int // at the root: number of stream leaves
}

type nodeOp uint8

const (
	opAnd nodeOp = iota
	opOr
	opNot
	opRow
	opStream
	opTime
)

// leaf is a condition on values.
type leaf struct {
	ref    Ref
	exists bool

	// Values by kind: at most one of the two is used for a kind.
	bytesMatch [column.JSON + 1]func([]byte) bool
	numMatch   [column.JSON + 1]func(uint64) bool
	takes      [column.JSON + 1]bool    // the condition can hold for values of this kind
	only       [column.JSON + 1]*uint64 // the one number of this kind that it holds for
	onlyBytes  [column.JSON + 1][]byte  // the one byte string of this kind that it holds for

	// Range of numbers that can match, for pruning; only if bounded.
	bounded bool
	lo, hi  float64
	needle  []byte      // what every match contains as it stands; nil if nothing is known
	exact   bool        // containing the text that is required is all there is to it
	words   []uint64    // hashes of words that every match has
	require [][]literal // every match contains one literal of each list

	automaton *automaton.Automaton // of a Regexp; nil if it has none

	ids    [][]byte                 // for Equal and In: the IDs, if they are few
	probes [column.JSON + 1][]probe // for Equal and In: the values' hashes, if they are few
}

// probe is what a filter can tell of one value.
type probe struct {
	value uint64   // hash of the whole
	words []uint64 // hashes of all its words
}

const (
	maxProbedValues = 64
	maxFilterDepth  = 1000
)

// compile turns a filter into a tree. The errors are Invalid faults.
func compile(f Filter) (*node, error) {
	streams := 0
	n, err := compileNode(f, &streams, 0)
	if err != nil {
		return nil, err
	}
	n.count = streams
	return n, nil
}

func compileNode(f Filter, streams *int, depth int) (*node, error) {
	if depth > maxFilterDepth {
		return nil, fault.Invalidf("filter nested over %d deep", maxFilterDepth)
	}
	switch f := f.(type) {
	case nil:
		return &node{op: opAnd}, nil
	case And:
		return compileMany(opAnd, f, streams, depth)
	case Or:
		return compileMany(opOr, f, streams, depth)
	case Not:
		of, err := compileNode(f.Of, streams, depth+1)
		if err != nil {
			return nil, err
		}
		return &node{op: opNot, of: []*node{of}, cost: of.cost}, nil
	case TimeRange:
		return &node{op: opTime, from: f.From, to: f.To}, nil
	case InStreams:
		n := &node{op: opStream, ids: make(map[StreamID]bool, len(f.IDs)), num: *streams}
		for _, id := range f.IDs {
			n.ids[id] = true
		}
		*streams++
		return n, nil
	}
	l, cost, err := compileLeaf(f)
	if err != nil {
		return nil, err
	}
	if l.ref.Stream {
		n := &node{op: opStream, leaf: l, num: *streams}
		*streams++
		return n, nil
	}
	return &node{op: opRow, leaf: l, cost: cost}, nil
}

func compileMany(op nodeOp, fs []Filter, streams *int, depth int) (*node, error) {
	n := &node{op: op}
	for _, f := range fs {
		c, err := compileNode(f, streams, depth+1)
		if err != nil {
			return nil, err
		}
		n.of = append(n.of, c)
		n.cost += c.cost
	}
	slices.SortStableFunc(n.of, func(a, b *node) int { return a.cost - b.cost })
	return n, nil
}

func compileLeaf(f Filter) (*leaf, int, error) {
	l := &leaf{}
	cost := 0
	switch f := f.(type) {
	case Equal:
		l.ref, cost = f.Ref, 2
		l.equalAny([]Value{f.Value}, f.AsText)
	case In:
		l.ref, cost = f.Ref, 3
		l.equalAny(f.Values, f.AsText)
	case Range:
		l.ref, cost = f.Ref, 2
		if err := l.inRange(f); err != nil {
			return nil, 0, err
		}
	case Contains:
		l.ref, cost = f.Ref, 20
		lit := newLiteral(f.Text, f.Fold)
		l.exact = true
		if f.Text != "" {
			l.require = [][]literal{{lit}}
		}
		if !f.Fold {
			l.needle = lit.text
		}
		l.text(lit.match)
	case HasPrefix:
		l.ref, cost = f.Ref, 10
		prefix := []byte(f.Text)
		l.words = innerWords(f.Text, true, false)
		if f.Text != "" {
			l.needle, l.require = prefix, [][]literal{{newLiteral(f.Text, false)}}
		}
		l.text(func(b []byte) bool { return bytes.HasPrefix(b, prefix) })
	case Words:
		l.ref, cost = f.Ref, 15
		var words [][]byte
		for _, w := range f.Words {
			text := []byte(w)
			for i := 0; ; {
				start, end := encoding.NextWord(text, i)
				if start == len(text) {
					break
				}
				words = append(words, text[start:end])
				l.words = append(l.words, encoding.HashWord(text[start:end]))
				i = end
			}
		}
		if len(words) > 0 && !f.Fold {
			l.needle = words[0]
			for _, w := range words {
				if len(w) > len(l.needle) {
					l.needle = w
				}
			}
		}
		l.text(wordsMatcher(words, f.Fold))
	case Regexp:
		l.ref, cost = f.Ref, 40
		if f.Re == nil {
			return nil, 0, fault.Invalidf("regexp filter without a regexp")
		}
		l.require = requiredLiterals(f.Re.String())
		l.automaton = automaton.New(f.Re.String())
		l.text(l.regexpMatcher(f.Re))
	case Exists:
		l.ref, l.exists, cost = f.Ref, true, 1
		for k := range l.takes {
			l.takes[k] = true
		}
	case Func:
		l.ref, cost = f.Ref, 50
		if f.Match == nil {
			return nil, 0, fault.Invalidf("func filter without a func")
		}
		for k := column.String; k <= column.JSON; k++ {
			l.takes[k] = true
			if k.VarWidth() {
				l.bytesMatch[k] = func(b []byte) bool { return f.Match(column.VarValue(k, string(b))) }
			} else {
				l.numMatch[k] = func(n uint64) bool { return f.Match(column.NumValue(k, n)) }
			}
		}
	default:
		return nil, 0, fault.Invalidf("unknown filter %T", f)
	}
	if l.ref.Kind != KindAny {
		for k := range l.takes {
			l.takes[k] = l.takes[k] && Kind(k) == l.ref.Kind
		}
	}
	if l.ref.Every {
		cost *= 5
	}
	return l, cost, nil
}

// text makes the leaf a condition on the values' text form.
func (l *leaf) text(match func([]byte) bool) {
	for k := column.String; k <= column.JSON; k++ {
		l.takes[k] = true
		switch {
		case k == column.String || k == column.JSON:
			l.bytesMatch[k] = match
		case k.VarWidth():
			l.bytesMatch[k] = func(b []byte) bool { return match(column.VarValue(k, string(b)).AppendText(nil)) }
		default:
			l.numMatch[k] = func(n uint64) bool {
				var buf [32]byte
				return match(column.NumValue(k, n).AppendText(buf[:0]))
			}
		}
	}
}

// equalAny makes the leaf hold for the given values.
func (l *leaf) equalAny(values []Value, asText bool) {
	sets := map[Kind]map[string]bool{}
	var nums [column.JSON + 1]map[uint64]bool
	floats := map[float64]bool{}
	nan := false
	addFloat := func(f float64) {
		if f == f { // NaN equals nothing
			floats[f] = true
		}
	}
	addBytes := func(k Kind, s string) {
		if sets[k] == nil {
			sets[k] = map[string]bool{}
		}
		sets[k][s] = true
	}
	addNum := func(k Kind, n uint64) {
		if nums[k] == nil {
			nums[k] = map[uint64]bool{}
		}
		nums[k][n] = true
	}
	floatBits := map[uint64]bool{}
	for _, v := range values {
		if asText {
			for k := column.String; k <= column.JSON; k++ {
				p, ok := column.ParseText(k, v.Text())
				switch {
				case !ok:
				case k.VarWidth():
					addBytes(k, p.Str())
				case k == column.Float:
					nan = nan || p.Float() != p.Float() // all NaNs have one text
					floatBits[p.Bits()] = true
				default:
					addNum(k, p.Bits())
				}
			}
			continue
		}
		switch k := v.Kind(); {
		case k.VarWidth():
			addBytes(k, v.Str())
		case k == column.Int:
			addNum(column.Int, v.Bits())
			if f := float64(v.Int()); sameNumber(v.Int(), f) {
				addFloat(f)
			}
		case k == column.Float:
			addFloat(v.Float())
			if f := v.Float(); f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 {
				addNum(column.Int, uint64(int64(f)))
			}
		case k == column.Bool:
			addNum(column.Bool, v.Bits())
		}
	}
	for k, set := range sets {
		l.takes[k] = true
		var only []byte
		for s := range set {
			only = []byte(s)
			if len(set) <= maxProbedValues {
				if k == column.ID {
					l.ids = append(l.ids, only)
				}
				l.probes[k] = append(l.probes[k], probe{encoding.HashValue(only), innerWords(s, true, true)})
			}
		}
		if len(set) == 1 {
			l.onlyBytes[k] = only
			l.bytesMatch[k] = func(b []byte) bool { return string(b) == string(only) }
		} else {
			l.bytesMatch[k] = func(b []byte) bool { return set[string(b)] }
		}
	}
	for _, k := range [...]Kind{column.Int, column.Bool} {
		if set := nums[k]; set != nil {
			l.takes[k] = true
			if len(set) == 1 {
				for only := range set {
					l.only[k] = &only
					l.numMatch[k] = func(n uint64) bool { return n == only }
				}
			} else {
				l.numMatch[k] = func(n uint64) bool { return set[n] }
			}
		}
	}
	if len(floats) > 0 || nan || len(floatBits) > 0 {
		l.takes[column.Float] = true
		l.numMatch[column.Float] = func(n uint64) bool {
			f := math.Float64frombits(n)
			return floats[f] || nan && f != f || floatBits[n]
		}
	}
	if !asText {
		l.lo, l.hi = math.Inf(1), math.Inf(-1)
		for f := range floats {
			l.lo, l.hi = min(l.lo, f), max(l.hi, f)
		}
		for n := range nums[column.Int] {
			l.lo, l.hi = min(l.lo, roundDown(int64(n))), max(l.hi, roundUp(int64(n)))
		}
		l.bounded = true
	}
}

func sameNumber(n int64, f float64) bool { return f < 1<<63 && int64(f) == n }

// roundDown and roundUp return the neighboring float64 of an integer that has none of its own.
func roundDown(n int64) float64 {
	if f := float64(n); f < 1<<63 && int64(f) <= n {
		return f
	}
	return math.Nextafter(float64(n), math.Inf(-1))
}

func roundUp(n int64) float64 {
	if f := float64(n); f >= 1<<63 || int64(f) >= n {
		return f
	}
	return math.Nextafter(float64(n), math.Inf(1))
}

// compareNum compares a number (Int or Float as its bits) with a bound.
func compareNum(k Kind, n uint64, bound Value) (int, bool) {
	switch {
	case k == column.Int && bound.Kind() == column.Int:
		a, b := int64(n), bound.Int()
		switch {
		case a < b:
			return -1, true
		case a > b:
			return 1, true
		}
		return 0, true
	case k == column.Int:
		c, ok := compareIntFloat(int64(n), bound.Float())
		return c, ok
	case bound.Kind() == column.Int:
		c, ok := compareIntFloat(bound.Int(), math.Float64frombits(n))
		return -c, ok
	}
	a, b := math.Float64frombits(n), bound.Float()
	switch {
	case a < b:
		return -1, true
	case a > b:
		return 1, true
	}
	return 0, a == b
}

func compareIntFloat(n int64, f float64) (int, bool) {
	switch {
	case f != f:
		return 0, false
	case f >= 1<<63:
		return -1, true
	case f < -1<<63:
		return 1, true
	}
	t := math.Floor(f)
	switch m := int64(t); {
	case n < m:
		return -1, true
	case n > m:
		return 1, true
	}
	if f > t {
		return -1, true
	}
	return 0, true
}

func (l *leaf) inRange(f Range) error {
	k := f.Min.Kind()
	if k == column.Any {
		k = f.Max.Kind()
	}
	numeric := func(k Kind) bool { return k == column.Int || k == column.Float }
	if f.Min.Kind() != column.Any && f.Max.Kind() != column.Any && f.Min.Kind() != f.Max.Kind() && (!numeric(f.Min.Kind()) || !numeric(f.Max.Kind())) {
		return fault.Invalidf("range from %s to %s", f.Min.Kind(), f.Max.Kind())
	}
	switch {
	case k == column.Any: // both open: any value
		l.exists = true
		for k := range l.takes {
			l.takes[k] = true
		}
	case numeric(k):
		for _, k := range [...]Kind{column.Int, column.Float} {
			l.takes[k] = true
			l.numMatch[k] = func(n uint64) bool {
				if f.Min.Kind() != column.Any {
					if c, ok := compareNum(k, n, f.Min); !ok || c < 0 || c == 0 && f.ExcludeMin {
						return false
					}
				}
				if f.Max.Kind() != column.Any {
					if c, ok := compareNum(k, n, f.Max); !ok || c > 0 || c == 0 && f.ExcludeMax {
						return false
					}
				}
				return true
			}
		}
		l.bounded, l.lo, l.hi = true, math.Inf(-1), math.Inf(1)
		if v := f.Min; v.Kind() == column.Int {
			l.lo = roundDown(v.Int())
		} else if v.Kind() == column.Float {
			l.lo = v.Float()
		}
		if v := f.Max; v.Kind() == column.Int {
			l.hi = roundUp(v.Int())
		} else if v.Kind() == column.Float {
			l.hi = v.Float()
		}
		if l.lo != l.lo || l.hi != l.hi {
			l.bounded = false
		}
	case k.VarWidth():
		l.takes[k] = true
		l.bytesMatch[k] = func(b []byte) bool {
			if f.Min.Kind() != column.Any {
				if c := strings.Compare(string(b), f.Min.Str()); c < 0 || c == 0 && f.ExcludeMin {
					return false
				}
			}
			if f.Max.Kind() != column.Any {
				if c := strings.Compare(string(b), f.Max.Str()); c > 0 || c == 0 && f.ExcludeMax {
					return false
				}
			}
			return true
		}
	default:
		return fault.Invalidf("range of %s", k)
	}
	return nil
}
