package app

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/scrape"

	"belfry/collector"
	"belfry/internal/lifecycle"
	"belfry/internal/telemetry"
	"belfry/traces"
	"belfry/traces/spanmetrics"
	"belfry/tsdb/scraper"
	"belfry/tsdb/sender"
)

// ingest is all that brings telemetry in: the collector, the scraper and
// Belfry's own; and what sends it on.
type ingest struct {
	collector *collector.Collector
	scraper   *scraper.Scraper
	sender    *sender.Sender
	own       *telemetry.Exporter    // nil if it is off
	spans     *spanmetrics.Processor // nil if it is off
}

func (a *App) openIngest(ctx context.Context) (*ingest, error) {
	in := &ingest{}
	var traceAppender traces.Appender = a.stores.traces
	if a.cfg.SpanMetrics.Enabled {
		var err error
		if in.spans, err = spanmetrics.New(spanmetrics.Options{
			Next: a.stores.traces, Sink: seriesSink{a.stores.metrics}, Config: a.cfg.SpanMetrics,
			Logger: a.logger.With("component", "spanmetrics"), Registerer: a.registry,
		}); err != nil {
			return nil, fmt.Errorf("span metrics: %w", err)
		}
		traceAppender = in.spans
	}
	section, err := a.cfg.collectorMap()
	if err != nil {
		return nil, err
	}
	if in.collector, err = collector.New(ctx, collector.Settings{
		Config: section, Logs: a.stores.logs, Traces: traceAppender, Metrics: a.stores.otlp,
		MaxRequestSize: int64(a.cfg.Server.MaxRequestSize), Version: a.opts.Version,
		Logger: a.logger.Logger, Registerer: a.registry, Fatal: a.fail,
	}); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	if in.scraper, err = scraper.New(scraper.Options{
		Config: a.cfg.scrape(), Dir: a.cfg.dir, Appendable: a.stores.metrics,
		StartTimestamps: a.cfg.Metrics.StartTimestamps,
		Logger:          a.logger.With("component", "scraper"), Registerer: a.registry,
	}); err != nil {
		return nil, fmt.Errorf("scraper: %w", err)
	}
	if in.sender, err = sender.New(sender.Options{
		Store: a.stores.metrics, Config: a.cfg.send(), Dir: a.cfg.dir, Scraped: in,
		Logger: a.logger.With("component", "remote_write"), Registerer: a.registry,
	}); err != nil {
		return nil, err
	}
	if a.cfg.Telemetry.SelfIngest {
		if in.own, err = telemetry.NewExporter(ctx, telemetry.ExportOptions{
			Config: a.cfg.Telemetry, Logger: a.logger, Gatherer: a.registry,
			Version: a.opts.Version, Instance: a.instance(), OTLP: in.collector.OTLPHandler(),
		}); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// Get implements remote.ReadyScrapeManager.
func (in *ingest) Get() (*scrape.Manager, error) { return in.scraper.Manager, nil }

// addTo puts the parts on the stack. Belfry's own telemetry stops after the
// receivers, so that it can tell how they stopped, and before the collector's
// pipelines, which it needs.
func (in *ingest) addTo(stack *lifecycle.Stack, failed func(error)) {
	stack.Add(lifecycle.Component{Name: "remote write", Start: in.sender.Start, Shutdown: in.sender.Shutdown})
	if in.spans != nil {
		stack.AddRun("span metrics", in.spans.Run, failed)
	}
	stack.Add(lifecycle.Component{Name: "collector", Start: in.collector.Start, Shutdown: in.collector.Shutdown})
	if in.own != nil {
		stack.Add(lifecycle.Component{Name: "own telemetry", Start: in.own.Start, Shutdown: in.own.Shutdown})
	}
	stack.Add(lifecycle.Component{Name: "scraper", Start: in.scraper.Start, Shutdown: in.scraper.Shutdown})
}
