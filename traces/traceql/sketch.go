package traceql

import "math"

// sketch counts numbers in buckets that grow by a factor, so that a quantile is
// known to within 1 % of its value. See Masson, Rim and Lee, "DDSketch: A Fast
// and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019.
type sketch struct {
	positive, negative buckets // of the absolute value
	zeros              int64
	n                  int64
}

// buckets are counts of neighboring buckets, from the first that was met.
type buckets struct {
	first  int32
	counts []uint32 // those that would be more than fit stay at the most
}

// add counts n in a bucket.
func (b *buckets) add(bucket int32, n int64) {
	if i := bucket - b.first; uint32(i) >= uint32(len(b.counts)) {
		b.grow(bucket)
	}
	count := &b.counts[bucket-b.first]
	*count = uint32(min(int64(*count)+n, math.MaxUint32))
}

// grow makes room for a bucket, and for more of the kind.
func (b *buckets) grow(bucket int32) {
	first, n := bucket&^(bucketsAtOnce-1), int32(len(b.counts))
	if n == 0 {
		b.first, b.counts = first, make([]uint32, bucketsAtOnce)
		return
	}
	end := max(first+bucketsAtOnce, b.first+n)
	first = min(first, b.first)
	grown := make([]uint32, end-first)
	copy(grown[b.first-first:], b.counts)
	b.first, b.counts = first, grown
}

// bucketsAtOnce is how many buckets are made at a time, a power of two: numbers of
// one kind are mostly within a few times that.
const bucketsAtOnce = 64

const (
	sketchAccuracy = 0.01
	sketchGamma    = (1 + sketchAccuracy) / (1 - sketchAccuracy)
)

//nolint:gochecknoglobals // a constant
var inverseLogGamma = 1 / math.Log(sketchGamma)

// smallest is the least absolute value that is told from zero.
const smallest = 1e-12

func (s *sketch) add(v float64) {
	s.n++
	switch {
	case v > smallest:
		s.positive.add(bucketOf(v), 1)
	case v < -smallest:
		s.negative.add(bucketOf(-v), 1)
	default:
		s.zeros++
	}
}

// addTo is add for a value of which the bucket is known.
func (s *sketch) addTo(bucket int32, v float64) {
	if bucket == noBucket {
		s.add(v)
		return
	}
	s.n++
	if i := bucket - s.positive.first; uint32(i) < uint32(len(s.positive.counts)) && s.positive.counts[i] < math.MaxUint32 {
		s.positive.counts[i]++
		return
	}
	s.positive.add(bucket, 1)
}

// newSketch returns a sketch with room for the numbers that another one, if any, has seen.
func newSketch(like *sketch) *sketch {
	s := &sketch{}
	if like != nil && len(like.positive.counts) > 0 {
		s.positive = buckets{like.positive.first, make([]uint32, len(like.positive.counts))}
	}
	return s
}

// noBucket stands for values that are not positive.
const noBucket = math.MinInt32

// bucketsOf appends the buckets of values.
func bucketsOf(dst []int32, values []float64) []int32 {
	for _, v := range values {
		bucket := int32(noBucket)
		if v > smallest {
			bucket = bucketOf(v)
		}
		dst = append(dst, bucket)
	}
	return dst
}

// bucketOf returns the least b with v <= gamma^b, of a normal v above zero.
func bucketOf(v float64) int32 {
	bits := math.Float64bits(v)
	exponent := int(bits>>52) - 1023
	at := &logs[bits>>(52-logBits)&(1<<logBits-1)]
	x := math.Float64frombits(bits&(1<<52-1)|1023<<52)*at.inverse - 1 // below 2^-logBits
	log := float64(exponent)*math.Ln2 + at.log + x*(1-x*(0.5-x*(1.0/3)))
	return int32(math.Ceil(log * inverseLogGamma))
}

// logBits of a mantissa find a logarithm near by; the series does the rest, to
// within 1e-10, where buckets are 2e-2 wide.
const logBits = 8

//nolint:gochecknoglobals // a constant
var logs = func() (t [1 << logBits]struct{ inverse, log float64 }) {
	for i := range t {
		m := 1 + float64(i)/(1<<logBits)
		t[i].inverse, t[i].log = 1/m, math.Log(m)
	}
	return t
}()

func (s *sketch) merge(o *sketch) {
	s.n += o.n
	s.zeros += o.zeros
	for i, n := range o.positive.counts {
		if n > 0 {
			s.positive.add(o.positive.first+int32(i), int64(n))
		}
	}
	for i, n := range o.negative.counts {
		if n > 0 {
			s.negative.add(o.negative.first+int32(i), int64(n))
		}
	}
}

// quantile returns the value that a share q of the numbers does not exceed.
func (s *sketch) quantile(q float64) float64 {
	rank := int64(math.Ceil(q * float64(s.n)))
	rank = max(rank, 1)
	below := int64(0)
	for i := len(s.negative.counts) - 1; i >= 0; i-- {
		if s.negative.counts[i] == 0 {
			continue
		}
		if below += int64(s.negative.counts[i]); below >= rank {
			return -bucketValue(s.negative.first + int32(i))
		}
	}
	if below += s.zeros; below >= rank {
		return 0
	}
	last := int32(0)
	for i, n := range s.positive.counts {
		if n == 0 {
			continue
		}
		last = s.positive.first + int32(i)
		if below += int64(n); below >= rank {
			break
		}
	}
	return bucketValue(last)
}

func bucketValue(bucket int32) float64 {
	return 2 * math.Pow(sketchGamma, float64(bucket)) / (1 + sketchGamma)
}
