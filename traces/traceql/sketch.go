package traceql

import (
	"math"
	"slices"
)

// sketch counts numbers in buckets that grow by a factor, so that a quantile is
// known to within 1 % of its value. See Masson, Rim and Lee, "DDSketch: A Fast
// and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019.
type sketch struct {
	positive, negative map[int32]int64 // by bucket of the absolute value
	zeros              int64
	n                  int64
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
		increment(&s.positive, v, 1)
	case v < -smallest:
		increment(&s.negative, -v, 1)
	default:
		s.zeros++
	}
}

func increment(buckets *map[int32]int64, v float64, n int64) {
	if *buckets == nil {
		*buckets = map[int32]int64{}
	}
	(*buckets)[int32(math.Ceil(math.Log(v)*inverseLogGamma))] += n
}

func (s *sketch) merge(o *sketch) {
	s.n += o.n
	s.zeros += o.zeros
	for _, pair := range []struct{ into, from *map[int32]int64 }{{&s.positive, &o.positive}, {&s.negative, &o.negative}} {
		if *pair.into == nil && len(*pair.from) > 0 {
			*pair.into = map[int32]int64{}
		}
		for bucket, n := range *pair.from {
			(*pair.into)[bucket] += n
		}
	}
}

// quantile returns the value that a share q of the numbers does not exceed.
func (s *sketch) quantile(q float64) float64 {
	rank := int64(math.Ceil(q * float64(s.n)))
	rank = max(rank, 1)
	below := int64(0)
	for _, bucket := range sortedBuckets(s.negative, true) {
		if below += s.negative[bucket]; below >= rank {
			return -bucketValue(bucket)
		}
	}
	if below += s.zeros; below >= rank {
		return 0
	}
	value := 0.0
	for _, bucket := range sortedBuckets(s.positive, false) {
		value = bucketValue(bucket)
		if below += s.positive[bucket]; below >= rank {
			break
		}
	}
	return value
}

func bucketValue(bucket int32) float64 {
	return 2 * math.Pow(sketchGamma, float64(bucket)) / (1 + sketchGamma)
}

func sortedBuckets(buckets map[int32]int64, descending bool) []int32 {
	keys := make([]int32, 0, len(buckets))
	for bucket := range buckets {
		keys = append(keys, bucket)
	}
	slices.Sort(keys)
	if descending {
		slices.Reverse(keys)
	}
	return keys
}
