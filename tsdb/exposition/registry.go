package exposition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"belfry/internal/tenant"
)

// RegistryOptions configure a Registry.
type RegistryOptions struct {
	Gatherer   prometheus.Gatherer
	Appendable storage.AppendableV2
	Tenant     string
	Labels     map[string]string // added to every series: job, instance
	Interval   time.Duration
	Logger     *slog.Logger     // nil discards
	Now        func() time.Time // nil is time.Now
}

// Registry appends a registry's metrics to a store at an interval, without a
// network in between. Belfry stores its own metrics by it.
type Registry struct {
	o     RegistryOptions
	extra []labels.Label
}

// NewRegistry returns a Registry.
func NewRegistry(o RegistryOptions) *Registry {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Registry{o: o}
	for name, value := range o.Labels {
		r.extra = append(r.extra, labels.Label{Name: name, Value: value})
	}
	return r
}

// Run appends until ctx ends.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(r.o.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := r.Append(ctx); err != nil && ctx.Err() == nil {
				r.o.Logger.Warn("own metrics were not stored", "error", err)
			}
		}
	}
}

// Append gathers and appends once.
func (r *Registry) Append(ctx context.Context) error {
	families, gatherErr := r.o.Gatherer.Gather() // what could be gathered comes with the error
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	var page bytes.Buffer
	enc := expfmt.NewEncoder(&page, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			return fmt.Errorf("encode own metrics: %w", err)
		}
	}
	app := r.o.Appendable.AppenderV2(tenant.WithID(ctx, r.o.Tenant))
	rejected, err := Append(app, Page{Body: page.Bytes(), ContentType: string(format), Now: r.o.Now().UnixMilli(), Extra: r.extra})
	if err != nil {
		return errors.Join(err, app.Rollback())
	}
	if err := app.Commit(); err != nil {
		return err
	}
	if rejected.Total() > 0 {
		return fmt.Errorf("own metrics: %s", rejected.String())
	}
	return gatherErr
}
