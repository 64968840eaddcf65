package plugin

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/gtime"
	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/rewrite"
)

// Types of queries.
const (
	typeMetrics     = "metrics"
	typeLogs        = "logs"
	typeTraces      = "traces"
	typeAnnotations = "annotations"
	typeIncidents   = "incidents"
	typeOnCall      = "oncall"
	typeSLO         = "slo"
	typeCardinality = "cardinality"
	typePatterns    = "patterns"
	typeServiceMap  = "serviceMap"
)

// Query is a query as the editor, a dashboard or a link writes it. All of it is
// optional but an expression where the type has one.
type Query struct {
	Type    string           `json:"queryType"`
	Expr    string           `json:"expr"`
	Filters []rewrite.Filter `json:"filters"` // ad-hoc, of a dashboard
	GroupBy []string         `json:"groupBy"` // ad-hoc, of a dashboard

	// Metrics, and numbers of the other two.
	Mode         string `json:"mode"`   // range, instant or both
	Format       string `json:"format"` // time_series, table or heatmap
	LegendFormat string `json:"legendFormat"`
	Interval     string `json:"interval"` // the least distance of points
	Exemplars    *bool  `json:"exemplars"`

	// Logs.
	MaxLines  int     `json:"maxLines"`
	Direction string  `json:"direction"` // backward or forward
	Purpose   string  `json:"purpose"`   // volume, sample or context; "" is the query itself
	Anchor    *Anchor `json:"anchor"`    // of a context

	// Traces.
	Limit         int    `json:"limit"`
	SpansPerTrace int    `json:"spansPerTrace"`
	Table         string `json:"table"` // traces or spans

	// Incidents, on-call, annotations.
	Source   string `json:"source"` // of annotations
	Title    string `json:"title"`  // of annotations, with {{label}}
	Status   string `json:"status"`
	Severity string `json:"severity"`
	Service  string `json:"service"`
	Search   string `json:"search"`
	Incident string `json:"incident"` // all of one
	View     string `json:"view"`     // of on-call: now or shifts
	Schedule string `json:"schedule"`

	SLO *SLO `json:"slo"`

	settings *Settings
	from, to time.Time
	step     time.Duration
	by       asker
}

// Anchor is the line whose neighbours are asked for.
type Anchor struct {
	Nanos string `json:"nanos"`
	ID    string `json:"id"`
}

// aliases are the types that other data sources' links and dashboards say.
var aliases = map[string]string{
	"": "", "range": typeMetrics, "instant": typeMetrics, "traceql": typeTraces, "traceqlSearch": typeTraces,
	"trace": typeTraces, "traceId": typeTraces, "search": typeTraces, "serviceGraph": typeServiceMap,
}

var types = []string{
	typeMetrics, typeLogs, typeTraces, typeAnnotations, typeIncidents, typeOnCall, typeSLO, typeCardinality, typePatterns, typeServiceMap,
}

func readQuery(dq backend.DataQuery, s *Settings) (*Query, error) {
	q := &Query{settings: s, from: dq.TimeRange.From, to: dq.TimeRange.To}
	if err := json.Unmarshal(dq.JSON, q); err != nil {
		return nil, invalidf("the query cannot be read: %w", err)
	}
	if q.Expr == "" {
		var other struct {
			Query string `json:"query"` // as Tempo and Jaeger say it
		}
		_ = json.Unmarshal(dq.JSON, &other) // it is an object
		q.Expr = other.Query
	}
	if q.Type == "" {
		q.Type = dq.QueryType
	}
	if own, ok := aliases[q.Type]; ok {
		q.Type = own
	}
	if q.Type == "" {
		q.Type = guessType(q.Expr)
	}
	if !slices.Contains(types, q.Type) {
		return nil, invalidf("%q is not a type of query: it is one of %s", q.Type, strings.Join(types, ", "))
	}
	if !q.to.After(q.from) {
		q.to = q.from.Add(time.Second)
	}
	if err := q.readStep(dq); err != nil {
		return nil, err
	}
	q.MaxLines = clamp(q.MaxLines, s.MaxLines, maxLines)
	q.Limit = clamp(q.Limit, s.TraceLimit, maxTraces)
	q.SpansPerTrace = clamp(q.SpansPerTrace, 3, 100)
	m := q.macros()
	q.Expr = m.Expand(q.Expr)
	return q, nil
}

// guessType is for a query that says nothing but its expression.
func guessType(expr string) string {
	if _, ok := rewrite.TraceID(expr); ok {
		return typeTraces
	}
	return typeMetrics
}

// maxPoints is what a range may have at most, a series.
const maxPoints = 11_000

func (q *Query) readStep(dq backend.DataQuery) error {
	least := q.settings.scrape
	if q.Type != typeMetrics {
		least = time.Second
	}
	if q.Interval != "" && !strings.Contains(q.Interval, "$") {
		d, err := gtime.ParseDuration(q.Interval)
		if err != nil || d <= 0 {
			return invalidf("the least interval %q is not a duration such as 15s", q.Interval)
		}
		least = d
	}
	length := q.to.Sub(q.from)
	step := dq.Interval
	if step <= 0 && dq.MaxDataPoints > 0 {
		step = length / time.Duration(dq.MaxDataPoints)
	}
	q.step = max(step, least, length/maxPoints, time.Millisecond)
	if q.step > time.Second {
		q.step -= q.step % time.Second
	}
	return nil
}

func (q *Query) macros() rewrite.Macros {
	return rewrite.Macros{
		Interval: q.step, Range: q.to.Sub(q.from),
		Rate: max(q.step+q.settings.scrape, 4*q.settings.scrape),
	}
}

// aligned is the range, begun and ended at multiples of the step, so that a graph
// that is drawn again a moment later has the same points.
func (q *Query) aligned() (from, to time.Time) {
	step := int64(q.step)
	start := q.from.UnixNano()
	end := q.to.UnixNano()
	return time.Unix(0, start-start%step), time.Unix(0, end-end%step)
}

func clamp(n, otherwise, limit int) int {
	if n <= 0 {
		return otherwise
	}
	return min(n, limit)
}

// run asks what a query asks.
func (d *Datasource) run(ctx context.Context, q *Query) (data.Frames, error) {
	if q.by.alert && q.Type != typeMetrics && q.Type != typeLogs && q.Type != typeTraces {
		return nil, invalidf("an alert rule cannot ask for %s: use metrics, or numbers computed from logs or traces", q.Type)
	}
	switch q.Type {
	case typeLogs:
		return d.logs(ctx, q)
	case typeTraces:
		return d.traces(ctx, q)
	case typeAnnotations:
		return d.annotations(ctx, q)
	case typeIncidents:
		return d.incidents(ctx, q)
	case typeOnCall:
		return d.onCall(ctx, q)
	case typeSLO:
		return d.objectives(ctx, q)
	case typeCardinality:
		return d.cardinality(ctx, q)
	case typePatterns:
		return d.patterns(ctx, q)
	case typeServiceMap:
		return d.serviceMap(ctx, q)
	default:
		return d.metrics(ctx, q)
	}
}

var errNoExpr = invalidf("the query has no expression")
