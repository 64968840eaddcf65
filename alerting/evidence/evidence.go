package evidence

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"belfry/alerting/incident"
)

// Signals, as rules name them.
const (
	Metrics = "metrics"
	Logs    = "logs"
	Traces  = "traces"
)

// Series is a number over time.
type Series struct {
	Labels map[string]string `json:"labels"`
	Points []Point           `json:"points"`
}

// Point is one value.
type Point struct {
	T int64   `json:"t"` // Unix milliseconds
	V float64 `json:"v"` // finite
}

// Line is a log line.
type Line struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Ranger evaluates expressions of one signal's language over time.
type Ranger interface {
	// Range evaluates expr at from, from+step, … up to to.
	Range(ctx context.Context, tenant, expr string, from, to time.Time, step time.Duration) ([]Series, error)
	// Operand returns what expr compares with a threshold; false where it does not.
	Operand(expr string) (operand string, ok bool)
}

// LineFinder finds log lines.
type LineFinder interface {
	// Newest returns up to limit lines of [from, to], newest first.
	Newest(ctx context.Context, tenant, query string, from, to time.Time, limit int) ([]Line, error)
}

// TraceFinder finds traces.
type TraceFinder interface {
	// Example returns the ID of a trace of [from, to] that matches, "" for none.
	Example(ctx context.Context, tenant, query string, from, to time.Time) (string, error)
}

// Stores are what evidence is found in; nil parts are left out.
type Stores struct {
	Rangers map[string]Ranger // by signal
	Lines   LineFinder
	Traces  TraceFinder
}

// Evidence is what was found about an incident at a time.
type Evidence struct {
	At       time.Time `json:"at"`
	From, To time.Time // of the series and the lines

	Signal    string   `json:"signal,omitempty"`
	Expr      string   `json:"expr,omitempty"`      // of the rule
	Watched   string   `json:"watched,omitempty"`   // Expr without its threshold
	Threshold string   `json:"threshold,omitempty"` // "> 5"
	Series    []Series `json:"series,omitempty"`    // the alert's own first

	LogQuery string `json:"log_query,omitempty"`
	Lines    []Line `json:"lines,omitempty"` // newest first, redacted

	TraceQuery string `json:"trace_query,omitempty"`
	TraceID    string `json:"trace_id,omitempty"`
}

// Collector finds evidence. It is safe for concurrent use.
type Collector struct {
	stores Stores
	config Config
	redact redactor
	log    *slog.Logger
}

// New returns a collector over the stores. The configuration has been validated.
func New(c Config, stores Stores, log *slog.Logger) (*Collector, error) {
	r, err := newRedactor(c.Redact)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Collector{stores: stores, config: c, redact: r, log: log}, nil
}

// Range of a chart and its resolution.
const (
	before    = time.Hour
	chartStep = 30 * time.Second
	maxSeries = 5
	maxLine   = 500 // bytes of a log line
)

// Collect returns what the stores know at now about an incident's alerts, nil
// when that is nothing or evidence is switched off. It takes at most
// Config.Timeout.
func (c *Collector) Collect(ctx context.Context, i *incident.Incident, alerts []incident.Alert, now time.Time) *Evidence {
	if c.config.Off || len(alerts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.config.Timeout))
	defer cancel()
	alert := alerts[0] // firing ones come first
	e := &Evidence{At: now, From: now.Add(-before), To: now}
	e.Signal, e.Expr = FromGenerator(alert.GeneratorURL)
	e.Watched = e.Expr
	service := service(alert.Labels, i.Labels)
	e.LogQuery, e.TraceQuery = c.queries(e, service)
	if r := c.stores.Rangers[e.Signal]; r != nil && e.Expr != "" {
		if operand, ok := r.Operand(e.Expr); ok {
			e.Watched, e.Threshold = operand, thresholdOf(e.Expr)
		}
	}
	c.ask(ctx, i.Tenant, e, alert)
	if len(e.Series) == 0 && len(e.Lines) == 0 && e.TraceID == "" && e.Expr == "" {
		return nil
	}
	return e
}

