package otlp

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"belfry/internal/otlpwire"
	"belfry/tsdb"
)

// point is the data point that is being appended, in one transaction with
// others. Its slices are used again for the next one.
type point struct {
	family *family
	bad    error // why no point of the metric can be kept

	attributes         int32 // number of their field
	time, start, flags uint64
	rawExemplars       [][]byte
	explicit           explicit
	exponential        exponential
	summary            quantiles

	key           []byte // pointKey, group, family, attributes as received, bounds or quantiles
	keyPrefix     int    // where the attributes begin in key
	keyAttributes int    // where they end
	refs          []uint64
	changed       bool // refs are not what the cache has
	rejected      bool // and counted
	base          labels.Labels
	hasBase       bool
	exemplars     []exemplar.Exemplar
	spare         []exemplar.Exemplar // exemplars from its beginning

	t, st   int64            // milliseconds
	options storage.AOptions // of the next sample
}

// begin starts a point of the family whose key prefix is in place.
func (p *point) begin() {
	p.time, p.start, p.flags = 0, 0, 0
	p.rawExemplars = p.rawExemplars[:0]
	p.keyAttributes = len(p.key)
	p.changed, p.rejected, p.hasBase = false, false, false
	p.exemplars = nil
}

// drop gives up what belongs to the request's memory or to others.
func (p *point) drop() {
	clear(p.rawExemplars[:cap(p.rawExemplars)])
	clear(p.spare[:cap(p.spare)])
	p.family, p.bad, p.base, p.exemplars = nil, nil, noLabels, nil
	p.options = storage.AOptions{}
}

// addAttribute adds the field that b begins with to the key.
func (p *point) addAttribute(f *otlpwire.Field, b, rest []byte) error {
	_, err := f.AsBytes()
	p.key = append(p.key, b[:len(b)-len(rest)]...)
	p.keyAttributes = len(p.key)
	return err
}

func (p *point) addExemplar(f *otlpwire.Field) error {
	raw, err := f.AsBytes()
	p.rawExemplars = append(p.rawExemplars, raw)
	return err
}

// addNumbers adds to the key what tells the series of one point apart. Their
// number comes last, so that no attributes can be taken for them.
func (p *point) addNumbers(numbers []float64) {
	for _, n := range numbers {
		p.key = binary.LittleEndian.AppendUint64(p.key, math.Float64bits(n))
	}
	p.key = binary.LittleEndian.AppendUint32(p.key, uint32(len(numbers))) //nolint:gosec // of one message
}

func (p *point) unlessStale(v float64) float64 {
	if p.flags&noRecordedValue != 0 {
		return staleMarker
	}
	return v
}

// millis converts a time of OTLP, in nanoseconds.
func millis(t uint64) int64 { return int64(t) / 1_000_000 } //nolint:gosec // as Prometheus has it

// startPoint finds the references of a parsed point's series. It returns false if
// the point cannot be kept.
func (r *request) startPoint(series int) (bool, error) {
	p, g := &r.point, &r.group
	g.earliest, g.latest = min(g.earliest, p.time), max(g.latest, p.time)
	p.t, p.st = millis(p.time), millis(p.start)
	if p.family.gauge {
		p.st = 0 // a gauge has no zero to start from
	}
	p.options = p.family.options
	if p.bad != nil {
		return false, r.reject(p.bad)
	}
	known := false
	if r.cache != nil {
		p.refs, known = r.cache.Get(p.key, p.refs[:0])
	}
	if !known || len(p.refs) != series {
		p.refs = append(p.refs[:0], make([]uint64, series)...)
	}
	return true, nil
}

// endPoint remembers the references of the point's series.
func (r *request) endPoint() {
	if r.point.changed && r.cache != nil {
		r.cache.Put(r.point.key, r.point.refs)
	}
}

// series is one of the series of a point.
type series struct {
	name, suffix string  // of the metric
	label        string  // bucketLabel, quantileLabel or none
	number       float64 // its value
}

// appendFloat appends a sample to the i-th series of the point.
func (r *request) appendFloat(s series, i int, v float64) error { return r.appendSample(s, i, v, nil) }

func (r *request) appendSample(s series, i int, v float64, h *histogram.Histogram) error {
	p := &r.point
	if ref := storage.SeriesRef(p.refs[i]); ref != 0 {
		_, err := r.app.Append(ref, noLabels, p.st, p.t, v, h, nil, p.options)
		if err == nil {
			return nil
		}
		if !errors.Is(err, tsdb.ErrUnknownReference) {
			return r.outcome(err)
		}
	}
	ls, err := r.seriesLabels(s)
	if err != nil {
		return r.reject(err)
	}
	ref, err := r.app.Append(0, ls, p.st, p.t, v, h, nil, p.options)
	if ref != 0 {
		p.refs[i], p.changed = uint64(ref), true
	}
	return r.outcome(err)
}

func (r *request) seriesLabels(s series) (labels.Labels, error) {
	p := &r.point
	if !p.hasBase {
		var err error
		if p.base, err = r.labels.point(p.key[p.keyPrefix:p.keyAttributes], p.attributes); err != nil {
			return noLabels, err
		}
		p.hasBase = true
	}
	return r.labels.series(p.base, s), nil
}

// outcome counts a point whose sample was refused as rejected, and returns the
// error if it is about the store.
func (r *request) outcome(err error) error {
	if err == nil || errors.Is(err, &storage.AppendPartialError{}) {
		return nil // an exemplar that was not kept costs no data point
	}
	reason, single := tsdb.Rejected(err)
	if !single {
		return err
	}
	if !r.point.rejected {
		r.point.rejected = true
		r.rejected.Add(reason, 1, err)
	}
	return nil
}

// reject counts the point as one that cannot be translated. It returns the error
// if that is about the whole request.
func (r *request) reject(err error) error {
	if errors.Is(err, otlpwire.ErrMalformed) || errors.Is(err, otlpwire.ErrTooDeep) {
		return err
	}
	return r.outcome(&tsdb.Rejection{Reason: tsdb.Untranslatable, Err: err})
}
