package collector

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/service"

	"belfry/collector/internal/ingest"
)

// generation is one configuration with the service that runs it.
type generation struct {
	c         *Collector
	config    map[string]any // the user's
	resolved  *resolved
	service   *service.Service
	telemetry *ownTelemetry
	failures  chan error
	stop      chan struct{}
	watching  chan struct{} // closed when nobody reads failures any more

	// endLife ends the context that the components were started with. Some of
	// them live by it: statsd always, fluentforward where its start fails.
	endLife context.CancelFunc
}

func (g *generation) direct(receiver component.ID) ingest.Direct { return g.resolved.direct(receiver) }

// prepare resolves a configuration and returns the settings of its service.
func (c *Collector) prepare(ctx context.Context, config map[string]any) (*generation, service.Settings, error) {
	g := &generation{
		c: c, config: config,
		telemetry: &ownTelemetry{logger: c.set.Logger, slot: c.metrics},
		failures:  make(chan error),
		stop:      make(chan struct{}),
	}
	f := newFactories(c.doors(g))
	telemetryFactory := g.telemetry.factory()
	r, err := resolve(ctx, config, f, telemetryFactory)
	if err != nil {
		return nil, service.Settings{}, err
	}
	g.resolved = r
	return g, service.Settings{
		BuildInfo:           c.buildInfo(),
		ReceiversConfigs:    r.receivers,
		ReceiversFactories:  f.receivers,
		ProcessorsConfigs:   r.processors,
		ProcessorsFactories: f.processors,
		ExportersConfigs:    r.exporters,
		ExportersFactories:  f.exporters,
		ConnectorsConfigs:   r.connectors,
		ConnectorsFactories: f.connectors,
		ExtensionsConfigs:   r.extensions,
		ExtensionsFactories: f.extensions,
		AsyncErrorChannel:   g.failures,
		TelemetryFactory:    telemetryFactory,
	}, nil
}

func (c *Collector) validate(ctx context.Context, config map[string]any) error {
	g, settings, err := c.prepare(ctx, config)
	if err != nil {
		return err
	}
	if err := service.Validate(ctx, settings, g.resolved.service); err != nil {
		return fmt.Errorf("service.pipelines: %w", err)
	}
	return nil
}

func (c *Collector) build(ctx context.Context, config map[string]any) (*generation, error) {
	g, settings, err := c.prepare(ctx, config)
	if err != nil {
		return nil, err
	}
	if g.service, err = service.New(context.WithoutCancel(ctx), settings, g.resolved.service); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *generation) start(ctx context.Context) error {
	for pipeline, processor := range g.resolved.detachments() {
		g.c.set.Logger.WarnContext(ctx, "pipeline acknowledges records before they are kept",
			"pipeline", pipeline, "processor", processor)
	}
	g.watching = make(chan struct{})
	go g.watch()
	// A reload's context ends when the reload is done, which is not when the
	// components do.
	life, endLife := context.WithCancel(context.WithoutCancel(ctx))
	g.endLife = endLife
	if err := g.service.Start(life); err != nil {
		return errors.Join(err, g.shutdown(ctx))
	}
	g.telemetry.show()
	return nil
}

// watch passes on what components report as fatal.
func (g *generation) watch() {
	defer close(g.watching)
	for {
		select {
		case err := <-g.failures:
			g.c.set.Logger.Error("collector component failed", "error", err)
			g.c.set.Fatal(err)
		case <-g.stop:
			return
		}
	}
}

func (g *generation) shutdown(ctx context.Context) error {
	g.telemetry.hide()
	err := g.service.Shutdown(ctx)
	if g.endLife != nil {
		g.endLife()
	}
	if g.watching != nil {
		close(g.stop)
		<-g.watching
	}
	return err
}
