package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"belfry/internal/config"
)

func testLanguages() map[Type]Language {
	return map[Type]Language{
		Metrics: PromQL(parser.NewParser(parser.Options{}), nil, nil),
		Logs:    &fakeLanguage{name: "logql"},
		Traces:  &fakeLanguage{name: "traceql"},
	}
}

func TestParse(t *testing.T) {
	f, err := Parse("r.yaml", []byte(`
groups:
  - name: g
    interval: 30s
    query_offset: 1m
    limit: 5
    labels: {team: a}
    type: logs
    rules:
      - alert: A
        expr: 'count_over_time({} |= "x" [5m]) > 0'
        for: 5m
        keep_firing_for: 10m
        recover: 'absent_over_time({} |= "x" [5m])'
        labels: {severity: page}
        annotations: {summary: "{{ $labels.app }}"}
      - record: 'm:sum'
        type: metrics
        expr: sum(m)
`), testLanguages())
	require.NoError(t, err)
	g := f.Groups[0]
	require.Equal(t, model.Duration(30*time.Second), g.Interval)
	require.Equal(t, model.Duration(time.Minute), *g.QueryOffset)
	require.Equal(t, Logs, g.Rules[0].typeIn(&g))
	require.Equal(t, Metrics, g.Rules[1].typeIn(&g))

	for _, empty := range []string{"", "groups:", "groups: []", "# nothing"} {
		f, err := Parse("r.yaml", []byte(empty), testLanguages())
		require.NoError(t, err)
		require.Empty(t, f.Groups)
	}
}

