package otlp

import (
	"math"

	"github.com/prometheus/prometheus/model/value"

	"belfry/internal/otlpwire"
)

// noRecordedValue is the flag of a point that says that its series has ended.
const noRecordedValue = 1

var staleMarker = math.Float64frombits(value.StaleNaN)

// appendNumber appends a NumberDataPoint of a gauge or sum.
func (r *request) appendNumber(kind metricKind, raw []byte) error {
	const attributes = 7
	p := &r.point
	p.attributes = attributes
	var v float64
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
			var bits uint64
			bits, err = f.AsFixed64()
			v = math.Float64frombits(bits)
		case 6:
			var n uint64
			n, err = f.AsFixed64()
			v = float64(int64(n)) //nolint:gosec // sfixed64
		case 5:
			err = p.addExemplar(&f)
		case 8:
			p.flags, err = f.AsVarint()
		}
		if err != nil {
			return err
		}
		b = rest
	}
	if p.flags&noRecordedValue != 0 {
		v = staleMarker
	}
	if ok, err := r.startPoint(1); !ok {
		return err
	}
	if kind == sum { // Prometheus keeps none of gauges
		if err := r.readExemplars(); err != nil {
			return err
		}
	}
	p.options.Exemplars = p.exemplars
	if err := r.appendFloat(series{name: p.family.options.MetricFamilyName}, 0, v); err != nil {
		return err
	}
	r.endPoint()
	return nil
}
