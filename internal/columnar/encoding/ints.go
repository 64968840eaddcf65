package encoding

import (
	"encoding/binary"
	"math"
	"slices"
)

// Integers, seen as 64-bit words that wrap around, are stored in one of four
// ways, whichever is smallest:
//
//	const: one value for all
//	frame: (value - base) / divisor, in runs of 256 with a minimum and a width each
//	delta: the same, of the differences between neighbors
//	table: the distinct values, and which of them each is
//
// The divisor takes the zeros off times with a coarse resolution. Runs of
// differences keep the sum of their numbers, so that a reader who wants few values adds up only
// the runs that these are in.
const (
	intsConst = 0
	intsFrame = 1
	intsDelta = 2
	intsTable = 3
	intsPaged = 4 // frame or delta, the runs in pages

	runLen = 256
	// Tables have so many values at most.
	maxTable = 64
)

// AppendInts appends vals. Their number is the reader's to know.
func AppendInts(dst []byte, vals []uint64) []byte {
	dst, _ = appendInts(dst, nil, vals, false)
	return dst
}

// appendInts appends vals to dst, and to pages what goes there.
func appendInts(dst, pages []byte, vals []uint64, paged bool) (head, behind []byte) {
	if len(vals) == 0 {
		return dst, pages
	}
	same := true
	minV, maxV := int64(vals[0]), int64(vals[0])
	minD, maxD := int64(0), int64(0)
	if len(vals) > 1 {
		minD = int64(vals[1] - vals[0])
		maxD = minD
	}
	prev := vals[0]
	for _, v := range vals[1:] {
		minV, maxV = min(minV, int64(v)), max(maxV, int64(v))
		d := int64(v - prev)
		minD, maxD = min(minD, d), max(maxD, d)
		same = same && v == prev
		prev = v
	}
	if same {
		dst = append(dst, intsConst)
		return binary.AppendVarint(dst, int64(vals[0])), pages
	}
	best := newPlan(vals, uint64(minV), false)
	if mayBeDelta(vals) {
		if delta := newPlan(vals, uint64(minD), true); delta.size < best.size {
			best = delta
		}
	}
	var t intTable
	if t.fill(vals) && t.size(len(vals)) < best.size {
		return t.append(dst, vals), pages
	}
	if paged && best.size >= minPaged {
		return best.appendPaged(dst, pages, vals)
	}
	return best.append(dst, vals), pages
}

// sampledRuns of an array tell whether its differences are worth a look.
const sampledRuns = 4

// mayBeDelta reports whether in a sample differences are in a smaller range than the values are:
// of numbers without order they are in one twice as large.
func mayBeDelta(vals []uint64) bool {
	if len(vals) < 2*sampledRuns*runLen {
		return true
	}
	for i := range sampledRuns {
		from := i * (len(vals) - runLen) / (sampledRuns - 1)
		us := vals[from : from+runLen]
		minV, maxV := int64(us[0]), int64(us[0])
		minD, maxD := int64(us[1]-us[0]), int64(us[1]-us[0])
		for j, v := range us[1:] {
			d := int64(v - us[j])
			minV, maxV = min(minV, int64(v)), max(maxV, int64(v))
			minD, maxD = min(minD, d), max(maxD, d)
		}
		if bitLen(uint64(maxD-minD)) <= bitLen(uint64(maxV-minV)) {
			return true
		}
	}
	return false
}

// plan is a way to store vals, with its size.
type plan struct {
	delta bool
	base  uint64
	gcd   uint64
	size  int
}

func newPlan(vals []uint64, base uint64, delta bool) plan {
	p := plan{delta: delta, base: base, gcd: commonDivisor(vals, base, delta)}
	p.size = 3 * binary.MaxVarintLen64
	prev := uint64(0)
	if delta {
		prev, vals = vals[0], vals[1:]
	}
	for len(vals) > 0 {
		k := min(len(vals), runLen)
		lo, hi := p.bounds(vals[:k], prev)
		p.size += uvarintLen(lo) + 1 + packedSize(k, bitLen(hi-lo))
		if delta {
			p.size += uvarintLen((vals[k-1]-prev-uint64(k)*base)/p.gcd - uint64(k)*lo)
		}
		prev, vals = vals[k-1], vals[k:]
	}
	return p
}

// bounds returns the least and the greatest of a run's transformed values.
func (p *plan) bounds(run []uint64, prev uint64) (lo, hi uint64) {
	lo = math.MaxUint64
	if p.delta {
		for _, v := range run {
			u := v - prev - p.base
			lo, hi = min(lo, u), max(hi, u)
			prev = v
		}
	} else {
		for _, v := range run {
			u := v - p.base
			lo, hi = min(lo, u), max(hi, u)
		}
	}
	return lo / p.gcd, hi / p.gcd
}

