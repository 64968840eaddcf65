package ruletest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// file is a test file: promtool's fields, then ours.
type file struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	GroupEvalOrder     []string       `yaml:"group_eval_order"`
	FuzzyCompare       bool           `yaml:"fuzzy_compare"`
	Tests              []group        `yaml:"tests"`

	// One of the two says what happens to alerts: a Belfry configuration, of which
	// only the sections about alerts count, or one of Alertmanager.
	BelfryConfig       string `yaml:"belfry_config"`
	AlertmanagerConfig string `yaml:"alertmanager_config"`
}

// group is a set of inputs and of tests on them.
type group struct {
	Name           string            `yaml:"name"`
	Interval       model.Duration    `yaml:"interval"`
	InputSeries    []series          `yaml:"input_series"`
	AlertTests     []alertTest       `yaml:"alert_rule_test"`
	PromQLTests    []exprTest        `yaml:"promql_expr_test"`
	ExternalLabels map[string]string `yaml:"external_labels"`
	ExternalURL    string            `yaml:"external_url"`
	StartTimestamp timestamp         `yaml:"start_timestamp"`

	InputLogs         []logInput         `yaml:"input_logs"`
	InputTraces       []traceInput       `yaml:"input_traces"`
	LogQLTests        []exprTest         `yaml:"logql_expr_test"`
	TraceQLTests      []exprTest         `yaml:"traceql_expr_test"`
	RouteTests        []routeTest        `yaml:"route_test"`
	NotificationTests []notificationTest `yaml:"notification_test"`
	EscalationTests   []escalationTest   `yaml:"escalation_test"`
	Actions           []action           `yaml:"actions"`
}

type series struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type alertTest struct {
	EvalTime  model.Duration  `yaml:"eval_time"`
	Alertname string          `yaml:"alertname"`
	ExpAlerts []expectedAlert `yaml:"exp_alerts"`
}

type expectedAlert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

type exprTest struct {
	Expr       string           `yaml:"expr"`
	EvalTime   model.Duration   `yaml:"eval_time"`
	ExpSamples []expectedSample `yaml:"exp_samples"`
}

type expectedSample struct {
	Labels    string  `yaml:"labels"`
	Value     float64 `yaml:"value"`
	Histogram string  `yaml:"histogram"`
}

// times says when an input happens: At, and then Times-1 times more, Every.
type times struct {
	At    model.Duration `yaml:"at"`
	Every model.Duration `yaml:"every"`
	Times int            `yaml:"times"`
}

func (t times) each(yield func(time.Duration)) {
	for i := range max(t.Times, 1) {
		yield(time.Duration(t.At) + time.Duration(i)*time.Duration(t.Every))
	}
}

type logInput struct {
	times      `yaml:",inline"`
	Service    string            `yaml:"service"` // resource attribute service.name
	Resource   map[string]string `yaml:"resource"`
	Attributes map[string]string `yaml:"attributes"`
	Severity   string            `yaml:"severity"`
	Line       string            `yaml:"line"`
}

type traceInput struct {
	times      `yaml:",inline"`
	Service    string            `yaml:"service"`
	Resource   map[string]string `yaml:"resource"`
	Attributes map[string]string `yaml:"attributes"`
	Name       string            `yaml:"name"`
	Kind       string            `yaml:"kind"` // server where empty
	Duration   model.Duration    `yaml:"duration"`
	Status     string            `yaml:"status"` // unset, ok or error
}

type routeTest struct {
	Labels       map[string]string `yaml:"labels"`
	EvalTime     model.Duration    `yaml:"eval_time"`
	ExpReceivers []string          `yaml:"exp_receivers"`
	ExpMuted     bool              `yaml:"exp_muted"` // by mute or active times, on all routes
}

type notificationTest struct {
	EvalTime         model.Duration         `yaml:"eval_time"` // sent after the one before, and up to this
	ExpNotifications []expectedNotification `yaml:"exp_notifications"`
}

type expectedNotification struct {
	At          *model.Duration   `yaml:"at"` // any where absent
	Receiver    string            `yaml:"receiver"`
	GroupLabels map[string]string `yaml:"group_labels"` // any where absent
	Firing      int               `yaml:"firing"`
	Resolved    int               `yaml:"resolved"`
}

