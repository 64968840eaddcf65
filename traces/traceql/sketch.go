package traceql

import (
	"math"
	"slices"
)

// sketch counts numbers in buckets that are at most 1/64 wider than their lower bound, so
// that a quantile is known to within 1 % of its value: each power of two in as many
// buckets of one width, as in the HDR histogram (Tene, 2012), which a number's own bits tell.
type sketch struct {
	few                []int32 // the buckets of numbers above zero, as long as these are few
	positive, negative buckets // of the absolute value
	zeros              int64
	pool               *sketchPool
}

// buckets are counts, in an array for each power of two that occurs.
type buckets struct {
	first  int32 // the exponent of the first array
	arrays []*counts
	more   []*carries // by array, of those that have some; nil: none has
}

// counts are those of the buckets of one power of two, modulo 256: one number after the other goes to
// another sketch, and a line of the processor's cache has to do for each.
type counts [1 << subBits]uint8

// carries are how often counts have passed 255.
type carries [1 << subBits]uint32

// sketchPool makes sketches and what they need, many at once. It is used by one goroutine.
type sketchPool struct {
	sketches []sketch
	counts   []counts
	slots    []*counts
}

// many is how much a pool makes at once.
const many = 32

func (p *sketchPool) sketch() *sketch {
	if len(p.sketches) == 0 {
		p.sketches = make([]sketch, many)
	}
	s := &p.sketches[0]
	p.sketches = p.sketches[1:]
	s.pool = p
	return s
}

func (p *sketchPool) take() *counts {
	if len(p.counts) == 0 {
		p.counts = make([]counts, many)
	}
	c := &p.counts[0]
	p.counts = p.counts[1:]
	return c
}

// arrays returns n places for counts.
func (p *sketchPool) arrays(n int) []*counts {
	if len(p.slots) < n {
		p.slots = make([]*counts, max(n, many*minArrays))
	}
	out := p.slots[:n:n]
	p.slots = p.slots[n:]
	return out
}

// add counts a number.
func (b *buckets) add(bucket int32, pool *sketchPool) {
	i := b.at(bucket>>subBits, pool)
	if b.arrays[i] == nil {
		b.arrays[i] = pool.take()
	}
	j := bucket & (1<<subBits - 1)
	if b.arrays[i][j]++; b.arrays[i][j] == 0 {
		b.carried(i)[j]++
	}
}

// at returns which array is an exponent's, and makes room for it.
func (b *buckets) at(exponent int32, pool *sketchPool) int32 {
	if uint32(exponent-b.first) >= uint32(len(b.arrays)) {
		b.grow(exponent, pool)
	}
	return exponent - b.first
}

// carried returns the carries of an array.
func (b *buckets) carried(i int32) *carries {
	if b.more == nil {
		b.more = make([]*carries, len(b.arrays))
	}
	if b.more[i] == nil {
		b.more[i] = &carries{}
	}
	return b.more[i]
}

// minArrays is how many arrays there is room for at first.
const minArrays = 16

// grow makes room for an exponent, and some more on its side.
func (b *buckets) grow(exponent int32, pool *sketchPool) {
	n := int32(len(b.arrays))
	if n == 0 {
		b.first, b.arrays = exponent-minArrays/2, pool.arrays(minArrays)
		return
	}
	first, end := b.first, b.first+n
	if exponent < first {
		first = min(exponent, first-n)
	} else {
		end = max(exponent+1, end+n)
	}
	arrays := pool.arrays(int(end - first))
	copy(arrays[b.first-first:], b.arrays)
	if b.more != nil {
		more := make([]*carries, len(arrays))
		copy(more[b.first-first:], b.more)
		b.more = more
	}
	b.first, b.arrays = first, arrays
}

// merge adds the counts of o, which must not be used any more.
func (b *buckets) merge(o *buckets, pool *sketchPool) {
	for i, from := range o.arrays {
		if from == nil {
			continue
		}
		at := b.at(o.first+int32(i), pool)
		if into := b.arrays[at]; into == nil {
			b.arrays[at] = from
		} else {
			for j, n := range from {
				if into[j] += n; into[j] < n {
					b.carried(at)[j]++
				}
			}
		}
		if o.more != nil && o.more[i] != nil {
			into := b.carried(at)
			for j, n := range o.more[i] {
				into[j] += n
			}
		}
	}
}

// total returns how many numbers are counted.
func (b *buckets) total() (n int64) {
	for i := range b.arrays {
		n += b.totalOf(i)
	}
	return n
}

// totalOf returns how many numbers are counted in an array.
func (b *buckets) totalOf(i int) (n int64) {
	if b.arrays[i] == nil {
		return 0
	}
	for _, k := range b.arrays[i] {
		n += int64(k)
	}
	if b.more != nil && b.more[i] != nil {
		for _, k := range b.more[i] {
			n += int64(k) << 8
		}
	}
	return n
}

