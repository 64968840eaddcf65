package remotewrite

import (
	"errors"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"belfry/internal/fault"
	"belfry/tsdb"
)

// maxSeriesSize bounds one series of a message. The smallest nested message has
// two bytes and can cost a hundred times that when decoded.
const maxSeriesSize = 1 << 20

// maxSymbols bounds the symbol table of a message.
const maxSymbols = 1 << 20

// Numbers of the fields of the two messages.
const (
	v1Timeseries = 1
	v1Metadata   = 3
	v2Symbols    = 4
	v2Timeseries = 5
)

// fields calls f for every length-delimited field of a message.
func fields(msg []byte, f func(number protowire.Number, value []byte) error) error {
	for len(msg) > 0 {
		number, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return fault.Invalidf("decode request: %w", protowire.ParseError(n))
		}
		msg = msg[n:]
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, typ, msg); n < 0 {
				return fault.Invalidf("decode request: %w", protowire.ParseError(n))
			}
			msg = msg[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(msg)
		if n < 0 {
			return fault.Invalidf("decode request: %w", protowire.ParseError(n))
		}
		msg = msg[n:]
		if err := f(number, value); err != nil {
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
	var ts prompb.TimeSeries
	return fields(body, func(number protowire.Number, value []byte) error {
		switch number {
		case v1Timeseries:
			if err := checkSeriesSize(value); err != nil {
				return err
			}
			ts.Labels, ts.Samples, ts.Histograms, ts.Exemplars = ts.Labels[:0], ts.Samples[:0], ts.Histograms[:0], ts.Exemplars[:0]
			ts.XXX_unrecognized = nil
			if err := ts.Unmarshal(value); err != nil {
				return fault.Invalidf("decode series: %w", err)
			}
			b.seriesV1(&ts)
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

func (b *batch) seriesV1(ts *prompb.TimeSeries) {
	s := &b.one
	s.reset()
	s.labels = ts.ToLabels(&b.builder, nil)
	for _, f := range ts.Samples {
		s.floats = append(s.floats, float{t: f.Timestamp, v: f.Value})
	}
	for i := range ts.Histograms {
		h := &ts.Histograms[i]
		if h.IsFloatHistogram() {
			s.histograms = append(s.histograms, hist{t: h.Timestamp, fh: h.ToFloatHistogram()})
		} else {
			s.histograms = append(s.histograms, hist{t: h.Timestamp, h: h.ToIntHistogram()})
		}
	}
	for _, e := range ts.Exemplars {
		s.exemplars = append(s.exemplars, e.ToExemplar(&b.builder, nil))
	}
}

func (b *batch) metadataV1(md *prompb.MetricMetadata) error {
	if md.MetricFamilyName == "" {
		return nil
	}
	typ := model.MetricType(strings.ToLower(md.Type.String()))
	return b.store.RecordMetadata(b.ctx, md.MetricFamilyName, metadata.Metadata{Type: typ, Unit: md.Unit, Help: md.Help})
}

// messageV2 appends an io.prometheus.write.v2.Request. The symbols are read
// first, wherever in the message they are.
func (b *batch) messageV2(body []byte) error {
	var symbols []string
	err := fields(body, func(number protowire.Number, value []byte) error {
		if number != v2Symbols {
			return nil
		}
		if len(symbols) == maxSymbols {
			return fault.New(fault.TooLarge, "request has over %d symbols", maxSymbols)
		}
		symbols = append(symbols, string(value))
		return nil
	})
	if err != nil {
		return err
	}
	if len(symbols) > 0 && symbols[0] != "" {
		return fault.Invalidf("the first symbol must be empty, got %q", symbols[0])
	}
	var ts writev2.TimeSeries
	return fields(body, func(number protowire.Number, value []byte) error {
		if number != v2Timeseries {
			return nil
		}
		if err := checkSeriesSize(value); err != nil {
			return err
		}
		ts.LabelsRefs, ts.Samples, ts.Histograms, ts.Exemplars = ts.LabelsRefs[:0], ts.Samples[:0], ts.Histograms[:0], ts.Exemplars[:0]
		ts.Metadata, ts.XXX_unrecognized = writev2.Metadata{}, nil
		if err := ts.Unmarshal(value); err != nil {
			return fault.Invalidf("decode series: %w", err)
		}
		if err := b.seriesV2(&ts, symbols); err != nil {
			b.rejected.Add(tsdb.InvalidLabels, max(1, len(ts.Samples)+len(ts.Histograms)), err)
			return nil
		}
		return b.append()
	})
}

// seriesV2 returns an error if the series refers to symbols that are not there.
func (b *batch) seriesV2(ts *writev2.TimeSeries, symbols []string) error {
	s := &b.one
	s.reset()
	if len(ts.LabelsRefs)%2 != 0 {
		return errors.New("odd number of label references")
	}
	var err error
	if s.labels, err = ts.ToLabels(&b.builder, symbols); err != nil {
		return err
	}
	if s.metadata, err = ts.ToMetadata(symbols); err != nil {
		return err
	}
	if s.metadata.Type == model.MetricTypeUnknown && s.metadata.Help == "" && s.metadata.Unit == "" {
		s.metadata = metadata.Metadata{}
	}
	for _, f := range ts.Samples {
		s.floats = append(s.floats, float{st: f.StartTimestamp, t: f.Timestamp, v: f.Value})
	}
	for i := range ts.Histograms {
		h := &ts.Histograms[i]
		if h.IsFloatHistogram() {
			s.histograms = append(s.histograms, hist{st: h.StartTimestamp, t: h.Timestamp, fh: h.ToFloatHistogram()})
		} else {
			s.histograms = append(s.histograms, hist{st: h.StartTimestamp, t: h.Timestamp, h: h.ToIntHistogram()})
		}
	}
	for _, e := range ts.Exemplars {
		ex, err := e.ToExemplar(&b.builder, symbols)
		if err != nil {
			continue // costs the exemplar, not the sample
		}
		s.exemplars = append(s.exemplars, ex)
	}
	return nil
}
