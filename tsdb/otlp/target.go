package otlp

import (
	"errors"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"

	"belfry/internal/otlpwire"
	"belfry/tsdb"
)

// targetInfo is the family of the series that carries resource attributes. It
// belongs to no data point.
const targetInfo = "target_info"

// maxTargetSamples bounds how often target_info is repeated within a request: a
// point without a time would otherwise make it begin in 1970.
const maxTargetSamples = 1000

// target is what is known of a resource's target_info.
type target struct {
	resource uint64 // number of the resource
	wanted   bool
	ref      uint64        // 0 if it is not known
	labels   labels.Labels // made when they are needed
}

// targetSample is one that the request has appended.
type targetSample struct {
	ref uint64
	t   int64
}

// findTarget finds the current resource in the cache, or puts it there.
func (r *request) findTarget() error {
	t := &r.group.target
	*t = target{}
	if r.cache != nil {
		refs, known := r.cache.Get(r.group.resource, r.point.refs[:0])
		r.point.refs = refs
		if known && len(refs) == 3 {
			t.resource, t.wanted, t.ref = refs[0], refs[1] != 0, refs[2]
			return nil
		}
		t.resource = r.cache.NextID()
	}
	ls, err := r.labels.target()
	if errors.Is(err, otlpwire.ErrMalformed) || errors.Is(err, otlpwire.ErrTooDeep) {
		return err
	}
	t.labels, t.wanted = ls, err == nil && !ls.IsEmpty()
	r.rememberTarget()
	return nil
}

func (r *request) rememberTarget() {
	if r.cache == nil {
		return
	}
	t := &r.group.target
	refs := append(r.point.refs[:0], t.resource, 0, t.ref)
	if t.wanted {
		refs[1] = 1
	}
	r.cache.Put(r.group.resource, refs)
	r.point.refs = refs
}

// target returns the labels of the resource's target_info, none if it is to have
// none: if nothing but its name is known of it, or not even that.
func (b *labelBuilder) target() (labels.Labels, error) {
	if !b.resourceReady {
		b.resourceReady = true
		b.resourceErr = b.readResource()
	}
	if b.resourceErr != nil {
		return noLabels, b.resourceErr
	}
	identifying := func(key string) bool {
		return key == serviceNamespace || key == serviceName || key == serviceInstanceID
	}
	others, named := 0, map[string]struct{}{}
	err := otlpwire.Attributes(b.resource, otlpwire.ResourceAttributes, func(key []byte, _ otlpwire.AnyValue) error {
		others++
		if identifying(string(key)) {
			named[string(key)] = struct{}{}
		}
		return nil
	})
	if err != nil || others == len(named) {
		return noLabels, err
	}
	if b.rules.keepIdentifying {
		identifying = func(string) bool { return false }
	}
	if err := b.attributes(b.resource, otlpwire.ResourceAttributes, identifying); err != nil {
		return noLabels, err
	}
	b.identify()
	b.builder.Set(model.MetricNameLabel, targetInfo)
	ls := b.builder.Labels()
	if ls.Get(model.JobLabel) == "" && ls.Get(model.InstanceLabel) == "" {
		return noLabels, nil
	}
	return ls, nil
}

// appendTarget appends target_info from the earliest to the latest of the
// resource's points, so often that a query finds it at any time between.
func (r *request) appendTarget() error {
	t := &r.group.target
	if !t.wanted {
		return nil
	}
	interval := r.a.rules.lookback / 2
	earliest := time.Unix(0, int64(r.group.earliest)) //nolint:gosec // as Prometheus has it
	latest := time.Unix(0, int64(r.group.latest))     //nolint:gosec // as Prometheus has it
	if latest.Sub(earliest) > maxTargetSamples*interval {
		earliest = latest.Add(-maxTargetSamples * interval)
	}
	for at := earliest; at.Before(latest); at = at.Add(interval) {
		if err := r.appendTargetAt(at.UnixMilli()); err != nil {
			return err
		}
	}
	return r.appendTargetAt(latest.UnixMilli())
}

func (r *request) appendTargetAt(at int64) error {
	t := &r.group.target
	if _, done := r.seen[targetSample{t.ref, at}]; done && t.ref != 0 {
		return nil // another resource has the same
	}
	options := storage.AOptions{
		MetricFamilyName: targetInfo,
		Metadata:         metadata.Metadata{Type: model.MetricTypeGauge, Help: "Target metadata"},
	}
	err := tsdb.ErrUnknownReference
	ref := storage.SeriesRef(t.ref)
	if ref != 0 {
		_, err = r.app.Append(ref, noLabels, 0, at, 1, nil, nil, options)
	}
	if errors.Is(err, tsdb.ErrUnknownReference) {
		if t.labels.IsEmpty() {
			if t.labels, err = r.labels.target(); err != nil {
				return err
			}
		}
		ref, err = r.app.Append(0, t.labels, 0, at, 1, nil, nil, options)
		if ref != 0 && uint64(ref) != t.ref {
			t.ref = uint64(ref)
			r.rememberTarget()
		}
	}
	if _, single := tsdb.Rejected(err); err != nil && !single {
		return err
	}
	if t.ref != 0 {
		r.seen[targetSample{t.ref, at}] = struct{}{}
	}
	return nil
}
