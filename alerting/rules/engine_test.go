package rules

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	promrules "github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"belfry/internal/state"
	"belfry/internal/tenant"
)

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

// bench is one data folder that outlives engines: a real metrics store, two
// languages whose answers a test sets, and a sender that records.
type bench struct {
	t      *testing.T
	dir    string
	config Config
	db     *tsdb.DB
	engine *Engine
	logs   *fakeLanguage
	traces *fakeLanguage
	state  *state.DB // of groups by API, where set

	meeting *meeting // in place of traces, where set

	mu   sync.Mutex
	sent []*alert.Alert
}

func newBench(t *testing.T, rules string) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), logs: &fakeLanguage{name: "logql"}, traces: &fakeLanguage{name: "traceql"}}
	b.config = DefaultConfig()
	b.config.EvaluationInterval = model.Duration(10 * time.Second)
	b.config.RestartGrace = model.Duration(30 * time.Second)
	// A group's evaluation times follow from its file's name, which must
	// therefore not change from run to run.
	t.Chdir(b.dir)
	b.config.Files = []string{"*.yaml"}
	b.write("rules.yaml", rules)
	db, err := tsdb.Open(filepath.Join(b.dir, "tsdb"), promslog.NewNopLogger(), nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	db.DisableCompactions()
	b.db = db
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return b
}

func (b *bench) write(name, content string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o600))
}

func (b *bench) start() {
	b.t.Helper()
	p := parser.NewParser(parser.Options{EnableExperimentalFunctions: true})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: p})
	languages := map[Type]Language{Metrics: PromQL(p, engine, b.db), Logs: b.logs, Traces: b.traces}
	if b.meeting != nil {
		languages[Traces] = b.meeting
	}
	e, err := New(Options{
		Config: b.config, Languages: languages,
		Appendable: b.db, Queryable: b.db, Sender: b,
		ExternalURL: &url.URL{Scheme: "http", Host: "belfry.test"},
		DB:          b.state,
		Dir:         filepath.Join(b.dir, "state"),
		Logger:      slog.New(slog.NewTextHandler(b.t.Output(), nil)),
	})
	require.NoError(b.t, err)
	require.NoError(b.t, e.Start(context.Background()))
	b.engine = e
	b.t.Cleanup(func() { require.NoError(b.t, e.Shutdown(context.Background())) })
}

func (b *bench) stop() {
	b.t.Helper()
	require.NoError(b.t, b.engine.Shutdown(context.Background()))
}

// Send records alerts.
func (b *bench) Send(ctx context.Context, alerts ...*alert.Alert) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id := tenant.ID(ctx); id != tenant.Default {
		return fmt.Errorf("tenant %q", id)
	}
	b.sent = append(b.sent, alerts...)
	return nil
}

// last returns the newest alert that was sent under a name, nil where none was.
func (b *bench) last(name string) *alert.Alert {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range slices.Backward(b.sent) {
		if a.Name() == name {
			return a
		}
	}
	return nil
}

func (b *bench) hasSent(labels model.LabelSet) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.sent, func(a *alert.Alert) bool { return a.Labels.Equal(labels) })
}

func (b *bench) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = nil
}

// states returns the states of the active alerts of rules of a name, sorted.
func (b *bench) states(name string) []string {
	out := []string{}
	for _, r := range b.engine.AlertingRules() {
		if r.Name() == name {
			for _, a := range r.ActiveAlerts() {
				out = append(out, a.State.String())
			}
		}
	}
	slices.Sort(out)
	return out
}

func (b *bench) put(name string, value float64) {
	b.t.Helper()
	app := b.db.Appender(context.Background())
	_, err := app.Append(0, labels.FromStrings("__name__", name, "job", "shop"), timestamp.FromTime(time.Now()), value)
	require.NoError(b.t, err)
	require.NoError(b.t, app.Commit())
}

func (b *bench) value(query string) promql.Vector {
	b.t.Helper()
	vec, err := b.engine.opts.Languages[Metrics].Query(context.Background(), query, time.Now())
	require.NoError(b.t, err)
	return vec
}

// fakeLanguage answers each expression with what a test set for it.
type fakeLanguage struct {
	name    string
	mu      sync.Mutex
	answers map[string]promql.Vector
	err     error
}

func (l *fakeLanguage) Validate(expr string) error {
	if strings.Contains(expr, "!!") {
		return fmt.Errorf("%s: unexpected !!", l.name)
	}
	return nil
}

func (l *fakeLanguage) Query(_ context.Context, expr string, _ time.Time) (promql.Vector, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	return slices.Clone(l.answers[expr]), nil
}

