package otlp

import (
	"math"

	"belfry/internal/otlpwire"
)

// quantiles is a SummaryDataPoint beside what all points have.
type quantiles struct {
	count     uint64
	sum       float64
	quantiles []float64
	values    []float64
}

// appendSummary appends a SummaryDataPoint.
func (r *request) appendSummary(raw []byte) error {
	if err := r.parseSummary(raw); err != nil {
		return err
	}
	p, q := &r.point, &r.point.summary
	p.addNumbers(q.quantiles)
	if ok, err := r.startPoint(firstBucket + len(q.quantiles)); !ok {
		return err
	}
	name := p.family.options.MetricFamilyName
	if err := r.appendFloat(series{name: name, suffix: "_sum"}, sumSeries, p.unlessStale(q.sum)); err != nil {
		return err
	}
	if err := r.appendFloat(series{name: name, suffix: "_count"}, countSeries, p.unlessStale(float64(q.count))); err != nil {
		return err
	}
	for i, quantile := range q.quantiles {
		s := series{name: name, label: quantileLabel, number: quantile}
		if err := r.appendFloat(s, firstBucket+i, p.unlessStale(q.values[i])); err != nil {
			return err
		}
	}
	r.endPoint()
	return nil
}

func (r *request) parseSummary(raw []byte) error {
	const attributes = 7
	p, q := &r.point, &r.point.summary
	p.attributes = attributes
	*q = quantiles{quantiles: q.quantiles[:0], values: q.values[:0]}
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
			q.count, err = f.AsFixed64()
		case 5:
			var bits uint64
			bits, err = f.AsFixed64()
			q.sum = math.Float64frombits(bits)
		case 6:
			err = q.add(&f)
		case 8:
			p.flags, err = f.AsVarint()
		}
		if err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// add reads a ValueAtQuantile.
func (q *quantiles) add(field *otlpwire.Field) error {
	message, err := field.AsBytes()
	if err != nil {
		return err
	}
	var quantile, v uint64
	for b := message; len(b) > 0; {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.Number {
		case 1:
			quantile, err = f.AsFixed64()
		case 2:
			v, err = f.AsFixed64()
		}
		if err != nil {
			return err
		}
	}
	q.quantiles = append(q.quantiles, math.Float64frombits(quantile))
	q.values = append(q.values, math.Float64frombits(v))
	return nil
}