// ranked returns the bucket of a rank, from the least one on and from 1; the last one for ranks beyond.
func (b *buckets) ranked(rank int64) (bucket int32) {
	for i := range b.arrays {
		n := b.totalOf(i)
		if n == 0 {
			continue
		}
		bucket = (b.first + int32(i)) << subBits
		if rank <= n {
			return bucket + b.rankedIn(i, rank)
		}
		rank -= n
		bucket += 1<<subBits - 1
	}
	return bucket
}

// rankedIn returns which of an array's buckets a rank is in.
func (b *buckets) rankedIn(i int, rank int64) int32 {
	for j, k := range b.arrays[i] {
		rank -= int64(k)
		if b.more != nil && b.more[i] != nil {
			rank -= int64(b.more[i][j]) << 8
		}
		if rank <= 0 {
			return int32(j)
		}
	}
	return 1<<subBits - 1
}

// smallest is the least absolute value that is told from zero.
const smallest = 0x1p-40

// add counts a number.
func (s *sketch) add(v float64) {
	if count := s.counter(v); count != nil {
		*count++
		return
	}
	s.addSlowly(v)
}

// counter returns the count that is one more with a number, if there is nothing else to do. Whatever has an
// array is at least the smallest number, without another look.
func (s *sketch) counter(v float64) *uint8 {
	bucket := bucketOf(v)
	if i := bucket>>subBits - s.positive.first; uint32(i) < uint32(len(s.positive.arrays)) && s.positive.arrays[i] != nil {
		if count := &s.positive.arrays[i][bucket&(1<<subBits-1)]; *count < math.MaxUint8 {
			return count
		}
	}
	return nil
}

// addSlowly counts a number for which there may be no array yet.
func (s *sketch) addSlowly(v float64) {
	switch {
	case v >= smallest:
		s.addPositive(bucketOf(v))
	case v <= -smallest:
		s.negative.add(bucketOf(-v), s.pool)
	default:
		s.zeros++
	}
}

// subBits of a mantissa tell buckets of one power of two apart.
const subBits = 6

// bucketOf returns the bucket of a number above zero: its exponent and the first bits of its mantissa.
func bucketOf(v float64) int32 { return int32(math.Float64bits(v) >> (52 - subBits)) }

// bucketBound returns the least number of a bucket.
func bucketBound(bucket int32) float64 { return math.Float64frombits(uint64(bucket) << (52 - subBits)) }

// mostFew is how many numbers are few: their buckets take less memory than counts would.
const mostFew = 64

// addPositive counts a number above zero.
func (s *sketch) addPositive(bucket int32) {
	switch {
	case len(s.positive.arrays) > 0:
		s.positive.add(bucket, s.pool)
		return
	case len(s.few) == mostFew:
		s.settle()
		s.positive.add(bucket, s.pool)
		return
	case len(s.few) == cap(s.few):
		s.few = append(make([]int32, 0, max(4*len(s.few), 16)), s.few...)
	}
	s.few = append(s.few, bucket)
}

// settle counts the numbers that are few no more.
func (s *sketch) settle() {
	for _, bucket := range s.few {
		s.positive.add(bucket, s.pool)
	}
	s.few = nil
}

// merge adds the numbers of o, which must not be used any more.
func (s *sketch) merge(o *sketch) {
	s.zeros += o.zeros
	if len(o.positive.arrays) > 0 {
		s.settle()
	}
	s.positive.merge(&o.positive, s.pool)
	for _, bucket := range o.few {
		s.addPositive(bucket)
	}
	s.negative.merge(&o.negative, s.pool)
}

// rankOf returns which of n numbers, in order and from 1, a share q does not exceed.
func rankOf(q float64, n int64) int64 { return max(int64(math.Ceil(q*float64(n))), 1) }

// ranked returns the number of a rank, about.
func (s *sketch) ranked(rank int64) float64 {
	below := s.negative.total()
	if rank <= below {
		return -bucketValue(s.negative.ranked(below - rank + 1)) // by absolute value
	}
	if rank -= below + s.zeros; rank <= 0 {
		return 0
	}
	if len(s.few) > 0 {
		slices.Sort(s.few)
		return bucketValue(s.few[min(rank, int64(len(s.few)))-1])
	}
	return bucketValue(s.positive.ranked(rank))
}

// bucketValue returns the number that is as far from both bounds of a bucket, by ratio.
func bucketValue(bucket int32) float64 {
	low, high := bucketBound(bucket), bucketBound(bucket+1)
	if !(high <= math.MaxFloat64) {
		return low
	}
	return low / (0.5 + 0.5*low/high)
}