// Each case is a rule file, and every fault that must be reported, in order.
func TestParseFaults(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"not YAML": {"groups: [", "r.yaml:1: did not find expected node content"},
		"unknown keys on three levels": {`
group: []
groups:
  - name: g
    typ: logs
    rules:
      - alert: A
        expr: up
        fro: 5m
`, `
r.yaml:2: group: unknown key (did you mean "groups"?)
r.yaml:5: groups[0].typ: unknown key (did you mean "type"?)
r.yaml:9: groups[0].rules[0].fro: unknown key (did you mean "for"?)`},
		"everything at once": {`
groups:
  - name: ""
    limit: -1
    labels: {__name__: x}
    rules:
      - alert: A
        record: b
        expr: up
      - expr: up
      - alert: NoExpr
      - alert: BadPromQL
        expr: sum by (
      - alert: Matrix
        expr: up[5m]
      - record: bad{name}
        expr: up
        for: 5m
        keep_firing_for: 1m
        annotations: {a: b}
      - alert: BadTemplate
        expr: up
        annotations:
          summary: "{{ $labels.x "
      - alert: BadLabel
        expr: up
        labels: {__name__: x}
  - name: g
    rules: []
  - name: g
    rules: []
`, `
r.yaml:3: groups[0].name: must not be empty
r.yaml:4: groups[0].limit: must not be negative
r.yaml:5: groups[0].labels: "__name__" is not a label name
r.yaml:8: groups[0].rules[0] (A): only one of 'record' and 'alert' must be set
r.yaml:10: groups[0].rules[1]: one of 'record' or 'alert' must be set
r.yaml:11: groups[0].rules[2] (NoExpr): field 'expr' must be set in rule
r.yaml:13: groups[0].rules[3] (BadPromQL): could not parse expression: 1:9: parse error: unclosed left parenthesis
r.yaml:15: groups[0].rules[4] (Matrix): could not parse expression: the expression is a range vector; a rule needs an instant vector or a scalar
r.yaml:16: groups[0].rules[5] (bad{name}): invalid field 'annotations' in recording rule
r.yaml:16: groups[0].rules[5] (bad{name}): invalid field 'for' in recording rule
r.yaml:16: groups[0].rules[5] (bad{name}): invalid field 'keep_firing_for' in recording rule
r.yaml:16: groups[0].rules[5] (bad{name}): braces present in the recording rule name; should it be in expr?: bad{name}
r.yaml:21: groups[0].rules[6] (BadTemplate): annotation "summary": template: __alert_BadTemplate:1: unclosed action
r.yaml:25: groups[0].rules[7] (BadLabel): invalid label name: __name__
r.yaml:30: groups[2].name: "g" is the name of an earlier group of this file`},
		"types and their languages": {`
groups:
  - name: g
    type: profiles
    rules: [{alert: A, expr: up}]
  - name: h
    rules:
      - {alert: A, type: log, expr: up}
      - {alert: B, type: logs, expr: "a !! b"}
      - {alert: C, type: traces, expr: "ok", recover: "c !! d"}
      - {alert: D, expr: "{} |= \"x\""}
`, `
r.yaml:4: groups[0].type: "profiles" is not a type: want metrics, logs or traces
r.yaml:8: groups[1].rules[0] (A).type: "log" is not a type: want metrics, logs or traces
r.yaml:9: groups[1].rules[1] (B): could not parse expression: logql: unexpected !!
r.yaml:10: groups[1].rules[2] (C).recover: could not parse expression: traceql: unexpected !!
r.yaml:11: groups[1].rules[3] (D): could not parse expression: 1:4: parse error: unexpected character: '|'`},
		"one text, two languages": {`
groups:
  - name: g
    rules:
      - {alert: A, expr: vector(1)}
      - {alert: B, expr: vector(1), type: logs}
`, `r.yaml:6: groups[0].rules[1].expr: the same text is an expression on metrics earlier in this group; put them in different groups`},
		"recover": {`
groups:
  - name: g
    labels: {t: "{{ $value }}"}
    rules:
      - {record: r, expr: up, recover: up}
      - alert: A
        expr: up
        labels: {l: "{{ $labels.x }}"}
        recover: up
`, `
r.yaml:6: groups[0].rules[0] (r).recover: only alerting rules recover
r.yaml:6: groups[0].rules[0] (r).recover: cannot be combined with a template in label "t"
r.yaml:10: groups[0].rules[1] (A).recover: cannot be combined with a template in label "t"
r.yaml:10: groups[0].rules[1] (A).recover: cannot be combined with a template in label "l"`},
		"two documents":    {"groups: []\n---\ngroups: []", "r.yaml: only one YAML document is allowed in a file"},
		"negative for":     {"groups: [{name: g, rules: [{alert: A, expr: up, for: -5m}]}]", `r.yaml:1: groups[0].rules[0].for: not a valid duration string: "-5m"`},
		"a rule not a map": {"groups: [{name: g, rules: [up]}]", `r.yaml:1: groups[0].rules[0]: want a mapping, got "up"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("r.yaml", []byte(c.file), testLanguages())
			var faults config.Faults
			require.ErrorAs(t, err, &faults)
			want := strings.Split(strings.TrimSpace(c.want), "\n")
			got := strings.Split(faults.Error(), "\n")
			require.Len(t, got, len(want), faults.Error())
			for i := range want {
				require.True(t, strings.HasPrefix(got[i], want[i]), "want prefix %s\ngot %s", want[i], got[i])
			}
		})
	}
}

func TestCheckReportsEveryFile(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"a.yaml": "x: 1", "b.yaml": "groups: []", "c.yaml": "groups: [{name: g, rules: [{alert: A, expr: ')'}]}]"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	err := Check([]string{filepath.Join(dir, "*.yaml")}, testLanguages())
	require.ErrorContains(t, err, "a.yaml:1: x: unknown key")
	require.ErrorContains(t, err, "c.yaml:1: groups[0].rules[0] (A): could not parse expression")
	require.ErrorContains(t, Check([]string{filepath.Join(dir, "none.yaml")}, testLanguages()), "no such file")
	require.NoError(t, Check([]string{filepath.Join(dir, "n*.yml"), filepath.Join(dir, "b.yaml")}, testLanguages()))
	require.Error(t, Check([]string{"["}, testLanguages()))
	require.Equal(t, []string{"/etc/x/a.yaml", "/b.yaml"}, Resolve("/etc/x", []string{"a.yaml", "/b.yaml"}))
}

func TestConfigValidate(t *testing.T) {
	c := DefaultConfig()
	require.NoError(t, c.Validate())
	c = Config{Files: []string{"[", ""}, ResendDelay: -1, ExternalLabels: map[string]string{"__name__": "\xff"}}
	err := c.Validate()
	for _, want := range []string{"files[0]: ", "files[1]: ", "evaluation_interval: must be positive", "resend_delay: ", "external_labels: "} {
		require.ErrorContains(t, err, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(threeSignals))
	f.Add([]byte("groups: [{name: g, rules: [&a {alert: A, expr: up}, *a]}]"))
	f.Add([]byte("groups: [{name: g, labels: {a: b}, rules: [{record: A, expr: 'up[5m]', recover: x}]}]"))
	languages := testLanguages()
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := Parse("r.yaml", content, languages)
		if err == nil {
			l := &loader{files: map[string]*File{"r.yaml": file}, parser: parser.NewParser(parser.Options{})}
			_, errs := l.Load("r.yaml", false, model.UTF8Validation)
			require.Empty(t, errs)
			_, err := l.specs()
			require.NoError(t, err, "what was checked loads")
		}
	})
}

func FuzzParseState(f *testing.F) {
	header, err := stateLine(stateHeader{Format: stateFormat, Version: stateVersion, At: time.Unix(1, 0)})
	require.NoError(f, err)
	group, err := stateLine(savedGroup{File: "f", Name: "g", Rules: []savedRule{{Name: "A", Alerts: []savedAlert{{State: "firing"}}}}})
	require.NoError(f, err)
	f.Add(append(header, group...))
	f.Fuzz(func(_ *testing.T, content []byte) {
		_, _ = parseState(content, func(int, error) {}) // must not panic
	})
}
