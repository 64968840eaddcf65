package escalation

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/alerting/incident"
	"belfry/internal/state"
	"belfry/internal/tenant"
)

type metrics struct {
	messages     *prometheus.CounterVec
	latency      prometheus.Histogram
	toAck        prometheus.Histogram
	toResolve    prometheus.Histogram
	opened       *prometheus.CounterVec
	failures     prometheus.Counter
	pages        *prometheus.CounterVec
	rulePages    *prometheus.CounterVec
	gathered     *prometheus.CounterVec
	beats        *prometheus.CounterVec
	openDesc     *prometheus.Desc
	depthDesc    *prometheus.Desc
	lagDesc      *prometheus.Desc
	gapDesc      *prometheus.Desc
	engine       *Engine
	scrapeBudget time.Duration
}

func newMetrics(reg prometheus.Registerer, e *Engine) (*metrics, error) {
	minutes := []float64{15, 30, 60, 120, 300, 600, 900, 1800, 3600, 2 * 3600, 4 * 3600, 12 * 3600, 24 * 3600}
	m := &metrics{
		engine: e, scrapeBudget: 2 * time.Second,
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belfry_notifications_total",
			Help: "Attempts to send a message, by type of contact method, kind (page, resolved, update, notice, summary) and result (sent, retry, failed)."},
			[]string{"method", "kind", "result"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "belfry_notification_latency_seconds",
			Help:    "Time from when a message was due to when its service had taken it.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 600}}),
		toAck: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "belfry_incident_acknowledge_seconds",
			Help: "Time from when an incident was opened to its first acknowledgement.", Buckets: minutes}),
		toResolve: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "belfry_incident_resolve_seconds",
			Help: "Time from when an incident was opened to when it was resolved.", Buckets: minutes}),
		opened: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belfry_incidents_opened_total",
			Help: "Incidents opened, by source, policy and severity."}, []string{"source", "policy", "severity"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "belfry_escalation_failures_total",
			Help: "Times that the escalation could not read or write its state and tried again."}),
		pages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belfry_pages_total",
			Help: "Pages delivered, by who was told: a person or a channel."}, []string{"recipient"}),
		rulePages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belfry_rule_pages_total",
			Help: "Pages delivered, by the alerting rule behind the incident; what is not a rule's counts by its source."}, []string{"rule"}),
		gathered: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belfry_messages_gathered_total",
			Help: "Pages and resolutions put into a summary because of a storm, by who is told: a person or a channel."}, []string{"recipient"}),
		beats: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belfry_heartbeats_sent_total",
			Help: "Outgoing heartbeats, by result (sent, failed, withheld)."}, []string{"result"}),
		openDesc: prometheus.NewDesc("belfry_incidents_open", "Open incidents, by status.", []string{"status"}, nil),
		depthDesc: prometheus.NewDesc("belfry_notification_outbox_depth",
			"Messages decided on and not yet delivered, those for later included.", nil, nil),
		lagDesc: prometheus.NewDesc("belfry_escalation_lag_seconds",
			"How long the step or message that is longest overdue has been waiting.", nil, nil),
		gapDesc: prometheus.NewDesc("belfry_oncall_gap_seconds",
			"How long nobody will be on call in the next seven days, by schedule.", []string{"schedule"}, nil),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.messages, m.latency, m.toAck, m.toResolve, m.opened, m.failures, m.pages, m.rulePages, m.gathered, m.beats, m} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.openDesc
	ch <- m.depthDesc
	ch <- m.lagDesc
	ch <- m.gapDesc
}

// Collect implements prometheus.Collector by asking the database, so that every
// process tells the same.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), m.scrapeBudget)
	defer cancel()
	var counts map[incident.Status]int64
	var depth int64
	var oldest sql.NullInt64
	now := m.engine.now()
	err := m.engine.db.View(ctx, func(tx *state.Tx) (err error) {
		if counts, err = incident.CountByStatus(ctx, tx); err != nil {
			return err
		}
		if err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM outbox WHERE status = ?`, rowPending).Scan(&depth); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT MIN(at) FROM (SELECT MIN(due_at) AS at FROM outbox WHERE status = ?
			UNION ALL SELECT MIN(next_at) AS at FROM incidents WHERE next_at > 0) AS due`, rowPending).Scan(&oldest)
	})
	if err != nil {
		return
	}
	for status, n := range counts {
		ch <- prometheus.MustNewConstMetric(m.openDesc, prometheus.GaugeValue, float64(n), string(status))
	}
	ch <- prometheus.MustNewConstMetric(m.depthDesc, prometheus.GaugeValue, float64(depth))
	lag := 0.0
	if oldest.Valid && oldest.Int64 > 0 {
		lag = max(0, now.Sub(state.Time(oldest.Int64)).Seconds())
	}
	ch <- prometheus.MustNewConstMetric(m.lagDesc, prometheus.GaugeValue, lag)
	for _, s := range m.engine.Directory().Schedules() {
		overrides, err := m.engine.Overrides(ctx, tenant.Default, s.ID, now, now.Add(defaultWithin))
		if err != nil {
			return
		}
		var gap time.Duration
		for _, g := range s.Gaps(now, now.Add(defaultWithin), overrides) {
			gap += g.End.Sub(g.Start)
		}
		ch <- prometheus.MustNewConstMetric(m.gapDesc, prometheus.GaugeValue, gap.Seconds(), s.ID)
	}
}

func (m *metrics) delivered(method, kind, result string, latency time.Duration) {
	m.messages.WithLabelValues(method, kind, result).Inc()
	if result == "sent" {
		m.latency.Observe(latency.Seconds())
	}
}

// paged counts a page that was delivered. Recipients are of the configuration, and
// so are rules; what other programs call their alerts makes no series.
func (m *metrics) paged(recipient string, i *incident.Incident) {
	m.pages.WithLabelValues(recipient).Inc()
	m.pagedByRule(i)
}

// pagedByRule counts a page that was delivered, be it in a summary.
func (m *metrics) pagedByRule(i *incident.Incident) {
	rule := i.Source
	if i.Source == incident.SourceAlertmanager {
		rule = i.Rule
	}
	m.rulePages.WithLabelValues(rule).Inc()
}

// changed observes what has happened between two states of an incident.
func (m *metrics) changed(before, after *incident.Incident, now time.Time) {
	if before.ID == "" {
		m.opened.WithLabelValues(after.Source, after.Policy, knownSeverity(after.Severity)).Inc()
	}
	if before.Status != after.Status && after.Status == incident.Acknowledged && after.Generation == 0 {
		m.toAck.Observe(now.Sub(after.OpenedAt).Seconds())
	}
	if before.Status != after.Status && after.Status == incident.Resolved {
		m.toResolve.Observe(now.Sub(after.OpenedAt).Seconds())
	}
}

// knownSeverity keeps what alerts call themselves from making series.
func knownSeverity(s string) string {
	for _, names := range severities {
		if slices.Contains(names, s) {
			return s
		}
	}
	return "other"
}
