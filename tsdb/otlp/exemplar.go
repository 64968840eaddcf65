package otlp

import (
	"encoding/hex"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/exemplar"

	"belfry/internal/otlpwire"
)

// maxExemplarRunes is the most that an exemplar's labels may have, by OpenMetrics.
const maxExemplarRunes = 128

const (
	traceIDLabel = "trace_id"
	spanIDLabel  = "span_id"
)

// readExemplars reads the point's exemplars. Those without a value are left out.
func (r *request) readExemplars() error {
	p := &r.point
	if len(p.rawExemplars) == 0 {
		return nil
	}
	p.spare = p.spare[:0]
	for _, raw := range p.rawExemplars {
		e, ok, err := r.labels.exemplar(raw)
		if err != nil {
			return err
		}
		if ok {
			p.spare = append(p.spare, e)
		}
	}
	p.exemplars = p.spare
	return nil
}

// exemplarsUpTo takes the exemplars of a bucket, which are sorted as the buckets
// are.
func (p *point) exemplarsUpTo(bound float64) []exemplar.Exemplar {
	n := 0
	for n < len(p.exemplars) && !(p.exemplars[n].Value > bound) {
		n++
	}
	taken := p.exemplars[:n:n]
	p.exemplars = p.exemplars[n:]
	return taken
}

// rawExemplar is an Exemplar message.
type rawExemplar struct {
	time            uint64
	value           float64
	hasValue        bool
	traceID, spanID []byte
}

const exemplarAttributes = 7

func (e *rawExemplar) parse(message []byte) error {
	for b := message; len(b) > 0; {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
		b = rest
		var bits uint64
		switch f.Number {
		case 2:
			e.time, err = f.AsFixed64()
		case 3:
			bits, err = f.AsFixed64()
			e.value, e.hasValue = math.Float64frombits(bits), true
		case 6:
			bits, err = f.AsFixed64()
			e.value, e.hasValue = float64(int64(bits)), true //nolint:gosec // sfixed64
		case 4:
			e.spanID, err = id(&f, 8)
		case 5:
			e.traceID, err = id(&f, 16)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// id reads a trace or span id; one of zeroes is none.
func id(f *otlpwire.Field, size int) ([]byte, error) {
	raw, err := f.AsBytes()
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	if len(raw) != size {
		return nil, fmt.Errorf("%w: an id of %d bytes", otlpwire.ErrMalformed, len(raw))
	}
	for _, c := range raw {
		if c != 0 {
			return raw, nil
		}
	}
	return nil, nil
}

// exemplar makes an exemplar of a message; ok is false if that has no value.
func (b *labelBuilder) exemplar(message []byte) (e exemplar.Exemplar, ok bool, err error) {
	var raw rawExemplar
	if err := raw.parse(message); err != nil {
		return e, false, err
	}
	e.Value = raw.value
	e.Ts = time.Unix(0, int64(raw.time)).UnixMilli() //nolint:gosec // as Prometheus has it
	e.HasTs = e.Ts != 0
	b.scratch.Reset()
	runes := 0
	add := func(name, value string) {
		runes += utf8.RuneCountInString(name) + utf8.RuneCountInString(value)
		b.scratch.Add(name, value)
	}
	addIDs := func() {
		if raw.traceID != nil {
			add(traceIDLabel, hex.EncodeToString(raw.traceID))
		}
		if raw.spanID != nil {
			add(spanIDLabel, hex.EncodeToString(raw.spanID))
		}
	}
	addIDs()
	err = otlpwire.Attributes(message, exemplarAttributes, func(key []byte, v otlpwire.AnyValue) error {
		value, err := text(&v)
		if err == nil {
			add(string(key), value)
		}
		return err
	})
	if err != nil {
		return e, false, err
	}
	if runes > maxExemplarRunes { // the ids are worth more than the attributes
		b.scratch.Reset()
		addIDs()
	}
	b.scratch.Sort()
	e.Labels = b.scratch.Labels()
	return e, raw.hasValue, nil
}