// queries returns those for the lines and traces behind a rule: of its own
// expression where that is about them, else of its service.
func (c *Collector) queries(e *Evidence, service string) (lines, traces string) {
	if service != "" {
		lines = `{service_name=` + quote(service) + `} | detected_level=~"error|critical"`
		traces = `{ resource.service.name = ` + quote(service) + ` && status = error }`
	}
	switch e.Signal {
	case Logs:
		if q := LinesBehind(e.Expr); q != "" {
			lines = q
		}
	case Traces:
		if q := SpansBehind(e.Expr); q != "" {
			traces = q
		}
	}
	return lines, traces
}

// ask asks the stores side by side, and drops what has not answered when ctx is
// done.
func (c *Collector) ask(ctx context.Context, tenant string, e *Evidence, alert incident.Alert) {
	var wg sync.WaitGroup
	note := func(what string, err error) {
		if err != nil {
			c.log.Debug("no evidence for a message", "what", what, "error", err)
		}
	}
	if r := c.stores.Rangers[e.Signal]; r != nil && e.Watched != "" {
		wg.Go(func() {
			found, err := r.Range(ctx, tenant, e.Watched, e.From, e.To, chartStep)
			note("series", err)
			e.Series = ownFirst(found, alert.Labels)
		})
	}
	if c.stores.Lines != nil && e.LogQuery != "" && c.config.LogLines > 0 {
		wg.Go(func() {
			found, err := c.stores.Lines.Newest(ctx, tenant, e.LogQuery, e.From, e.To, c.config.LogLines)
			note("lines", err)
			for _, l := range found {
				l.Text = incident.Clip(c.redact.clean(l.Text), maxLine)
				e.Lines = append(e.Lines, l)
			}
		})
	}
	if c.stores.Traces != nil && e.TraceQuery != "" {
		wg.Go(func() {
			id, err := c.stores.Traces.Example(ctx, tenant, e.TraceQuery, e.From, e.To)
			note("trace", err)
			e.TraceID = id
		})
	}
	wg.Wait()
}

// ownFirst puts the series that the alert is about first and keeps few others.
func ownFirst(found []Series, labels map[string]string) []Series {
	mismatches := func(s Series) (n int) {
		for k, v := range s.Labels {
			if k != "__name__" && labels[k] != v {
				n++
			}
		}
		return n
	}
	slices.SortStableFunc(found, func(a, b Series) int { return mismatches(a) - mismatches(b) })
	return found[:min(len(found), maxSeries)]
}

// service returns the service that labels name.
func service(of ...map[string]string) string {
	for _, labels := range of {
		for _, name := range []string{"service_name", "service", "job"} {
			if v := labels[name]; v != "" {
				return v
			}
		}
	}
	return ""
}

// Last returns the newest value of the alert's own series.
func (e *Evidence) Last() (float64, bool) {
	if e == nil || len(e.Series) == 0 || len(e.Series[0].Points) == 0 {
		return 0, false
	}
	points := e.Series[0].Points
	return points[len(points)-1].V, true
}

// Drawable reports whether there is a picture of it.
func (e *Evidence) Drawable() bool {
	points := 0
	if e != nil {
		for _, s := range e.Series {
			points += len(s.Points)
		}
	}
	return points > 1
}

// LabelText is a series' labels for people.
func (s Series) LabelText() string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		out = append(out, k+"="+s.Labels[k])
	}
	return strings.Join(out, ", ")
}

// Queries returns those that show the evidence again.
func (e *Evidence) Queries() (out []incident.Query) {
	languages := map[string]string{Metrics: "PromQL", Logs: "LogQL", Traces: "TraceQL"}
	if e.Expr != "" {
		out = append(out, incident.Query{What: "The rule", Language: languages[e.Signal], Text: e.Expr})
	}
	if e.Watched != "" && e.Watched != e.Expr {
		out = append(out, incident.Query{What: "The chart", Language: languages[e.Signal], Text: e.Watched})
	}
	if len(e.Lines) > 0 {
		out = append(out, incident.Query{What: "The log lines", Language: "LogQL", Text: e.LogQuery})
	}
	if e.TraceID != "" {
		out = append(out, incident.Query{What: "The traces, such as " + e.TraceID, Language: "TraceQL", Text: e.TraceQuery})
	}
	return out
}