func (l *fakeLanguage) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *fakeLanguage) answer(expr string, vec ...promql.Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answers == nil {
		l.answers = map[string]promql.Vector{}
	}
	l.answers[expr] = vec
}

func sample(v float64, ls ...string) promql.Sample {
	return promql.Sample{Metric: labels.FromStrings(ls...), F: v}
}

const threeSignals = `
groups:
  - name: metrics
    rules:
      - record: job:errors:sum
        expr: sum by (job) (errors)
      - alert: ManyErrors
        expr: job:errors:sum > 10
        labels: {severity: page}
        annotations: {summary: '{{ $labels.job }} has {{ $value }} errors, up {{ query "up" | len }}'}
  - name: logs
    type: logs
    rules:
      - alert: Panics
        expr: sum by (service_name) (count_over_time({} |= "panic" [5m])) > 0
        annotations: {summary: '{{ $labels.service_name }} panicked {{ $value }} times'}
      - record: service:panics:count
        expr: sum(count_over_time({} |= "panic" [5m]))
      - alert: AlsoMetrics
        type: metrics
        expr: errors > 100
  - name: traces
    type: traces
    rules:
      - alert: SlowCheckout
        expr: '{ name = "checkout" } | quantile_over_time(duration, .99) > 2s'
`

func TestThreeSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, threeSignals)
		b.logs.answer(`sum by (service_name) (count_over_time({} |= "panic" [5m])) > 0`, sample(3, "service_name", "cart"))
		b.logs.answer(`sum(count_over_time({} |= "panic" [5m]))`, sample(7))
		b.traces.answer(`{ name = "checkout" } | quantile_over_time(duration, .99) > 2s`, sample(2.5, "service_name", "web"))
		b.start()
		b.put("errors", 50)
		pass(21 * time.Second)

		m := b.last("ManyErrors")
		require.NotNil(t, m)
		require.Equal(t, model.LabelSet{"alertname": "ManyErrors", "job": "shop", "severity": "page"}, m.Labels)
		require.Equal(t, "shop has 50 errors, up 0", string(m.Annotations["summary"]))
		require.Equal(t, "50", string(m.Annotations[ValueAnnotation]))
		require.False(t, m.Resolved())
		require.Equal(t, "http://belfry.test/graph?g0.expr=job%3Aerrors%3Asum+%3E+10&g0.tab=1", m.GeneratorURL)

		l := b.last("Panics")
		require.NotNil(t, l)
		require.Equal(t, model.LabelSet{"alertname": "Panics", "service_name": "cart"}, l.Labels)
		require.Equal(t, "cart panicked 3 times", string(l.Annotations["summary"]))
		require.True(t, strings.HasPrefix(l.GeneratorURL, "http://belfry.test/logs?q=sum+by"))
		require.NotNil(t, b.last("SlowCheckout"))
		require.Nil(t, b.last("AlsoMetrics"), "50 errors are not over 100")

		rec := b.value("service:panics:count")
		require.Len(t, rec, 1)
		require.InDelta(t, 7, rec[0].F, 0)
		pass(10 * time.Second) // without a state file, series are written after Prometheus' restore
		require.Len(t, b.value(`ALERTS{alertname="Panics",alertstate="firing"}`), 1)

		got := map[string]Type{}
		for _, g := range b.engine.RuleGroups() {
			for _, r := range g.Rules() {
				got[r.Name()+" "+r.Query().String()] = b.engine.TypeOf(g, r)
				require.NoError(t, r.LastError())
				require.Equal(t, promrules.HealthGood, r.Health())
			}
		}
		require.Equal(t, map[string]Type{
			"job:errors:sum sum by (job) (errors)":                                        Metrics,
			"ManyErrors job:errors:sum > 10":                                              Metrics,
			`Panics sum by (service_name) (count_over_time({} |= "panic" [5m])) > 0`:      Logs,
			`service:panics:count sum(count_over_time({} |= "panic" [5m]))`:               Logs,
			"AlsoMetrics errors > 100":                                                    Metrics,
			`SlowCheckout { name = "checkout" } | quantile_over_time(duration, .99) > 2s`: Traces,
		}, got)

		require.Len(t, b.engine.List(""), 3)
		traces := b.engine.List(Traces)
		require.Len(t, traces, 1)
		require.Equal(t, "SlowCheckout", traces[0].Rules[0].Name)
		require.Equal(t, "firing", traces[0].Rules[0].State)
		answer := httptest.NewRecorder()
		b.engine.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/?type=logs", nil))
		require.Contains(t, answer.Body.String(), `"type":"logs","name":"Panics"`)
		require.NotContains(t, answer.Body.String(), "AlsoMetrics")
		answer = httptest.NewRecorder()
		b.engine.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/?type=profiles", nil))
		require.Equal(t, http.StatusBadRequest, answer.Code)

		b.logs.answer(`sum by (service_name) (count_over_time({} |= "panic" [5m])) > 0`)
		pass(11 * time.Second)
		require.True(t, b.last("Panics").Resolved())
		b.stop()
	})
}

func TestForSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const expr = `count({})`
		b := newBench(t, "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'count({})', for: 2m}]}]")
		b.logs.answer(expr, sample(1, "app", "x"))
		b.start()
		pass(75 * time.Second)
		require.Equal(t, []string{"pending"}, b.states("A"))
		b.stop()
		pass(5 * time.Second)
		b.start()
		require.Equal(t, []string{"pending"}, b.states("A"), "known before the first evaluation")
		pass(30 * time.Second)
		require.Equal(t, []string{"pending"}, b.states("A"))
		pass(30 * time.Second) // 2m20s since the condition began, one evaluation late at most
		require.Equal(t, []string{"firing"}, b.states("A"))

		// A long downtime stops the clock; one over the tolerance resets it.
		b.logs.answer(expr, sample(1, "app", "y"))
		pass(100 * time.Second)
		b.stop()
		pass(30 * time.Minute)
		b.start()
		pass(11 * time.Second)
		require.Contains(t, b.states("A"), "pending")
		pass(40 * time.Second)
		require.Equal(t, []string{"firing"}, b.states("A"))
		b.stop()
	})
}

func TestPendingForgottenAfterTolerance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'count({})', for: 2m}]}]")
		b.logs.answer(`count({})`, sample(1, "app", "x"))
		b.start()
		pass(115 * time.Second)
		b.stop()
		pass(2 * time.Hour)
		b.start()
		pass(115 * time.Second)
		require.Equal(t, []string{"pending"}, b.states("A"))
		b.stop()
	})
}

func TestKeepFiringForSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'count({})', keep_firing_for: 5m, labels: {severity: page}, annotations: {v: '{{ $value }}'}}]}]")
		b.logs.answer(`count({})`, sample(4, "app", "x"))
		b.start()
		pass(21 * time.Second)
		require.Equal(t, []string{"firing"}, b.states("A"))
		started := b.last("A").StartsAt
		b.logs.answer(`count({})`)
		pass(2 * time.Minute)
		require.Equal(t, []string{"firing"}, b.states("A"))
		b.stop()
		b.forget()

		b.start()
		synctest.Wait()
		again := b.last("A")
		require.NotNil(t, again, "the router hears of it before the first evaluation")
		require.Equal(t, model.LabelSet{"alertname": "A", "app": "x", "severity": "page"}, again.Labels)
		require.Equal(t, model.LabelSet{"v": "4", "value": "4"}, again.Annotations)
		require.True(t, again.StartsAt.Equal(started))
		require.False(t, again.Resolved())
		pass(150 * time.Second)
		require.Equal(t, []string{"firing"}, b.states("A"))
		pass(50 * time.Second) // over 5m since the expression was last true
		require.Empty(t, b.states("A"))
		require.True(t, b.last("A").Resolved())
		b.stop()
	})
}

func TestRestartGraceHoldsUntilDataIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'count({})'}]}]")
		b.logs.answer(`count({})`, sample(4, "app", "x"), sample(5, "app", "y"))
		b.start()
		pass(11 * time.Second)
		b.stop()
		b.logs.answer(`count({})`)
		b.start()
		pass(15 * time.Second)
		require.Equal(t, []string{"firing", "firing"}, b.states("A"), "no data yet")
		b.logs.answer(`count({})`, sample(6, "app", "x"))
		pass(10 * time.Second)
		require.Equal(t, []string{"firing", "firing"}, b.states("A"), "data of one is back")
		pass(20 * time.Second)
		require.Equal(t, []string{"firing"}, b.states("A"), "the other's grace is over")
		b.logs.answer(`count({})`)
		pass(11 * time.Second)
		require.Empty(t, b.states("A"))
		b.stop()
	})
}

func TestCrashLosesNoState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'count({})', for: 1m}]}]")
		b.logs.answer(`count({})`, sample(4, "app", "x"))
		b.start()
		pass(90 * time.Second)
		require.Equal(t, []string{"firing"}, b.states("A"))
		crashed, err := os.ReadFile(filepath.Join(b.dir, "state", stateFileName))
		require.NoError(t, err)
		b.stop()
		b.write("state/"+stateFileName, string(crashed)) // as a kill would have left it
		b.start()
		require.Equal(t, []string{"firing"}, b.states("A"))
		b.stop()
	})
}

func TestDamagedStateFallsBackToSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'count({})', for: 30m}]}]")
		b.logs.answer(`count({})`, sample(4, "app", "x"))
		b.start()
		pass(15 * time.Minute)
		b.stop()
		b.write("state/"+stateFileName, "nonsense")
		b.start()
		pass(13 * time.Minute)
		require.Equal(t, []string{"pending"}, b.states("A"))
		pass(3 * time.Minute)
		require.Equal(t, []string{"firing"}, b.states("A"))
		b.stop()
	})
}

func TestRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "groups: [{name: g, rules: [{alert: Hot, expr: 'temp > 90', recover: 'temp < 70', labels: {severity: page}}]}]")
		b.start()
		feed := func(v float64) {
			for range 2 {
				b.put("temp", v)
				pass(10 * time.Second)
			}
		}
		feed(80)
		require.Empty(t, b.states("Hot"), "between the thresholds on the way up")
		feed(95)
		require.Equal(t, []string{"firing"}, b.states("Hot"))
		feed(80)
		require.Equal(t, []string{"firing"}, b.states("Hot"), "between the thresholds on the way down")
		b.stop()
		b.start()
		feed(80)
		feed(80)
		feed(80)
		require.Equal(t, []string{"firing"}, b.states("Hot"), "after a restart too")
		feed(60)
		require.Empty(t, b.states("Hot"))
		require.True(t, b.last("Hot").Resolved())

		feed(95)
		feed(80)
		require.Equal(t, []string{"firing"}, b.states("Hot"))
		pass(6 * time.Minute) // over the lookback
		require.Empty(t, b.states("Hot"), "what is gone altogether does not fire forever")
		b.stop()
	})
}

func TestFailingRuleKeepsItsAlertsAndRaisesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'count({})'}, {alert: Fine, type: metrics, expr: 'up'}]}]")
		b.logs.answer(`count({})`, sample(4, "app", "x"))
		b.start()
		pass(11 * time.Second)
		require.Nil(t, b.last(GroupFailing))
		b.logs.fail(errors.New("scanned over the limit"))
		pass(21 * time.Second)
		r := b.engine.AlertingRules()[0]
		require.Equal(t, promrules.HealthBad, r.Health())
		require.ErrorContains(t, r.LastError(), "scanned over the limit")
		require.Nil(t, b.last(GroupFailing), "two failures may be an accident")

		pass(20 * time.Minute)
		require.False(t, b.last("A").Resolved(), "not being able to look is not a recovery")
		failing := b.last(GroupFailing)
		require.NotNil(t, failing)
		require.False(t, failing.Resolved())
		require.Equal(t, model.LabelSet{
			"alertname": GroupFailing, "rule_group": "g", "rule_file": "rules.yaml",
		}, failing.Labels)
		require.Equal(t, `1 of 2 rules of group "g" cannot be evaluated: rule "A": scanned over the limit`, string(failing.Annotations["summary"]))

		b.stop()
		b.forget()
		b.logs.fail(nil)
		b.start()
		pass(11 * time.Second)
		require.True(t, b.last(GroupFailing).Resolved(), "although the engine that raised it is gone")
		require.False(t, b.last("A").Resolved())
		b.stop()
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'one', for: 1m}]}]")
		b.logs.answer("one", sample(1, "app", "x"))
		b.traces.answer("one", sample(1, "svc", "y"))
		b.start()
		pass(45 * time.Second)
		require.Equal(t, []string{"pending"}, b.states("A"))

		b.write("broken.yaml", "groups: [{name: h, rules: [{alert: B, expr: 'sum('}]}]")
		require.ErrorContains(t, b.engine.Reload(b.config), "broken.yaml:1: groups[0].rules[0] (B)")
		pass(30 * time.Second)
		require.Equal(t, []string{"firing"}, b.states("A"), "the running set went on")

		require.NoError(t, os.Remove(filepath.Join(b.dir, "broken.yaml")))
		b.write("rules.yaml", "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'one', for: 1m, annotations: {new: 'yes'}}, {alert: C, expr: one, labels: {c: c}}]}]")
		require.NoError(t, b.engine.Reload(b.config))
		require.Equal(t, []string{"firing"}, b.states("A"), "state is kept over a change of the group")
		pass(11 * time.Second)
		require.Equal(t, []string{"firing"}, b.states("C"))

		b.write("rules.yaml", "groups: [{name: g, type: traces, rules: [{alert: A, expr: 'one', for: 1m, annotations: {new: 'yes'}}, {alert: C, expr: one, labels: {c: c}}]}]")
		require.NoError(t, b.engine.Reload(b.config))
		pass(11 * time.Second)
		require.True(t, b.hasSent(model.LabelSet{"alertname": "C", "c": "c", "svc": "y"}), "only the type changed")
		b.stop()
		require.ErrorContains(t, b.engine.Reload(b.config), "shut down")
		b.stop()
	})
}

func TestTheLanguagesParserLoadsWhatItChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "groups: [{name: g, rules: [{alert: A, expr: 'sort_by_label(errors, \"job\") > 1'}]}]")
		b.start()
		b.put("errors", 2)
		pass(11 * time.Second)
		require.Equal(t, []string{"firing"}, b.states("A"))
		b.stop()
	})
}

// meeting is a language whose queries wait for each other.
type meeting struct {
	fakeLanguage
	here chan struct{}
}

func (m *meeting) Query(ctx context.Context, _ string, _ time.Time) (promql.Vector, error) {
	select {
	case m.here <- struct{}{}:
	case <-m.here:
	case <-time.After(5 * time.Second):
		return nil, errors.New("alone")
	}
	return promql.Vector{sample(1)}, ctx.Err()
}

func TestAlertingRulesOfAGroupRunSideBySide(t *testing.T) {
	for rules, want := range map[string]string{
		"{alert: A, expr: one}, {alert: B, expr: two}":          "",
		"{alert: A, expr: one}, {record: B, expr: two}":         "alone",
		"{alert: A, expr: one}, {alert: B, expr: 'two ALERTS'}": "alone",
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, "groups: [{name: g, type: traces, rules: ["+rules+"]}]")
			b.config.MaxConcurrentRules = 1
			b.meeting = &meeting{here: make(chan struct{})}
			b.start()
			pass(25 * time.Second)
			for _, r := range b.engine.RuleGroups()[0].Rules() {
				if want == "" {
					require.NoError(t, r.LastError())
				} else {
					require.ErrorContains(t, r.LastError(), want)
				}
			}
			b.stop()
		})
	}
}

// Everything at once, for the race detector.
func TestReloadWhileEvaluating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content := "groups: [{name: g, interval: 1s, type: logs, rules: [{alert: A, expr: one}, {alert: B, expr: two, annotations: {n: '%d'}}]}]"
		b := newBench(t, fmt.Sprintf(content, 0))
		b.logs.answer("one", sample(1, "app", "x"))
		b.logs.answer("two", sample(1, "app", "x"))
		b.start()
		for i := range 20 {
			pass(700 * time.Millisecond)
			b.write("rules.yaml", fmt.Sprintf(content, i))
			require.NoError(t, b.engine.Reload(b.config))
			for _, g := range b.engine.List("") {
				for _, r := range g.Rules {
					require.Empty(t, r.LastError)
					require.Equal(t, Logs, r.Type)
				}
			}
		}
		pass(2 * time.Second)
		require.Equal(t, []string{"firing"}, b.states("A"))
		b.stop()
	})
}

func TestStateOfRemovedGroupsIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'one'}]}, {name: h, type: logs, rules: [{alert: B, expr: 'one'}]}]")
		b.logs.answer("one", sample(1, "app", "x"))
		b.start()
		pass(11 * time.Second)
		b.write("rules.yaml", "groups: [{name: g, type: logs, rules: [{alert: A, expr: 'one'}]}]")
		require.NoError(t, b.engine.Reload(b.config))
		b.stop()
		st, err := b.engine.state.read()
		require.NoError(t, err)
		require.Equal(t, []string{promrules.GroupKey("rules.yaml", "g")}, slices.Collect(maps.Keys(st.groups)))
	})
}

func TestOperand(t *testing.T) {
	l := promQL{parser: parser.NewParser(parser.Options{})}
	for expr, want := range map[string]string{
		"a < 70": "a", "(70 > sum by (x) (rate(a[5m])))": "sum by (x) (rate(a[5m]))",
		"a < b": "", "a < bool 1": "", "a": "", "1 < bool 2": "", "a(": "", "a and b < 3": "",
	} {
		got, ok := l.Operand(expr)
		require.Equal(t, want, got, expr)
		require.Equal(t, want != "", ok, expr)
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	_, err := New(Options{})
	require.ErrorContains(t, err, "no language for metrics")
	_, err = New(Options{Languages: map[Type]Language{Metrics: &fakeLanguage{}}})
	require.ErrorContains(t, err, "required")
}
