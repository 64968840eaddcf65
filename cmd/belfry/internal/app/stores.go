package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/util/features"

	"belfry/internal/lifecycle"
	"belfry/internal/tenant"
	"belfry/logs/logql"
	"belfry/logs/patterns"
	logstore "belfry/logs/store"
	tracestore "belfry/traces/store"
	"belfry/traces/traceql"
	"belfry/tsdb/otlp"
	"belfry/tsdb/query"
	metricstore "belfry/tsdb/store"
)

// stores are the three stores and the engines that query them. Rules have an
// engine of their own, so that dashboards cannot starve them.
type stores struct {
	metrics    *metricstore.Store
	otlp       *otlp.Appender
	apiEngine  *query.Engine
	ruleEngine *query.Engine
	usage      *query.Usage
	features   features.Collector // of PromQL and its API

	logs     *logstore.Store
	counts   *logstore.Store // of patterns; nil if they are off, as is what finds them
	patterns *patterns.Miner
	logql    *logql.Engine

	traces  *tracestore.Store
	traceql *traceql.Engine
}

func (a *App) openStores(ctx context.Context) (*stores, error) {
	s := &stores{}
	a.stack.Add(lifecycle.Component{Name: "stores", Shutdown: s.close})
	var err error
	metricsLog := a.logger.With("component", "tsdb")
	if s.metrics, err = metricstore.Open(metricstore.Options{
		Dir: a.dir("metrics"), Config: a.cfg.Metrics, Logger: metricsLog, Registerer: a.registry,
		LogMetadata: !a.cfg.RemoteWrite.IsZero(),
	}); err != nil {
		return nil, fmt.Errorf("opening the metrics store: %w", err)
	}
	if err := s.metrics.OpenTenant(ctx, tenant.Default); err != nil {
		return nil, fmt.Errorf("opening the metrics store: %w", err)
	}
	s.otlp = otlp.New(otlp.Options{
		Appendable: s.metrics, Config: a.cfg.Metrics.OTLP, LookbackDelta: time.Duration(a.cfg.Metrics.Query.LookbackDelta),
		Logger: metricsLog, Registerer: a.registry,
	})
	s.usage = query.NewUsage(time.Now)
	s.features = features.NewRegistry()
	query.NewParser().RegisterFeatures(s.features)
	engine := query.Options{
		Usage: s.usage, Features: s.features,
		Config: a.cfg.Metrics.Query, StartTimestamps: a.cfg.Metrics.StartTimestamps, Logger: metricsLog, Registerer: a.registry,
	}
	engine.Name = "api"
	s.apiEngine = query.NewEngine(engine)
	engine.Name = "rules"
	engine.Config.ResultCache = 0 // rules ask for an instant
	s.ruleEngine = query.NewEngine(engine)

	if err := a.openPatterns(s); err != nil {
		return nil, fmt.Errorf("opening the patterns: %w", err)
	}
	if s.logs, err = logstore.Open(logstore.Options{
		Dir: a.dir("logs"), Config: a.cfg.Logs, Patterns: s.patterns,
		Logger: a.logger.With("component", "logs"), Registerer: a.registry,
	}); err != nil {
		return nil, fmt.Errorf("opening the log store: %w", err)
	}
	s.logql = logql.NewEngine(logql.Options{Querier: s.logs, Limits: logql.DefaultLimits()})

	if s.traces, err = tracestore.Open(tracestore.Options{
		Dir: a.dir("traces"), Config: a.cfg.Traces, Logger: a.logger.With("component", "traces"), Registerer: a.registry,
	}); err != nil {
		return nil, fmt.Errorf("opening the trace store: %w", err)
	}
	s.traceql = traceql.NewEngine(s.traces, traceql.Limits{})
	return s, nil
}

// openPatterns opens what finds patterns in the logs, and the store of their counts.
func (a *App) openPatterns(s *stores) error {
	cfg := a.cfg.Logs
	if !cfg.Patterns.Enabled {
		return nil
	}
	logger := a.logger.With("component", "patterns")
	cfg.Retention = logstore.RetentionConfig{Time: cfg.Patterns.Retention}
	cfg.Flush.Size = min(cfg.Flush.Size, 8<<20) // they are few
	var err error
	if s.counts, err = logstore.Open(logstore.Options{
		Dir: a.dir("patterns"), Config: cfg, Signal: "patterns", Logger: logger, Registerer: a.registry,
	}); err != nil {
		return err
	}
	s.patterns, err = patterns.New(patterns.Options{
		Store: s.counts, Dir: a.dir("patterns"), Learn: time.Duration(cfg.Patterns.Learn), Logger: logger, Registerer: a.registry,
	})
	return err
}

// addTo puts what runs on the stack: it stops behind all that appends.
func (s *stores) addTo(stack *lifecycle.Stack, failed func(error)) {
	if s.patterns != nil {
		stack.AddRun("log patterns", func(ctx context.Context) error { return s.patterns.Run(ctx, s.logs) }, failed)
	}
}

// close closes what was opened.
func (s *stores) close(ctx context.Context) error {
	var errs []error
	if s.traces != nil {
		errs = append(errs, s.traces.Close())
	}
	if s.logs != nil {
		errs = append(errs, s.logs.Close())
	}
	if s.counts != nil {
		errs = append(errs, s.counts.Close())
	}
	if s.apiEngine != nil {
		errs = append(errs, s.apiEngine.Close(), s.ruleEngine.Close())
	}
	if s.otlp != nil {
		errs = append(errs, s.otlp.Shutdown(ctx))
	}
	if s.metrics != nil {
		errs = append(errs, s.metrics.Close())
	}
	return errors.Join(errs...)
}