// transform fills us with a run's transformed values, each less lo.
func (p *plan) transform(us, run []uint64, prev, lo uint64) {
	switch {
	case p.delta:
		for i, v := range run {
			us[i] = v - prev - p.base
			prev = v
		}
	default:
		for i, v := range run {
			us[i] = v - p.base
		}
	}
	if p.gcd == 1 {
		for i := range us {
			us[i] -= lo
		}
		return
	}
	for i := range us {
		us[i] = us[i]/p.gcd - lo
	}
}

func (p *plan) append(dst []byte, vals []uint64) []byte {
	dst = p.appendHead(slices.Grow(dst, p.size), vals[0])
	if p.delta {
		return p.appendRuns(dst, vals[1:], vals[0])
	}
	return p.appendRuns(dst, vals, 0)
}

// appendHead appends all but the runs.
func (p *plan) appendHead(dst []byte, first uint64) []byte {
	mode := byte(intsFrame)
	if p.delta {
		mode = intsDelta
	}
	dst = append(dst, mode)
	dst = binary.AppendUvarint(dst, p.gcd)
	dst = binary.AppendVarint(dst, int64(p.base))
	if p.delta {
		dst = binary.AppendVarint(dst, int64(first))
	}
	return dst
}

// appendRuns appends runs of values that follow prev.
func (p *plan) appendRuns(dst []byte, vals []uint64, prev uint64) []byte {
	var buf [runLen]uint64
	for len(vals) > 0 {
		k := min(len(vals), runLen)
		us := buf[:k]
		lo, hi := p.bounds(vals[:k], prev)
		p.transform(us, vals[:k], prev, lo)
		width := bitLen(hi - lo)
		dst = append(dst, byte(width))
		dst = binary.AppendUvarint(dst, lo)
		if p.delta {
			dst = binary.AppendUvarint(dst, sumOf(us))
		}
		dst = appendPacked(dst, us, width)
		prev, vals = vals[k-1], vals[k:]
	}
	return dst
}

func sumOf(us []uint64) uint64 {
	sum := uint64(0)
	for _, u := range us {
		sum += u
	}
	return sum
}

// run is a run as stored.
type run struct {
	width uint
	lo    uint64
	sum   uint64 // of the numbers; of differences only
	body  []byte // and perhaps some bytes behind
}

// readRun reads a run of n numbers.
func readRun(r *Reader, n int, delta bool) (h run) {
	h.width, h.lo = uint(r.Byte()), r.Uvarint()
	if delta {
		h.sum = r.Uvarint()
	}
	if h.width > 64 {
		r.Fail()
		return run{}
	}
	size, rest := packedSize(n, h.width), r.B
	if r.Take(size) != nil {
		h.body = rest[:min(size+loadBytes, len(rest))] // unpacking the last ones goes faster with some bytes behind
	}
	return h
}

// commonDivisor returns the greatest divisor of all offsets from base, 1 if
// that soon turns out.
func commonDivisor(vals []uint64, base uint64, delta bool) uint64 {
	prev := uint64(0)
	if delta {
		prev, vals = vals[0], vals[1:]
	}
	g := uint64(0)
	for _, v := range vals {
		u := v - base
		if delta {
			u -= prev
			prev = v
		}
		if g > 1 && u%g == 0 {
			continue
		}
		for u != 0 {
			g, u = u, g%u
		}
		if g == 1 {
			return 1
		}
	}
	return max(g, 1)
}

// DecodeInts fills dst from src and returns what follows.
func DecodeInts(dst []uint64, src []byte) ([]byte, error) { return DecodePagedInts(dst, src, nil) }

// decode fills dst with values that follow sum.
func (h *runsHead) decode(dst []uint64, r *Reader, sum uint64) error {
	for len(dst) > 0 {
		run := dst[:min(len(dst), runLen)]
		s := readRun(r, len(run), h.delta)
		if r.Bad() {
			return ErrCorrupt
		}
		unpack(run, s.body, s.width)
		add := s.lo*h.gcd + h.base
		switch {
		case h.delta:
			for i := range run {
				sum += run[i]*h.gcd + add
				run[i] = sum
			}
		case h.gcd == 1:
			for i := range run {
				run[i] += add
			}
		default:
			for i := range run {
				run[i] = run[i]*h.gcd + add
			}
		}
		dst = dst[len(run):]
	}
	return nil
}

func uvarintLen(v uint64) int { return int(bitLen(v|1)+6) / 7 }
