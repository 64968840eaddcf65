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
}

// buckets are counts, in an array for each power of two that occurs; those that would be more than fit
// stay at the most.
type buckets struct {
	first  int32 // the exponent of the first array
	arrays []*[1 << subBits]uint32
}

// add counts n in a bucket.
func (b *buckets) add(bucket int32, n int64) {
	count := b.at(bucket)
	*count = uint32(min(int64(*count)+n, math.MaxUint32))
}

// at returns the count of a bucket.
func (b *buckets) at(bucket int32) *uint32 {
	i := bucket>>subBits - b.first
	if uint32(i) >= uint32(len(b.arrays)) {
		b.grow(bucket >> subBits)
		i = bucket>>subBits - b.first
	}
	if b.arrays[i] == nil {
		b.arrays[i] = new([1 << subBits]uint32)
	}
	return &b.arrays[i][bucket&(1<<subBits-1)]
}

// grow makes room for an exponent.
func (b *buckets) grow(exponent int32) {
	if len(b.arrays) == 0 {
		b.first = exponent
	}
	if missing := b.first - exponent; missing > 0 {
		b.first, b.arrays = exponent, append(make([]*[1 << subBits]uint32, missing, int(missing)+len(b.arrays)), b.arrays...)
	}
	if missing := exponent - b.first + 1 - int32(len(b.arrays)); missing > 0 {
		b.arrays = append(b.arrays, make([]*[1 << subBits]uint32, missing)...)
	}
}

// each calls yield with the counts that are not zero, by bucket.
func (b *buckets) each(yield func(bucket int32, n int64) bool) {
	for i, counts := range b.arrays {
		if counts == nil {
			continue
		}
		for j, n := range counts {
			if n > 0 && !yield((b.first+int32(i))<<subBits+int32(j), int64(n)) {
				return
			}
		}
	}
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
		s.negative.add(bucketOf(-v), 1)
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
		if count := s.positive.at(bucket); *count < math.MaxUint32 {
			*count++
		}
	}
	s.recent = s.recent[:0]
}

// subBits of a mantissa tell buckets of one power of two apart.
const subBits = 6

// bucketOf returns the bucket of a number above zero: its exponent and the first bits of its mantissa.
func bucketOf(v float64) int32 { return int32(math.Float64bits(v) >> (52 - subBits)) }

// bucketBound returns the least number of a bucket.
func bucketBound(bucket int32) float64 { return math.Float64frombits(uint64(bucket) << (52 - subBits)) }

func (s *sketch) merge(o *sketch) {
	s.zeros += o.zeros
	for _, bucket := range o.recent {
		s.positive.add(bucket, 1)
	}
	for bucket, n := range o.positive.each {
		s.positive.add(bucket, n)
	}
	for bucket, n := range o.negative.each {
		s.negative.add(bucket, n)
	}
}

// rankOf returns which of n numbers, in order and from 1, a share q does not exceed.
func rankOf(q float64, n int64) int64 { return max(int64(math.Ceil(q*float64(n))), 1) }

// ranked returns the number of a rank, about.
func (s *sketch) ranked(rank int64) float64 {
	below, seen := int64(0), int64(0)
	for _, n := range s.negative.each {
		below += n
	}
	if below >= rank {
		last := int32(0)
		for bucket, n := range s.negative.each { // from the greatest number on
			if last, seen = bucket, seen+n; below-seen < rank {
				break
			}
		}
		return -bucketValue(last)
	}
	if below += s.zeros; below >= rank {
		return 0
	}
	if len(s.positive.arrays) == 0 && len(s.recent) > 0 {
		slices.Sort(s.recent)
		return bucketValue(s.recent[min(rank-below, int64(len(s.recent)))-1])
	}
	s.settle()
	last := int32(0)
	for bucket, n := range s.positive.each {
		if last, below = bucket, below+n; below >= rank {
			break
		}
	}
	return bucketValue(last)
}

// bucketValue returns the number that is as far from both bounds of a bucket, by ratio.
func bucketValue(bucket int32) float64 {
	low, high := bucketBound(bucket), bucketBound(bucket+1)
	if !(high <= math.MaxFloat64) {
		return low
	}
	return low / (0.5 + 0.5*low/high)
}
