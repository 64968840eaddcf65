package influx

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"belfry/tsdb"
)

// invalidLine is the reason of lines that are not in the protocol's form.
const invalidLine tsdb.Reason = "invalid_line"

// batch appends the points of one request.
type batch struct {
	app  storage.AppenderV2
	db   string        // the label of every series; empty for none
	unit time.Duration // of the points' times
	now  time.Time     // of points that have no time

	tags     []labels.Label
	fields   []field
	builder  labels.ScratchBuilder
	rejected tsdb.Tally
	texts    int // fields that are no numbers
}

type field struct {
	name  string
	value float64
}

// append appends all lines of a body. An error means that the store cannot take
// anything.
func (b *batch) append(body []byte) error {
	dec := lineprotocol.NewDecoderWithBytes(body)
	for dec.Next() {
		err := b.line(dec)
		var bad *lineprotocol.DecodeError
		switch {
		case errors.As(err, &bad):
			b.rejected.Add(invalidLine, 1, bad)
		case err != nil:
			return err
		}
	}
	return nil
}

func (b *batch) line(dec *lineprotocol.Decoder) error {
	measurement, err := dec.Measurement()
	if err != nil {
		return err
	}
	name := string(measurement)
	b.tags, b.fields = b.tags[:0], b.fields[:0]
	if b.db != "" {
		b.tags = append(b.tags, labels.Label{Name: "db", Value: b.db})
	}
	for {
		key, value, err := dec.NextTag()
		if err != nil {
			return err
		}
		if key == nil {
			break
		}
		if len(value) > 0 { // a label that is empty is none
			b.tags = append(b.tags, labels.Label{Name: legal(string(key), false), Value: string(value)})
		}
	}
	for {
		key, value, err := dec.NextField()
		if err != nil {
			return err
		}
		if key == nil {
			break
		}
		v, isNumber := number(value)
		if !isNumber {
			b.texts++
			continue
		}
		b.fields = append(b.fields, field{string(key), v})
	}
	at, err := dec.TimeBytes()
	if err != nil {
		return err
	}
	ms, ok := b.millis(at)
	if !ok {
		b.rejected.Add(invalidLine, 1, fmt.Errorf("time %q of %q is out of range", at, name))
		return nil
	}
	for _, f := range b.fields {
		if err := b.sample(name, f, ms); err != nil {
			return err
		}
	}
	return nil
}

// millis reads a time in units since the epoch; none is now.
func (b *batch) millis(text []byte) (int64, bool) {
	if len(text) == 0 {
		return b.now.UnixMilli(), true
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if b.unit <= time.Millisecond {
		return n / int64(time.Millisecond/b.unit), err == nil
	}
	factor := int64(b.unit / time.Millisecond)
	return n * factor, err == nil && n <= math.MaxInt64/factor && n >= math.MinInt64/factor
}

func (b *batch) sample(measurement string, f field, ms int64) error {
	b.builder.Reset()
	for _, l := range b.tags {
		b.builder.Add(l.Name, l.Value)
	}
	name := f.name
	if measurement != "" {
		name = measurement + "_" + f.name
	}
	b.builder.Add(model.MetricNameLabel, legal(name, true))
	b.builder.Sort()
	series := b.builder.Labels()
	if twice, has := series.HasDuplicateLabelNames(); has {
		b.rejected.Add(tsdb.InvalidLabels, 1, tsdb.Rejectf(tsdb.InvalidLabels, "label %q comes twice in %s", twice, series))
		return nil
	}
	_, err := b.app.Append(0, series, 0, ms, f.value, nil, nil, storage.AOptions{})
	if reason, ok := tsdb.Rejected(err); ok {
		b.rejected.Add(reason, 1, err)
		return nil
	}
	return err
}

// number returns a field's value, 1 and 0 for booleans.
func number(v lineprotocol.Value) (float64, bool) {
	switch v.Kind() {
	case lineprotocol.Float:
		return v.FloatV(), true
	case lineprotocol.Int:
		return float64(v.IntV()), true
	case lineprotocol.Uint:
		return float64(v.UintV()), true
	case lineprotocol.Bool:
		if v.BoolV() {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// legal returns a name in the characters that every client of Prometheus'
// knows: letters, digits, underscores and, in a metric's name, colons.
func legal(name string, metric bool) string {
	ok := func(i int, c byte) bool {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == ':' && metric:
			return true
		}
		return '0' <= c && c <= '9' && i > 0
	}
	for i := range len(name) {
		if !ok(i, name[i]) {
			return replaced(name, ok)
		}
	}
	return name
}

func replaced(name string, ok func(int, byte) bool) string {
	var out strings.Builder
	if '0' <= name[0] && name[0] <= '9' {
		out.WriteByte('_')
	}
	for i, r := range name {
		if r < 0x80 && (ok(i, byte(r)) || '0' <= r && r <= '9') {
			out.WriteRune(r)
		} else {
			out.WriteByte('_')
		}
	}
	return out.String()
}
