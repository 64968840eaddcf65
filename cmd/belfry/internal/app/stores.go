package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belfry/internal/lifecycle"
	"belfry/internal/tenant"
	"belfry/logs/logql"
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

	logs  *logstore.Store
	logql *logql.Engine

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
	engine := query.Options{
		Config: a.cfg.Metrics.Query, StartTimestamps: a.cfg.Metrics.StartTimestamps, Logger: metricsLog, Registerer: a.registry,
	}
	engine.Name = "api"
	s.apiEngine = query.NewEngine(engine)
	engine.Name = "rules"
	s.ruleEngine = query.NewEngine(engine)

	if s.logs, err = logstore.Open(logstore.Options{
		Dir: a.dir("logs"), Config: a.cfg.Logs, Logger: a.logger.With("component", "logs"), Registerer: a.registry,
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

// close closes what was opened.
func (s *stores) close(ctx context.Context) error {
	var errs []error
	if s.traces != nil {
		errs = append(errs, s.traces.Close())
	}
	if s.logs != nil {
		errs = append(errs, s.logs.Close())
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
