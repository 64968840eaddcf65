package otlp

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"

	"belfry/internal/otlpwire"
)

// metricKind is a metric's type, by its field number in a Metric message.
type metricKind int32

const (
	noData               metricKind = 0
	gauge                metricKind = 5
	sum                  metricKind = 7
	explicitHistogram    metricKind = 9
	exponentialHistogram metricKind = 10
	summary              metricKind = 11
)

// dataPoints is the field of the points in all five types' messages.
const dataPoints = 1

// Aggregation temporalities.
const (
	deltaTemporality = 1
	cumulative       = 2
)

var errTemporality = errors.New("metric has neither cumulative nor delta temporality")

// metric is a Metric message, its points still in wire form.
type metric struct {
	name, description, unit []byte
	kind                    metricKind
	data                    []byte // the message of the type
	temporality             uint64 // of sums and histograms
	monotonic               bool   // of sums
}

func (m *metric) hasTemporality() bool {
	return m.kind == sum || m.kind == explicitHistogram || m.kind == exponentialHistogram
}

// parse reads a Metric message. Of several types, the last one counts.
func (m *metric) parse(message []byte) error {
	*m = metric{}
	for b := message; len(b) > 0; {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.Number {
		case 1:
			m.name, err = f.AsBytes()
		case 2:
			m.description, err = f.AsBytes()
		case 3:
			m.unit, err = f.AsBytes()
		case int32(gauge), int32(sum), int32(explicitHistogram), int32(exponentialHistogram), int32(summary):
			m.kind = metricKind(f.Number)
			m.data, err = f.AsBytes()
		}
		if err != nil {
			return err
		}
	}
	return m.parseKind()
}

// parseKind reads what a type's message says beside its points, which may be
// behind them.
func (m *metric) parseKind() error {
	if !m.hasTemporality() {
		return nil
	}
	for b := m.data; len(b) > 0; {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
		b = rest
		switch {
		case f.Number == 2:
			m.temporality, err = f.AsVarint()
		case f.Number == 3 && m.kind == sum:
			var n uint64
			n, err = f.AsVarint()
			m.monotonic = n != 0
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hasDelta reports whether some metric of a request has delta temporality.
func hasDelta(message []byte) (found bool, err error) {
	var walker otlpwire.Walker
	var m metric
	err = walker.Walk(message, func(*otlpwire.Group) error { return nil }, func(raw []byte) error {
		if err := m.parse(raw); err != nil {
			return err
		}
		found = found || m.hasTemporality() && m.temporality == deltaTemporality
		return nil
	})
	return found, err
}

// family is a metric as the store knows it. It is never changed.
type family struct {
	id      uint64
	options storage.AOptions // without exemplars
	gauge   bool             // has no zero to start from
	err     error            // why it has no name
}

// maxFamilies bounds the families that are remembered, in each of two maps.
const maxFamilies = 32 << 10

// families remembers the names of metrics. It forgets those that were not used
// since the map was last full.
type families struct {
	rules  *rules
	lastID atomic.Uint64

	mu            sync.RWMutex
	recent, older map[string]*family
}

func newFamilies(r *rules) *families { return &families{rules: r, recent: map[string]*family{}} }

// get returns the family of a metric.
func (fs *families) get(m *metric) *family {
	var scratch [256]byte
	key := append(scratch[:0], byte(m.kind), 0)
	if m.monotonic {
		key[1] = 1
	}
	for _, part := range [...][]byte{m.name, m.unit} {
		key = binary.AppendUvarint(key, uint64(len(part)))
		key = append(key, part...)
	}
	key = append(key, m.description...)
	fs.mu.RLock()
	f := fs.recent[string(key)]
	fs.mu.RUnlock()
	if f != nil {
		return f
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f = fs.recent[string(key)]; f != nil {
		return f
	}
	if f = fs.older[string(key)]; f == nil {
		f = fs.rules.family(m)
		f.id = fs.lastID.Add(1)
	}
	if len(fs.recent) >= maxFamilies {
		fs.recent, fs.older = map[string]*family{}, fs.recent
	}
	fs.recent[string(key)] = f
	return f
}

// family names a metric.
func (r *rules) family(m *metric) *family {
	named := otlptranslator.Metric{Name: string(m.name), Unit: string(m.unit)}
	f := &family{gauge: m.kind == gauge || m.kind == sum && !m.monotonic}
	var typ model.MetricType
	switch {
	case m.kind == gauge:
		named.Type, typ = otlptranslator.MetricTypeGauge, model.MetricTypeGauge
	case m.kind == sum && m.monotonic:
		named.Type, typ = otlptranslator.MetricTypeMonotonicCounter, model.MetricTypeCounter
	case m.kind == sum:
		named.Type, typ = otlptranslator.MetricTypeNonMonotonicCounter, model.MetricTypeGauge
	case m.kind == explicitHistogram:
		named.Type, typ = otlptranslator.MetricTypeHistogram, model.MetricTypeHistogram
	case m.kind == exponentialHistogram:
		named.Type, typ = otlptranslator.MetricTypeExponentialHistogram, model.MetricTypeHistogram
	default:
		named.Type, typ = otlptranslator.MetricTypeSummary, model.MetricTypeSummary
	}
	namer := otlptranslator.MetricNamer{WithMetricSuffixes: r.suffixes, UTF8Allowed: r.utf8}
	units := otlptranslator.UnitNamer{}
	f.options.MetricFamilyName, f.err = namer.Build(named)
	f.options.Metadata = metadata.Metadata{Type: typ, Unit: units.Build(named.Unit), Help: string(m.description)}
	return f
}
