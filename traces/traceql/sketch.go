package traceql

import (
	"math"
	"slices"
)

// sketch counts numbers in buckets that are at most 1/64 wider than their lower bound, so
// that a quantile is known to within 1 % of its value: each power of two in as many
// buckets of one width, as in the HDR histogram (Tene, 2012), which a number's own bits tell.
//
// What is counted waits in a short list first: one number after the other goes to another sketch,
// and the counts of each are too many to be near at hand for all.
type sketch struct {
	recent             []int32 // buckets of numbers above zero that are not in positive yet
	positive, negative buckets // of the absolute value
	zeros              int64
	pool               *countsPool // nil: none
}

// buckets are counts, in an array for each power of two that occurs.
type buckets struct {
	first  int32 // the exponent of the first array
	arrays []*counts
}

// counts are those of the buckets of one power of two; what would be more than fits stays at the most.
type counts [1 << subBits]uint32

// countsPool makes counts, many at once. It is used by one goroutine.
type countsPool struct{ free []counts }

func (p *countsPool) take() *counts {
	if p == nil {
		return &counts{}
	}
	if len(p.free) == 0 {
		p.free = make([]counts, 32)
	}
	c := &p.free[0]
	p.free = p.free[1:]
	return c
}

// add counts a number.
func (b *buckets) add(bucket int32, pool *countsPool) {
	if count := &b.of(bucket>>subBits, pool)[bucket&(1<<subBits-1)]; *count < math.MaxUint32 {
		*count++
	}
}

// of returns the counts of an exponent.
func (b *buckets) of(exponent int32, pool *countsPool) *counts {
	i := exponent - b.first
	if uint32(i) >= uint32(len(b.arrays)) {
		b.grow(exponent)
		i = exponent - b.first
	}
	if b.arrays[i] == nil {
		b.arrays[i] = pool.take()
	}
	return b.arrays[i]
}

// grow makes room for an exponent.
func (b *buckets) grow(exponent int32) {
	if len(b.arrays) == 0 {
		b.first = exponent
	}
	if missing := b.first - exponent; missing > 0 {
		b.first, b.arrays = exponent, append(make([]*counts, missing, int(missing)+len(b.arrays)), b.arrays...)
	}
	if missing := exponent - b.first + 1 - int32(len(b.arrays)); missing > 0 {
		b.arrays = append(b.arrays, make([]*counts, missing)...)
	}
}

// merge adds the counts of o, which must not be used any more.
func (b *buckets) merge(o *buckets) {
	for i, from := range o.arrays {
		if from == nil {
			continue
		}
		exponent := o.first + int32(i)
		if at := exponent - b.first; uint32(at) >= uint32(len(b.arrays)) {
			b.grow(exponent)
		}
		into := &b.arrays[exponent-b.first]
		if *into == nil {
			*into = from
			continue
		}
		for j, n := range from {
			(*into)[j] = uint32(min(uint64((*into)[j])+uint64(n), math.MaxUint32))
		}
	}
}

// total returns how many numbers are counted.
func (b *buckets) total() (n int64) {
	for _, of := range b.arrays {
		n += of.total()
	}
	return n
}

func (c *counts) total() (n int64) {
	if c != nil {
		for _, k := range c {
			n += int64(k)
		}
	}
	return n
}

// ranked returns the bucket of a rank, from the least one on and from 1; the last one for ranks beyond.
func (b *buckets) ranked(rank int64) (bucket int32) {
	for i, of := range b.arrays {
		n := of.total()
		if n == 0 {
			continue
		}
		bucket = (b.first + int32(i)) << subBits
		if rank > n {
			rank -= n
			bucket += 1<<subBits - 1
			continue
		}
		for j, k := range of {
			if rank -= int64(k); rank <= 0 {
				return bucket + int32(j)
			}
		}
	}
	return bucket
}

// smallest is the least absolute value that is told from zero.
const smallest = 1e-12

func (s *sketch) add(v float64) {
	switch {
	case v > smallest:
		if len(s.recent) == cap(s.recent) {
			s.makeRoom()
		}
		s.recent = append(s.recent, bucketOf(v))
	case v < -smallest:
		s.negative.add(bucketOf(-v), s.pool)
	default:
		s.zeros++
	}
}

// mostRecent is how many numbers wait at most.
const mostRecent = 256

// makeRoom makes room for another number that waits.
func (s *sketch) makeRoom() {
	if len(s.recent) < mostRecent {
		s.recent = append(make([]int32, 0, max(4*len(s.recent), 16)), s.recent...)
		return
	}
	s.settle()
}

// settle counts the numbers that wait.
func (s *sketch) settle() {
	for _, bucket := range s.recent {
		s.positive.add(bucket, s.pool)
	}
	s.recent = s.recent[:0]
}

// subBits of a mantissa tell buckets of one power of two apart.
const subBits = 6

// bucketOf returns the bucket of a number above zero: its exponent and the first bits of its mantissa.
func bucketOf(v float64) int32 { return int32(math.Float64bits(v) >> (52 - subBits)) }

// bucketBound returns the least number of a bucket.
func bucketBound(bucket int32) float64 { return math.Float64frombits(uint64(bucket) << (52 - subBits)) }

// merge adds the numbers of o, which must not be used any more.
func (s *sketch) merge(o *sketch) {
	s.zeros += o.zeros
	for _, bucket := range o.recent {
		s.positive.add(bucket, s.pool)
	}
	s.positive.merge(&o.positive)
	s.negative.merge(&o.negative)
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
	if len(s.positive.arrays) == 0 && len(s.recent) > 0 {
		slices.Sort(s.recent)
		return bucketValue(s.recent[min(rank, int64(len(s.recent)))-1])
	}
	s.settle()
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
