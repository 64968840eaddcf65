package otlp

import (
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"google.golang.org/protobuf/encoding/protowire"

	"belfry/internal/otlpwire"
)

// zeroThreshold is the width of the bucket of zeroes: OTLP's own is not used, as
// in Prometheus.
const zeroThreshold = 1e-128

// maxGap is how many empty buckets are written out rather than skipped by a new
// span, as in Prometheus' client.
const maxGap = 2

// exponential is an ExponentialHistogramDataPoint beside what all points have.
type exponential struct {
	count, zeroes      uint64
	sum                float64
	scale              int32
	positive, negative buckets
}

// buckets are adjacent ones, from a first one on.
type buckets struct {
	offset int32
	counts []uint64
}

func (r *request) parseExponential(raw []byte) error {
	const attributes = 1
	p, h := &r.point, &r.point.exponential
	p.attributes = attributes
	*h = exponential{positive: buckets{counts: h.positive.counts[:0]}, negative: buckets{counts: h.negative.counts[:0]}}
	for b := raw; len(b) > 0; {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
		var bits uint64
		switch f.Number {
		case attributes:
			err = p.addAttribute(&f, b, rest)
		case 2:
			p.start, err = f.AsFixed64()
		case 3:
			p.time, err = f.AsFixed64()
		case 4:
			h.count, err = f.AsFixed64()
		case 5:
			bits, err = f.AsFixed64()
			h.sum = math.Float64frombits(bits)
		case 6:
			h.scale, err = sint32(&f)
		case 7:
			h.zeroes, err = f.AsFixed64()
		case 8:
			err = h.positive.merge(&f)
		case 9:
			err = h.negative.merge(&f)
		case 10:
			p.flags, err = f.AsVarint()
		case 11:
			err = p.addExemplar(&f)
		}
		if err != nil {
			return err
		}
		b = rest
	}
	return nil
}

func sint32(f *otlpwire.Field) (int32, error) {
	n, err := f.AsVarint()
	return int32(protowire.DecodeZigZag(n & math.MaxUint32)), err //nolint:gosec // sint32
}

// merge reads a Buckets message.
func (bs *buckets) merge(field *otlpwire.Field) error {
	message, err := field.AsBytes()
	if err != nil {
		return err
	}
	for b := message; len(b) > 0; {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.Number {
		case 1:
			bs.offset, err = sint32(&f)
		case 2:
			err = bs.addCounts(&f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (bs *buckets) addCounts(f *otlpwire.Field) error {
	if f.Type == protowire.VarintType {
		bs.counts = append(bs.counts, f.Num)
		return nil
	}
	raw, err := f.AsBytes()
	if err != nil {
		return err
	}
	for len(raw) > 0 {
		c, n := protowire.ConsumeVarint(raw)
		if n < 0 {
			return fmt.Errorf("%w: a bucket's count", otlpwire.ErrMalformed)
		}
		bs.counts, raw = append(bs.counts, c), raw[n:]
	}
	return nil
}

// appendExponential appends an ExponentialHistogramDataPoint.
func (r *request) appendExponential(raw []byte) error {
	if err := r.parseExponential(raw); err != nil {
		return err
	}
	if ok, err := r.startPoint(1); !ok {
		return err
	}
	e := &r.point.exponential
	if e.scale < histogram.ExponentialSchemaMin {
		return r.reject(fmt.Errorf("scale of an exponential histogram is %d, the least is %d", e.scale, histogram.ExponentialSchemaMin))
	}
	schema := min(e.scale, histogram.ExponentialSchemaMax)
	h := &histogram.Histogram{Schema: schema, ZeroThreshold: zeroThreshold, ZeroCount: e.zeroes}
	h.PositiveSpans, h.PositiveBuckets = e.positive.merged(e.scale - schema)
	h.NegativeSpans, h.NegativeBuckets = e.negative.merged(e.scale - schema)
	return r.appendNative(h, e.count, e.sum)
}

// appendCustomBuckets appends a HistogramDataPoint as a native histogram.
func (r *request) appendCustomBuckets() error {
	if ok, err := r.startPoint(1); !ok {
		return err
	}
	e := &r.point.explicit
	h := &histogram.Histogram{Schema: histogram.CustomBucketsSchema}
	if len(e.bounds) > 0 {
		h.CustomValues = slices.Clone(e.bounds)
	}
	first := 0
	for first < len(e.counts) && e.counts[first] == 0 {
		first++
	}
	h.PositiveSpans, h.PositiveBuckets = spans(e.counts[first:], func(i int) int64 { return int64(first + i) })
	return r.appendNative(h, e.count, e.sum)
}

func (r *request) appendNative(h *histogram.Histogram, count uint64, sum float64) error {
	p := &r.point
	h.Count, h.Sum = count, sum
	switch {
	case p.flags&noRecordedValue != 0:
		h.Sum, h.Count = staleMarker, value.StaleNaN
	case count == 0 && sum != 0:
		r.a.warnings.WithLabelValues(sumWithoutCount).Inc()
	}
	if err := r.readExemplars(); err != nil {
		return err
	}
	p.options.Exemplars = p.exemplars
	if err := r.appendSample(series{name: p.family.options.MetricFamilyName}, 0, 0, h); err != nil {
		return err
	}
	r.endPoint()
	return nil
}

// merged returns the buckets at a resolution that is coarser by so many steps,
// each of which merges two. A bucket of OTLP is named by its lower bound, one of
// Prometheus by its upper bound.
func (bs *buckets) merged(steps int32) ([]histogram.Span, []int64) {
	return spans(bs.counts, func(i int) int64 { return (int64(bs.offset)+int64(i))>>steps + 1 })
}

// spans writes counts, the i-th of which is of the bucket number(i), as spans and
// as the differences from one bucket to the next. Counts of one bucket, which
// follow each other, are added.
func spans(counts []uint64, number func(i int) int64) ([]histogram.Span, []int64) {
	if len(counts) == 0 {
		return nil, nil
	}
	next := number(0) // the bucket that could be written without a gap
	list := []histogram.Span{{Offset: int32(next)}}
	var deltas []int64
	previous := int64(0)
	add := func(count int64) {
		list[len(list)-1].Length++
		deltas = append(deltas, count-previous)
		previous = count
	}
	for i := 0; i < len(counts); {
		bucket, count := number(i), int64(0)
		for ; i < len(counts) && number(i) == bucket; i++ {
			count += int64(counts[i]) //nolint:gosec // as Prometheus has it
		}
		if count == 0 && i < len(counts) {
			continue
		}
		if gap := bucket - next; gap > maxGap {
			list = append(list, histogram.Span{Offset: int32(gap)})
		} else {
			for range gap {
				add(0)
			}
		}
		add(count)
		next = bucket + 1
	}
	return list, deltas
}
