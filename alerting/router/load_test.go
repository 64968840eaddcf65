package router

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"belfry/internal/config"
)

// section decodes the alertmanager: value of a whole file, as the application
// does.
func section(t *testing.T, content string) yaml.Node {
	t.Helper()
	var f struct {
		Alertmanager yaml.Node `yaml:"alertmanager"`
		Other        yaml.Node `yaml:"other"`
		Last         yaml.Node `yaml:"last"`
	}
	require.NoError(t, config.Decode("belfry.yaml", []byte(content), &f))
	return f.Alertmanager
}

func TestLoadSection(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "belfry.yaml")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.tmpl"), []byte(`{{ define "x" }}y{{ end }}`), 0o600))
	content := `
other: {x: y}
alertmanager:
  # receivers below
  route:
    receiver: hook

  templates: [a.tmpl]
  receivers:
    - name: hook
      webhook_configs:
        - url_file: secret/url
          http_config:
            authorization: {credentials_file: token}
last: 1
`
	c, err := Load(name, []byte(content), section(t, content))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "a.tmpl")}, c.Templates)
	require.Equal(t, filepath.Join(dir, "token"), c.Receivers[0].WebhookConfigs[0].HTTPConfig.Authorization.CredentialsFile)

	flow := `alertmanager: {route: {receiver: x}, receivers: [{name: x}]}`
	c, err = Load(name, []byte(flow), section(t, flow))
	require.NoError(t, err)
	require.Equal(t, "x", c.Route.Receiver)

	for _, none := range []string{"", "other: 1", "alertmanager:\nother: 2"} {
		c, err = Load(name, []byte(none), section(t, none))
		require.NoError(t, err)
		require.Equal(t, DefaultReceiver, c.Route.Receiver)
	}
}

func TestLoadFaults(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"all type errors, each with its line": {
			"other: 1\nalertmanager:\n  rout: {}\n  receivers:\n    - name: a\n      webhook: 3\n  route:\n    receiver: a\n",
			[]string{
				"belfry.yaml:3: alertmanager: field rout not found",
				"belfry.yaml:6: alertmanager: field webhook not found",
			},
		},
		"a receiver that is not there": {
			"alertmanager:\n  route: {receiver: nobody}\n  receivers: [{name: a}]\n",
			[]string{`belfry.yaml: alertmanager: undefined receiver "nobody" used in route`},
		},
		"no route": {"alertmanager:\n  receivers: []\n", []string{"belfry.yaml: alertmanager: no routes provided"}},
		"flow style has the section's line": {
			"\nalertmanager: {route: {receiver: a}, receivers: [{name: a, slack: 1}]}\n",
			[]string{"belfry.yaml:2: alertmanager: field slack not found"},
		},
		"a template that does not parse": {
			"alertmanager:\n  route: {receiver: a}\n  receivers: [{name: a}]\n  templates: [testdata/broken.tmpl]\n",
			[]string{"belfry.yaml: alertmanager.templates: template: broken.tmpl:1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load("belfry.yaml", []byte(c.content), section(t, c.content))
			var faults config.Faults
			require.ErrorAs(t, err, &faults)
			require.Len(t, faults, len(c.want), "%v", faults)
			for i, want := range c.want {
				require.Contains(t, faults[i].String(), want)
			}
		})
	}
	_, err := LoadFile(filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorAs(t, err, &config.Faults{})
}
