package router

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/prometheus/alertmanager/alert"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
)

// routing is everything that follows from one configuration.
type routing struct {
	config     *amconfig.Config
	routes     *dispatch.Route
	receivers  map[string][]notify.Integration // those that a route uses
	intervals  map[string][]timeinterval.TimeInterval
	intervener *timeinterval.Intervener
	inhibitor  *inhibit.Inhibitor
	dispatcher *dispatch.Dispatcher
}

// build makes a routing that does not run yet.
func (r *Router) build(c *amconfig.Config) (*routing, error) {
	return build(c, *r.opts.ExternalURL, r.opts.Escalator, r.logger)
}

// Check reports what only shows when receivers and templates are made, beyond
// what Load reports: it makes them, and sends nothing.
func Check(c *amconfig.Config) error {
	_, err := build(c, url.URL{}, nil, slog.New(slog.DiscardHandler))
	return err
}

func build(c *amconfig.Config, external url.URL, escalator Escalator, logger *slog.Logger) (*routing, error) {
	tmpl, err := template.FromGlobs(c.Templates)
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	tmpl.ExternalURL = &external

	run := &routing{
		config:    c,
		routes:    dispatch.NewRoute(c.Route, nil),
		receivers: map[string][]notify.Integration{},
		intervals: timeIntervals(c),
	}
	run.intervener = timeinterval.NewIntervener(run.intervals)
	used := map[string]bool{}
	run.routes.Walk(func(route *dispatch.Route) { used[route.RouteOpts.Receiver] = true })
	for _, rc := range c.Receivers {
		if !used[rc.Name] {
			continue
		}
		list, err := receiver.BuildReceiverIntegrations(rc, tmpl, logger)
		if err != nil {
			return nil, fmt.Errorf("receiver %q: %w", rc.Name, err)
		}
		if escalator != nil {
			e := escalation{escalator: escalator, externalURL: &external}
			list = append(list, notify.NewIntegration(e, e, integrationName, 0, rc.Name))
		}
		run.receivers[rc.Name] = list
	}
	return run, nil
}

func timeIntervals(c *amconfig.Config) map[string][]timeinterval.TimeInterval {
	out := map[string][]timeinterval.TimeInterval{}
	for _, ti := range c.MuteTimeIntervals {
		out[ti.Name] = ti.TimeIntervals
	}
	for _, ti := range c.TimeIntervals {
		out[ti.Name] = ti.TimeIntervals
	}
	return out
}

// swap stops the running routing and runs the next. The inhibitor is complete
// before the dispatcher begins, and the dispatcher before anybody sees it.
func (r *Router) swap(next *routing) {
	r.warn(next)
	previous := r.running.Load()
	previous.halt()

	next.inhibitor = inhibit.NewInhibitor(r.alerts, next.config.InhibitRules, r.logger, r.recorder)
	pipeline := r.pipelines.New(next.receivers, r.share.wait,
		next.inhibitor, r.silencer, next.intervener, r.groupMarker, r.nflog, nil)
	next.dispatcher = dispatch.NewDispatcher(r.alerts, next.routes, flushStage{r, pipeline}, r.groupMarker,
		flushTimeout, dispatchMaintenance, groupLimit(r.opts.Config.MaxGroups), r.logger, r.recorder, r.dispatchMetrics)

	go next.inhibitor.Run()
	next.inhibitor.WaitForLoading()
	go next.dispatcher.Run(r.startAt)
	next.dispatcher.WaitForLoading()

	r.running.Store(next)
	r.api.Update(next.config, func(ctx context.Context, labels model.LabelSet) {
		next.inhibitor.Mutes(ctx, labels)
		r.silencer.Mutes(ctx, labels)
	})
	r.metrics.configured(next)
}

const dispatchMaintenance = 30 * time.Second

// flushTimeout is how long a group may take to notify before its next flush.
func flushTimeout(interval time.Duration) time.Duration { return max(interval, notify.MinTimeout) }

// halt ends a routing; a nil one has none to end.
func (run *routing) halt() {
	if run == nil {
		return
	}
	run.inhibitor.Stop()
	run.dispatcher.Stop()
}

// warn says what Alertmanager's configuration asks for and does not get.
func (r *Router) warn(next *routing) {
	retention := time.Duration(r.opts.Config.Retention)
	next.routes.Walk(func(route *dispatch.Route) {
		o := route.RouteOpts
		if o.RepeatInterval > retention {
			r.logger.Warn("repeat_interval is longer than the retention; notifications repeat more often",
				"route", route.Key(), "repeat_interval", o.RepeatInterval, "retention", retention)
		}
		if o.RepeatInterval < o.GroupInterval {
			r.logger.Warn("repeat_interval is shorter than group_interval; notifications repeat at the next group_interval",
				"route", route.Key(), "repeat_interval", o.RepeatInterval, "group_interval", o.GroupInterval)
		}
	})
	if next.config.TracingConfig.Endpoint != "" {
		r.logger.Warn("tracing in the Alertmanager configuration is ignored; use Belfry's own telemetry settings")
	}
	if ev := next.config.EventRecorder; len(ev.FileOutputs)+len(ev.WebhookOutputs)+len(ev.KafkaOutputs) > 0 {
		r.logger.Warn("event_recorder in the Alertmanager configuration is ignored")
	}
}

type groupLimit int

func (l groupLimit) MaxNumberOfAggregationGroups() int { return int(l) }

// flushStage lets Shutdown wait for flushes, which the dispatcher does not, and
// the Escalator hear of what was muted.
type flushStage struct {
	router *Router
	next   notify.Stage
}

func (s flushStage) Exec(ctx context.Context, l *slog.Logger, alerts ...*alert.Alert) (context.Context, []*alert.Alert, error) {
	s.router.flushes.RLock()
	defer s.router.flushes.RUnlock()
	out, sent, err := s.next.Exec(ctx, l, alerts...)
	s.router.observe(ctx, alerts)
	return out, sent, err
}
