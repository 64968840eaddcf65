package remotewrite

import (
	"errors"
	"math"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"

	"belfry/internal/fault"
	"belfry/internal/otlpwire"
)

// maxSeriesSize bounds one series of a message. The smallest nested message has
// two bytes and can cost a hundred times that when decoded.
const maxSeriesSize = 1 << 20

// Numbers of the fields of a prometheus.WriteRequest, of its series and of what
// these hold.
const (
	v1Timeseries = 1
	v1Metadata   = 3

	v1Labels     = 1
	v1Samples    = 2
	v1Exemplars  = 3
	v1Histograms = 4

	labelName  = 1
	labelValue = 2

	sampleValue = 1
	sampleTime  = 2
	sampleStart = 3 // protocol 2.0 only
)

// The first bytes of keys in the cache: series are named differently by the two
// protocols.
const (
	keyV1 = 'w'
	keyV2 = 'x'
)

// fields calls f for every length-delimited field of a message.
func fields(msg []byte, f func(number int32, value []byte) error) error {
	for len(msg) > 0 {
		field, rest, err := otlpwire.Next(msg)
		if err != nil {
			return fault.Invalidf("decode request: %w", err)
		}
		msg = rest
		if field.Bytes == nil {
			continue
		}
		if err := f(field.Number, field.Bytes); err != nil {
			return err
		}
	}
	return nil
}

func checkSeriesSize(value []byte) error {
	if len(value) > maxSeriesSize {
		return fault.New(fault.TooLarge, "a series of the request has %d bytes, the limit is %d", len(value), maxSeriesSize)
	}
	return nil
}

// messageV1 appends a prometheus.WriteRequest.
func (b *batch) messageV1(body []byte) error {
	return fields(body, func(number int32, value []byte) error {
		switch number {
		case v1Timeseries:
			if err := checkSeriesSize(value); err != nil {
				return err
			}
			if err := b.seriesV1(value); err != nil {
				return fault.Invalidf("decode series: %w", err)
			}
			return b.append()
		case v1Metadata:
			var md prompb.MetricMetadata
			if err := md.Unmarshal(value); err != nil {
				return fault.Invalidf("decode metadata: %w", err)
			}
			return b.metadataV1(&md)
		}
		return nil
	})
}

// seriesV1 reads a TimeSeries. Its labels stay as they are until somebody needs
// them.
func (b *batch) seriesV1(message []byte) error {
	s := &b.one
	s.reset()
	s.key = append(s.key, keyV1)
	for msg := message; len(msg) > 0; {
		f, rest, err := otlpwire.Next(msg)
		if err != nil {
			return err
		}
		var raw []byte
		switch f.Number {
		case v1Labels:
			_, err = f.AsBytes()
			s.key = append(s.key, msg[:len(msg)-len(rest)]...)
		case v1Samples:
			err = s.addFloat(&f)
		case v1Exemplars:
			if raw, err = f.AsBytes(); err == nil {
				err = b.exemplarV1(raw)
			}
		case v1Histograms:
			if raw, err = f.AsBytes(); err == nil {
				err = s.histogramV1(raw)
			}
		}
		if err != nil {
			return err
		}
		msg = rest
	}
	return nil
}

// addFloat reads a Sample of either protocol.
func (s *series) addFloat(field *otlpwire.Field) error {
	message, err := field.AsBytes()
	if err != nil {
		return err
	}
	var sample float
	for msg := message; len(msg) > 0; {
		f, rest, err := otlpwire.Next(msg)
		if err != nil {
			return err
		}
		msg = rest
		var n uint64
		switch f.Number {
		case sampleValue:
			n, err = f.AsFixed64()
			sample.v = math.Float64frombits(n)
		case sampleTime:
			n, err = f.AsVarint()
			sample.t = int64(n) //nolint:gosec // int64 on the wire
		case sampleStart:
			if s.key[0] == keyV2 {
				n, err = f.AsVarint()
				sample.st = int64(n) //nolint:gosec // int64 on the wire
			}
		}
		if err != nil {
			return err
		}
	}
	s.floats = append(s.floats, sample)
	return nil
}

func (s *series) histogramV1(message []byte) error {
	var h prompb.Histogram
	if err := h.Unmarshal(message); err != nil {
		return err
	}
	if h.IsFloatHistogram() {
		s.histograms = append(s.histograms, hist{t: h.Timestamp, fh: h.ToFloatHistogram()})
	} else {
		s.histograms = append(s.histograms, hist{t: h.Timestamp, h: h.ToIntHistogram()})
	}
	return nil
}

func (b *batch) exemplarV1(message []byte) error {
	var e prompb.Exemplar
	if err := e.Unmarshal(message); err != nil {
		return err
	}
	b.one.exemplars = append(b.one.exemplars, e.ToExemplar(&b.builder, nil))
	return nil
}

// labels makes the labels of b.one, once.
func (b *batch) labels() (labels.Labels, error) {
	s := &b.one
	if s.labelled {
		return s.labels, nil
	}
	b.builder.Reset()
	if s.key[0] == keyV2 {
		for i := 0; i+1 < len(s.labelRefs); i += 2 {
			b.builder.Add(string(b.symbols[s.labelRefs[i]]), string(b.symbols[s.labelRefs[i+1]]))
		}
	} else if err := b.addLabelsV1(s.key[1:]); err != nil {
		return labels.EmptyLabels(), fault.Invalidf("decode series: %w", err)
	}
	b.builder.Sort()
	s.labels, s.labelled = b.builder.Labels(), true
	return s.labels, nil
}

// addLabelsV1 reads Label messages.
func (b *batch) addLabelsV1(message []byte) error {
	for len(message) > 0 {
		outer, rest, err := otlpwire.Next(message)
		if err != nil {
			return err
		}
		message = rest
		var name, value []byte
		for msg := outer.Bytes; len(msg) > 0; {
			f, rest, err := otlpwire.Next(msg)
			if err != nil {
				return err
			}
			msg = rest
			switch f.Number {
			case labelName:
				name, err = f.AsBytes()
			case labelValue:
				value, err = f.AsBytes()
			}
			if err != nil {
				return err
			}
		}
		b.builder.Add(string(name), string(value))
	}
	return nil
}

func (b *batch) metadataV1(md *prompb.MetricMetadata) error {
	if md.MetricFamilyName == "" {
		return nil
	}
	typ := model.MetricType(strings.ToLower(md.Type.String()))
	return b.store.RecordMetadata(b.ctx, md.MetricFamilyName, metadata.Metadata{Type: typ, Unit: md.Unit, Help: md.Help})
}

var errOddReferences = errors.New("odd number of label references")
