package otlp

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"belfry/internal/otlpwire"
)

// Places of a point's series among its references; those of buckets or quantiles
// follow.
const (
	sumSeries = iota
	countSeries
	infSeries
	firstBucket
)

const (
	bucketLabel   = "le"
	quantileLabel = "quantile"
)

// explicit is a HistogramDataPoint beside what all points have.
type explicit struct {
	count  uint64
	sum    float64
	hasSum bool
	counts []uint64
	bounds []float64
}

// parseHistogram reads a HistogramDataPoint.
func (r *request) parseHistogram(raw []byte) error {
	const attributes = 9
	p, h := &r.point, &r.point.explicit
	p.attributes = attributes
	*h = explicit{counts: h.counts[:0], bounds: h.bounds[:0]}
	for b := raw; len(b) > 0; {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
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
			var bits uint64
			bits, err = f.AsFixed64()
			h.sum, h.hasSum = math.Float64frombits(bits), true
		case 6:
			h.counts, err = fixed64s(&f, h.counts, func(bits uint64) uint64 { return bits })
		case 7:
			h.bounds, err = fixed64s(&f, h.bounds, math.Float64frombits)
		case 8:
			err = p.addExemplar(&f)
		case 10:
			p.flags, err = f.AsVarint()
		}
		if err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// fixed64s reads a repeated field of eight bytes an element, packed or not. A
// packed one replaces what came before, as in OpenTelemetry's own decoder.
func fixed64s[T any](f *otlpwire.Field, list []T, of func(uint64) T) ([]T, error) {
	if f.Type == protowire.Fixed64Type {
		return append(list, of(f.Num)), nil
	}
	raw, err := f.AsBytes()
	if err != nil {
		return list, err
	}
	if len(raw)%8 != 0 {
		return list, fmt.Errorf("%w: field %d has %d bytes", otlpwire.ErrMalformed, f.Number, len(raw))
	}
	list = list[:0]
	for ; len(raw) > 0; raw = raw[8:] {
		list = append(list, of(binary.LittleEndian.Uint64(raw)))
	}
	return list, nil
}

// appendHistogram appends a HistogramDataPoint as the series of a classic
// histogram, or as a native one with custom buckets where that is configured.
func (r *request) appendHistogram(raw []byte) error {
	if err := r.parseHistogram(raw); err != nil {
		return err
	}
	if r.a.rules.customBuckets {
		return r.appendCustomBuckets()
	}
	p, h := &r.point, &r.point.explicit
	buckets := min(len(h.bounds), len(h.counts))
	p.addNumbers(h.bounds[:buckets])
	if ok, err := r.startPoint(firstBucket + buckets); !ok {
		return err
	}
	if err := r.readExemplars(); err != nil {
		return err
	}
	name := p.family.options.MetricFamilyName
	if h.hasSum {
		if err := r.appendFloat(series{name: name, suffix: "_sum"}, sumSeries, p.unlessStale(h.sum)); err != nil {
			return err
		}
	}
	if err := r.appendFloat(series{name: name, suffix: "_count"}, countSeries, p.unlessStale(float64(h.count))); err != nil {
		return err
	}
	total := uint64(0)
	for i, bound := range h.bounds[:buckets] {
		total += h.counts[i]
		p.options.Exemplars = p.exemplarsUpTo(bound)
		s := series{name: name, suffix: "_bucket", label: bucketLabel, number: bound}
		if err := r.appendFloat(s, firstBucket+i, p.unlessStale(float64(total))); err != nil {
			return err
		}
	}
	p.options.Exemplars = p.exemplars
	s := series{name: name, suffix: "_bucket", label: bucketLabel, number: math.Inf(1)}
	if err := r.appendFloat(s, infSeries, p.unlessStale(float64(h.count))); err != nil {
		return err
	}
	r.endPoint()
	return nil
}

// formatNumber writes the value of a label le or quantile.
func formatNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
