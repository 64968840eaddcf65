package ruletest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func run(t *testing.T, o Options, files ...string) (code int, report_ string) {
	t.Helper()
	o.Virtual = func(f func()) { synctest.Test(t, func(*testing.T) { f() }) }
	var out bytes.Buffer
	code = report(&out, Run(context.Background(), files, o))
	return code, out.String()
}

func TestAllThatCanBeTested(t *testing.T) {
	code, out := run(t, Options{}, "testdata/good.yaml")
	require.Zero(t, code, out)
	require.Equal(t, "testdata/good.yaml: ok, 5 test(s)\n", out)
}

func TestAcceptance(t *testing.T) {
	code, out := run(t, Options{}, "testdata/acceptance.yaml")
	require.Zero(t, code, out)
}

func TestFailuresSayWhatCameInstead(t *testing.T) {
	code, out := run(t, Options{}, "testdata/bad.yaml")
	require.Equal(t, 1, code)
	require.Equal(t, `testdata/bad.yaml: FAILED
  alerts: alertname: Down, time: 1m
    exp:
      {alertname="Down", job="shop"} {}
    got: nothing
  alerts: alertname: Down, time: 5m
    exp: nothing
    got:
      {alertname="Down", job="shop", severity="page"} {summary=" of  is down"}
  notifications: notifications, time: 5m
    exp:
      1m oncall firing=1 resolved=0
      quiet firing=1 resolved=0
    got:
      2m30s oncall firing=1 resolved=0
  notifications: pages, time: 5m
    exp:
      person=grace page
    got:
      person=ada page
  input: input_series "up{job=\"shop\"": 1:15: parse error: unexpected "=" in label matching, expected "}"
  nobody to acknowledge to: actions at 2m: no incident is open
`, normalized(out))
	code, out = run(t, Options{Run: regexp.MustCompile("^input$")}, "testdata/bad.yaml")
	require.Equal(t, 1, code)
	require.NotContains(t, out, "alertname")
}

// normalized cuts the parser's words, which are not ours.
func normalized(out string) string {
	return regexp.MustCompile(`(input_series "up\{job=\\"shop\\"": ).*`).
		ReplaceAllString(out, `${1}1:15: parse error: unexpected "=" in label matching, expected "}"`)
}

func TestFilesWithFaults(t *testing.T) {
	for content, want := range map[string]string{
		"tests: [{nam: x}]":                                      "field nam not found",
		"tests: [{route_test: [{labels: {a: b}}]}]":              "need belfry_config or alertmanager_config",
		"evaluation_interval: 0s":                                "must be positive",
		"group_eval_order: [a, a]":                               `"a" is there twice`,
		"tests: [{alert_rule_test: [{}]}]":                       "has no alertname",
		"tests: [{start_timestamp: soon}]":                       "neither an RFC 3339 time nor Unix seconds",
		"rule_files: [none.yaml]\ntests: [{name: x}]":            "no such file",
		"alertmanager_config: x\ntests: [{actions: [{at: 1m}]}]": "need belfry_config",
	} {
		path := filepath.Join(t.TempDir(), "t.yaml")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		code, out := run(t, Options{}, path)
		require.Equal(t, 1, code, content)
		require.Contains(t, out, want)
	}
}
