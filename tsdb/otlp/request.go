package otlp

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/storage"

	"belfry/internal/otlpwire"
	"belfry/tsdb"
	"belfry/tsdb/seriescache"
)

// The kinds of keys in the cache.
const (
	resourceKey byte = 'r' // of a resource: its number, and what is known of its target_info
	scopeKey    byte = 's' // of a resource and scope, where scopes become labels: their number
	pointKey    byte = 'p' // of a data point: its series
)

// request appends one request. It is used again for others, so that its buffers
// are.
type request struct {
	a        *Appender
	ctx      context.Context //nolint:containedctx // lives as long as a request
	app      storage.AppenderV2
	cache    *seriescache.Cache // nil if the store has none
	rejected *tsdb.Tally
	points   int // data points seen

	walker otlpwire.Walker
	group  group
	metric metric
	point  point
	labels labelBuilder
	seen   map[targetSample]struct{}
}

// group is the resource and scope that metrics share.
type group struct {
	started  bool
	index    int    // of the resource in the request
	id       uint64 // of the resource, and of the scope where that becomes labels
	resource []byte // key of the resource, with the message
	scope    []byte // the same of the scope

	earliest, latest uint64 // of the resource's points, nanoseconds
	target           target
}

func newRequest(a *Appender) *request {
	r := &request{a: a, seen: map[targetSample]struct{}{}}
	r.labels.rules = &a.rules
	r.labels.names = map[string]string{}
	return r
}

func (r *request) begin(ctx context.Context, app storage.AppenderV2, rejected *tsdb.Tally) {
	r.ctx, r.app, r.rejected, r.points = ctx, app, rejected, 0
	r.cache = seriescache.Of(app)
	r.group.started = false
	clear(r.seen)
	r.labels.collided = 0
}

// end drops what is not the request's own.
func (r *request) end() {
	if r.labels.collided > 0 {
		r.a.warnings.WithLabelValues(nameCollision).Add(float64(r.labels.collided))
	}
	r.ctx, r.app, r.cache, r.rejected = nil, nil, nil, nil
	r.metric, r.group.target.labels = metric{}, noLabels
	r.point.drop()
	r.labels.drop()
}

// append appends the points of a message. Points that are bad on their own are
// rejected; an error means that nothing of the request may be kept.
func (r *request) append(message []byte) error {
	if err := r.walker.Walk(message, r.startGroup, r.appendMetric); err != nil {
		return err
	}
	if err := r.endResource(); err != nil {
		return err
	}
	return r.ctx.Err()
}

// startGroup is called for each scope that has metrics.
func (r *request) startGroup(g *otlpwire.Group) error {
	if !r.group.started || r.group.index != g.ResourceIndex {
		if err := r.endResource(); err != nil {
			return err
		}
		if err := r.startResource(g); err != nil {
			return err
		}
	}
	r.labels.scopeReady = false
	if !r.a.rules.promoteScope {
		return nil
	}
	r.group.id = r.group.target.resource
	r.group.scope = append(r.group.scope[:0], scopeKey)
	r.group.scope = binary.AppendUvarint(r.group.scope, r.group.id)
	r.group.scope = binary.AppendUvarint(r.group.scope, uint64(len(g.ScopeSchemaURL)))
	r.group.scope = append(append(r.group.scope, g.ScopeSchemaURL...), g.Scope...)
	r.labels.scope, r.labels.scopeURL = g.Scope, g.ScopeSchemaURL
	if r.cache == nil {
		return nil
	}
	refs, known := r.cache.Get(r.group.scope, r.point.refs[:0])
	if !known {
		refs = append(refs[:0], r.cache.NextID())
		r.cache.Put(r.group.scope, refs)
	}
	r.point.refs, r.group.id = refs, refs[0]
	return nil
}

func (r *request) startResource(g *otlpwire.Group) error {
	r.group.started, r.group.index = true, g.ResourceIndex
	r.group.earliest, r.group.latest = math.MaxUint64, 0
	r.group.resource = append(append(r.group.resource[:0], resourceKey), g.Resource...)
	r.labels.resource, r.labels.resourceReady = r.group.resource[1:], false
	if err := r.findTarget(); err != nil {
		return err
	}
	r.group.id = r.group.target.resource
	return nil
}

// endResource appends what follows from a resource's points.
func (r *request) endResource() error {
	if !r.group.started || r.group.earliest == math.MaxUint64 {
		return nil // no points
	}
	r.group.started = false
	return r.appendTarget()
}

// appendMetric appends the points of a Metric message.
func (r *request) appendMetric(message []byte) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	m := &r.metric
	if err := m.parse(message); err != nil {
		return err
	}
	if m.kind == noData {
		return nil
	}
	var err error
	r.point.family = r.a.families.get(m)
	r.point.bad = r.point.family.err
	if m.hasTemporality() && m.temporality != cumulative {
		r.point.bad = errTemporality
	}
	r.point.key = append(r.point.key[:0], pointKey)
	r.point.key = binary.AppendUvarint(r.point.key, r.group.id)
	r.point.key = binary.AppendUvarint(r.point.key, r.point.family.id)
	r.point.keyPrefix = len(r.point.key)
	for b := m.data; len(b) > 0; {
		var f otlpwire.Field
		if f, b, err = otlpwire.Next(b); err != nil {
			return err
		}
		if f.Number != dataPoints {
			continue
		}
		raw, err := f.AsBytes()
		if err != nil {
			return err
		}
		r.point.key = r.point.key[:r.point.keyPrefix]
		r.point.begin()
		if err := r.appendPoint(m.kind, raw); err != nil {
			return err
		}
		if r.points++; r.points%128 == 0 && r.ctx.Err() != nil {
			return r.ctx.Err()
		}
	}
	return nil
}

func (r *request) appendPoint(kind metricKind, raw []byte) error {
	switch kind {
	case gauge, sum:
		return r.appendNumber(kind, raw)
	case explicitHistogram:
		return r.appendHistogram(raw)
	case exponentialHistogram:
		return r.appendExponential(raw)
	default:
		return r.appendSummary(raw)
	}
}
