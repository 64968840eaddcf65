package remotewrite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/metadata"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"belfry/internal/fault"
	"belfry/internal/otlpwire"
	"belfry/tsdb"
)

// maxSymbols bounds the symbol table of a message.
const maxSymbols = 1 << 20

// Numbers of the fields of an io.prometheus.write.v2.Request and of its series.
const (
	v2Symbols    = 4
	v2Timeseries = 5

	v2LabelsRefs = 1
	v2Samples    = 2
	v2Histograms = 3
	v2Exemplars  = 4
	v2Metadata   = 5
)

// errSymbols marks a series that refers to symbols which are not there. It is
// rejected, and costs no other.
var errSymbols = errors.New("reference outside of the symbol table")

// messageV2 appends an io.prometheus.write.v2.Request. The symbols are read
// first, wherever in the message they are.
func (b *batch) messageV2(body []byte) error {
	if err := b.readSymbols(body); err != nil {
		return err
	}
	return fields(body, func(number int32, value []byte) error {
		if number != v2Timeseries {
			return nil
		}
		if err := checkSeriesSize(value); err != nil {
			return err
		}
		switch err := b.seriesV2(value); {
		case errors.Is(err, errSymbols):
			b.rejected.Add(tsdb.InvalidLabels, max(1, len(b.one.floats)+len(b.one.histograms)), err)
			return nil
		case err != nil:
			return fault.Invalidf("decode series: %w", err)
		}
		return b.append()
	})
}

func (b *batch) readSymbols(body []byte) error {
	err := fields(body, func(number int32, value []byte) error {
		if number != v2Symbols {
			return nil
		}
		if len(b.symbols) == maxSymbols {
			return fault.New(fault.TooLarge, "request has over %d symbols", maxSymbols)
		}
		b.symbols = append(b.symbols, value)
		return nil
	})
	if err != nil {
		return err
	}
	if len(b.symbols) > 0 && len(b.symbols[0]) > 0 {
		return fault.Invalidf("the first symbol must be empty, got %q", b.symbols[0])
	}
	if len(b.texts) < len(b.symbols) {
		b.texts = append(b.texts, make([]string, len(b.symbols)-len(b.texts))...)
	}
	return nil
}

// text returns a symbol that must be there.
func (b *batch) text(ref uint32) string {
	if b.texts[ref] == "" {
		b.texts[ref] = string(b.symbols[ref])
	}
	return b.texts[ref]
}

// seriesV2 reads a TimeSeries. It returns an errSymbols, after all else has been
// read, if the series refers to symbols that are not there.
func (b *batch) seriesV2(message []byte) error {
	s := &b.one
	s.reset()
	s.key = append(s.key, keyV2)
	var described []byte
	var bad error
	for msg := message; len(msg) > 0; {
		f, rest, err := otlpwire.Next(msg)
		if err != nil {
			return err
		}
		msg = rest
		var raw []byte
		switch f.Number {
		case v2LabelsRefs:
			s.labelRefs, err = appendRefs(s.labelRefs, &f)
		case v2Samples:
			err = s.addFloat(&f)
		case v2Histograms:
			if raw, err = f.AsBytes(); err == nil {
				err = s.histogramV2(raw)
			}
		case v2Exemplars:
			if raw, err = f.AsBytes(); err == nil {
				err = b.exemplarV2(raw)
			}
		case v2Metadata:
			raw, err = f.AsBytes()
			described = append(described, raw...) // of one that occurs twice, both count
		}
		if err != nil {
			return err
		}
	}
	if len(described) > 0 {
		if err := b.metadataV2(described); errors.Is(err, errSymbols) {
			bad = err
		} else if err != nil {
			return err
		}
	}
	return errors.Join(b.nameSeries(), bad)
}

// appendRefs reads a repeated uint32, packed or not.
func appendRefs(refs []uint32, f *otlpwire.Field) ([]uint32, error) {
	if f.Type == protowire.VarintType {
		return append(refs, uint32(f.Num)), nil //nolint:gosec // uint32 on the wire
	}
	raw, err := f.AsBytes()
	if err != nil {
		return refs, err
	}
	for len(raw) > 0 {
		v, n := protowire.ConsumeVarint(raw)
		if n < 0 {
			return refs, fmt.Errorf("%w: label reference", otlpwire.ErrMalformed)
		}
		refs, raw = append(refs, uint32(v)), raw[n:] //nolint:gosec // uint32 on the wire
	}
	return refs, nil
}

