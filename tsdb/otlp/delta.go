package otlp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/deltatocumulativeprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/metric/noop"

	"belfry/internal/fault"
	"belfry/tsdb"
)

// deltas holds the accumulated delta streams, one converter a tenant.
type deltas struct {
	cfg  tsdb.DeltaConfig
	next appendFunc

	mu         sync.Mutex
	converters map[string]*converter
	closed     bool
}

// appendFunc appends a request without delta points and returns how many points
// it has.
type appendFunc func(ctx context.Context, message []byte, rejected *tsdb.Tally) (int, error)

type converter struct {
	processor.Metrics
	lastUsed time.Time
	users    int
}

func newDeltas(cfg tsdb.DeltaConfig, next appendFunc) *deltas {
	return &deltas{cfg: cfg, next: next, converters: map[string]*converter{}}
}

// conversionKey is the context key under which one request's state travels
// through the processor.
type conversionKey struct{}

type conversion struct {
	rejected *tsdb.Tally
	points   int // that came out of the processor
}

// append converts the delta points of a request, appends all of its points, and
// returns how many there are.
func (d *deltas) append(ctx context.Context, tenantID string, message []byte, rejected *tsdb.Tally) (int, error) {
	conv, err := d.acquire(tenantID)
	if err != nil {
		return 0, err
	}
	defer d.release(conv)
	in := pmetricotlp.NewExportRequest()
	if err := in.UnmarshalProto(message); err != nil {
		return 0, fault.Invalidf("OTLP metrics: %w", err)
	}
	points := in.Metrics().DataPointCount()
	req := &conversion{rejected: rejected}
	if err := conv.ConsumeMetrics(context.WithValue(ctx, conversionKey{}, req), in.Metrics()); err != nil {
		return 0, err
	}
	if dropped := points - req.points; dropped > 0 {
		rejected.Add(tsdb.OutOfOrder, dropped, errors.New("delta points out of order or over the limit of streams"))
	}
	return points, nil
}

func (d *deltas) consume(ctx context.Context, md pmetric.Metrics) error {
	req, ok := ctx.Value(conversionKey{}).(*conversion)
	if !ok {
		return fault.New(fault.Internal, "delta conversion lost its request")
	}
	message, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		return fault.New(fault.Internal, "delta conversion: %w", err)
	}
	req.points, err = d.next(ctx, message, req.rejected)
	return err
}

func (d *deltas) acquire(tenantID string) (*converter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, fault.Unavailablef(time.Second, "metrics intake is shutting down")
	}
	conv := d.converters[tenantID]
	if conv == nil {
		if err := d.dropStale(); err != nil {
			return nil, err
		}
		var err error
		if conv, err = d.newConverter(); err != nil {
			return nil, err
		}
		d.converters[tenantID] = conv
	}
	conv.users++
	conv.lastUsed = time.Now()
	return conv, nil
}

func (d *deltas) release(conv *converter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	conv.users--
}

// dropStale ends the converters all of whose streams are stale.
func (d *deltas) dropStale() error {
	var errs []error
	for id, conv := range d.converters {
		if conv.users == 0 && time.Since(conv.lastUsed) > time.Duration(d.cfg.MaxStale) {
			errs = append(errs, conv.Shutdown(context.Background()))
			delete(d.converters, id)
		}
	}
	return errors.Join(errs...)
}

func (d *deltas) newConverter() (*converter, error) {
	next, err := consumer.NewMetrics(d.consume, consumer.WithCapabilities(consumer.Capabilities{MutatesData: false}))
	if err != nil {
		return nil, fmt.Errorf("delta conversion: %w", err)
	}
	factory := deltatocumulativeprocessor.NewFactory()
	cfg, ok := factory.CreateDefaultConfig().(*deltatocumulativeprocessor.Config)
	if !ok {
		return nil, fault.New(fault.Internal, "delta conversion has an unknown configuration")
	}
	cfg.MaxStale = time.Duration(d.cfg.MaxStale)
	cfg.MaxStreams = d.cfg.MaxStreams
	proc, err := factory.CreateMetrics(context.Background(), processor.Settings{
		ID:                component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{MeterProvider: noop.NewMeterProvider()},
	}, cfg, next)
	if err != nil {
		return nil, fmt.Errorf("delta conversion: %w", err)
	}
	if err := proc.Start(context.Background(), nil); err != nil {
		return nil, fmt.Errorf("delta conversion: %w", err)
	}
	return &converter{Metrics: proc}, nil
}

func (d *deltas) shutdown(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	var errs []error
	for id, conv := range d.converters {
		errs = append(errs, conv.Shutdown(ctx))
		delete(d.converters, id)
	}
	return errors.Join(errs...)
}