type escalationTest struct {
	EvalTime model.Duration `yaml:"eval_time"` // sent after the one before, and up to this
	ExpPages []expectedPage `yaml:"exp_pages"`
}

type expectedPage struct {
	At       *model.Duration `yaml:"at"`
	Person   string          `yaml:"person"`
	Channel  string          `yaml:"channel"`
	Method   string          `yaml:"method"`
	Resolved bool            `yaml:"resolved"` // it says that the incident is over
	Summary  bool            `yaml:"summary"`  // it tells what a storm gathered
}

// action is something that a person does to all open incidents.
type action struct {
	At          model.Duration `yaml:"at"`
	Acknowledge string         `yaml:"acknowledge"` // by whom
	Resolve     string         `yaml:"resolve"`
	Snooze      *snooze        `yaml:"snooze"`
}

type snooze struct {
	By  string         `yaml:"by"`
	For model.Duration `yaml:"for"`
}

// timestamp is RFC 3339 or Unix seconds.
type timestamp struct{ time.Time }

// UnmarshalYAML implements yaml.Unmarshaler.
func (t *timestamp) UnmarshalYAML(n *yaml.Node) error {
	if at, err := time.Parse(time.RFC3339Nano, n.Value); err == nil {
		t.Time = at.UTC()
		return nil
	}
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil {
		return fmt.Errorf("line %d: %q is neither an RFC 3339 time nor Unix seconds", n.Line, n.Value)
	}
	t.Time = time.UnixMilli(int64(f * 1000)).UTC()
	return nil
}

// read reads a test file; paths in it are relative to its folder.
func read(path string) (*file, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := file{EvaluationInterval: model.Duration(time.Minute)}
	dec := yaml.NewDecoder(bytes.NewReader(content))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if f.EvaluationInterval <= 0 {
		return nil, fmt.Errorf("%s: evaluation_interval must be positive", path)
	}
	dir := filepath.Dir(path)
	for i, r := range f.RuleFiles {
		f.RuleFiles[i] = under(dir, r)
	}
	f.BelfryConfig, f.AlertmanagerConfig = under(dir, f.BelfryConfig), under(dir, f.AlertmanagerConfig)
	seen := map[string]bool{}
	for _, name := range f.GroupEvalOrder {
		if seen[name] {
			return nil, fmt.Errorf("%s: group_eval_order: %q is there twice", path, name)
		}
		seen[name] = true
	}
	for i := range f.Tests {
		g := &f.Tests[i]
		if g.Interval == 0 {
			g.Interval = f.EvaluationInterval
		}
		if g.Name == "" {
			g.Name = fmt.Sprintf("unnamed#%d", i)
		}
		if err := g.check(&f); err != nil {
			return nil, fmt.Errorf("%s: test %q: %w", path, g.Name, err)
		}
	}
	return &f, nil
}

func under(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func (g *group) check(f *file) error {
	for _, t := range g.AlertTests {
		if t.Alertname == "" {
			return fmt.Errorf("an alert_rule_test at eval_time %s has no alertname", t.EvalTime)
		}
	}
	if (g.routed() || len(g.RouteTests) > 0) && f.BelfryConfig == "" && f.AlertmanagerConfig == "" {
		return errors.New("tests of routes, notifications and pages need belfry_config or alertmanager_config in the file")
	}
	if len(g.EscalationTests)+len(g.Actions) > 0 && f.BelfryConfig == "" {
		return errors.New("tests of pages need belfry_config in the file")
	}
	return nil
}

// routed reports whether alerts have to go through Alertmanager.
func (g *group) routed() bool {
	return len(g.NotificationTests)+len(g.EscalationTests)+len(g.Actions) > 0
}

// end is how long the test runs.
func (g *group) end() time.Duration {
	var end model.Duration
	for _, list := range [][]exprTest{g.PromQLTests, g.LogQLTests, g.TraceQLTests} {
		for _, t := range list {
			end = max(end, t.EvalTime)
		}
	}
	for _, t := range g.AlertTests {
		end = max(end, t.EvalTime)
	}
	for _, t := range g.NotificationTests {
		end = max(end, t.EvalTime)
	}
	for _, t := range g.EscalationTests {
		end = max(end, t.EvalTime)
	}
	return time.Duration(end)
}
