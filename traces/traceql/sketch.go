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
	counts []int64
}

// add counts n in a bucket.
func (b *buckets) add(bucket int32, n int64) {
	switch {
	case len(b.counts) == 0:
		b.first = bucket
		b.counts = make([]int64, 1, 16)
	case bucket < b.first:
		more := int(b.first-bucket) + len(b.counts)/2 // with room for more of the kind
		grown := make([]int64, more+len(b.counts), 2*(more+len(b.counts)))
		copy(grown[more:], b.counts)
		b.first, b.counts = b.first-int32(more), grown
	case int(bucket-b.first) >= len(b.counts):
		b.counts = append(b.counts, make([]int64, int(bucket-b.first)+1-len(b.counts))...)
	}
	b.counts[bucket-b.first] += n
}

const (
	sketchAccuracy = 0.01
	sketchGamma    = (1 + sketchAccuracy) / (1 - sketchAccuracy)
)

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

func bucketOf(v float64) int32 { return int32(math.Ceil(math.Log(v) * inverseLogGamma)) }

func (s *sketch) merge(o *sketch) {
	s.n += o.n
	s.zeros += o.zeros
	for i, n := range o.positive.counts {
		if n > 0 {
			s.positive.add(o.positive.first+int32(i), n)
		}
	}
	for i, n := range o.negative.counts {
		if n > 0 {
			s.negative.add(o.negative.first+int32(i), n)
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
		if below += s.negative.counts[i]; below >= rank {
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
		if below += n; below >= rank {
			break
		}
	}
	return bucketValue(last)
}

func bucketValue(bucket int32) float64 {
	return 2 * math.Pow(sketchGamma, float64(bucket)) / (1 + sketchGamma)
}