// nameSeries makes the key of the series: its symbols, each with its length, since
// another request numbers them otherwise.
func (b *batch) nameSeries() error {
	s := &b.one
	if len(s.labelRefs)%2 != 0 {
		return fmt.Errorf("%w: %w", errSymbols, errOddReferences)
	}
	for i, ref := range s.labelRefs {
		symbol, err := b.symbol(ref)
		if err != nil {
			return err
		}
		s.key = binary.AppendUvarint(s.key, uint64(len(symbol)))
		s.key = append(s.key, symbol...)
		if i%2 == 1 && !s.metadata.IsEmpty() && string(b.symbols[s.labelRefs[i-1]]) == model.MetricNameLabel {
			s.name = b.text(ref)
		}
	}
	return nil
}

func (b *batch) symbol(ref uint32) ([]byte, error) {
	if uint64(ref) >= uint64(len(b.symbols)) {
		return nil, fmt.Errorf("%w: %d of %d", errSymbols, ref, len(b.symbols))
	}
	return b.symbols[ref], nil
}

func (s *series) histogramV2(message []byte) error {
	var h writev2.Histogram
	if err := h.Unmarshal(message); err != nil {
		return err
	}
	if h.IsFloatHistogram() {
		s.histograms = append(s.histograms, hist{st: h.StartTimestamp, t: h.Timestamp, fh: h.ToFloatHistogram()})
	} else {
		s.histograms = append(s.histograms, hist{st: h.StartTimestamp, t: h.Timestamp, h: h.ToIntHistogram()})
	}
	return nil
}

// exemplarV2 reads an exemplar. One that refers to symbols which are not there
// costs the exemplar, not the sample.
func (b *batch) exemplarV2(message []byte) error {
	var e writev2.Exemplar
	if err := e.Unmarshal(message); err != nil {
		return err
	}
	if len(e.LabelsRefs)%2 != 0 {
		return nil
	}
	b.builder.Reset()
	for i := 0; i < len(e.LabelsRefs); i += 2 {
		if max(e.LabelsRefs[i], e.LabelsRefs[i+1]) >= uint32(len(b.symbols)) { //nolint:gosec // at most maxSymbols
			return nil
		}
		b.builder.Add(b.text(e.LabelsRefs[i]), b.text(e.LabelsRefs[i+1]))
	}
	b.builder.Sort()
	b.one.exemplars = append(b.one.exemplars, exemplar.Exemplar{
		Labels: b.builder.Labels(), Value: e.Value, Ts: e.Timestamp, HasTs: e.Timestamp != 0,
	})
	return nil
}

// metricTypes are the types by their number in the message.
var metricTypes = [...]model.MetricType{
	model.MetricTypeUnknown, model.MetricTypeCounter, model.MetricTypeGauge, model.MetricTypeHistogram,
	model.MetricTypeGaugeHistogram, model.MetricTypeSummary, model.MetricTypeInfo, model.MetricTypeStateset,
}

// metadataV2 reads a Metadata message.
func (b *batch) metadataV2(message []byte) error {
	typ, help, unit := uint64(0), uint64(0), uint64(0)
	for msg := message; len(msg) > 0; {
		f, rest, err := otlpwire.Next(msg)
		if err != nil {
			return err
		}
		msg = rest
		switch f.Number {
		case 1:
			typ, err = f.AsVarint()
		case 3:
			help, err = f.AsVarint()
		case 4:
			unit, err = f.AsVarint()
		}
		if err != nil {
			return err
		}
	}
	help, unit = help&math.MaxUint32, unit&math.MaxUint32
	for _, ref := range [...]uint64{help, unit} {
		if _, err := b.symbol(uint32(ref)); err != nil { //nolint:gosec // cut to 32 bits
			return err
		}
	}
	md := metadata.Metadata{Type: model.MetricTypeUnknown, Help: b.text(uint32(help)), Unit: b.text(uint32(unit))} //nolint:gosec // of the table
	if typ < uint64(len(metricTypes)) {
		md.Type = metricTypes[typ]
	}
	if md.Type != model.MetricTypeUnknown || md.Help != "" || md.Unit != "" {
		b.one.metadata = md
	}
	return nil
}
