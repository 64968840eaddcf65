package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/internal/config"
)

func TestTheExampleIsValid(t *testing.T) {
	path := filepath.Join("..", "..", "..", "..", "docs", "belfry.example.yaml")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	example, err := ParseConfig(path, content)
	require.NoError(t, err)

	// Where the example says "the defaults", they are.
	want := DefaultConfig()
	require.Equal(t, want.Server, example.Server)
	require.Equal(t, want.Telemetry, example.Telemetry)
	require.Equal(t, want.Metrics, example.Metrics)
	require.Equal(t, want.Logs, example.Logs)
	require.Equal(t, want.Traces, example.Traces)
	require.Equal(t, want.Notify, example.Notify)
}

func TestAnEmptyFileIsValid(t *testing.T) {
	c, err := ParseConfig("belfry.yaml", nil)
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:4321", c.externalURL().String())
}

func TestFaultsOfAllSectionsAreReportedAtOnce(t *testing.T) {
	const text = `server: {address: nowhere}
external_url: belfry
metrics:
  retention: {time: 1h}
logz: {}
collector:
  receivers:
    otlp:
      protocols:
        grpc: {endpoit: 1}
scrape_configs:
  - job_name: x
    nonsense: 1
alertmanager:
  route: {receiver: missing}
  receivers: [{name: other}]
oncall:
  people: [{id: ada, methods: [{type: pigeon}]}]
escalation:
  policies:
    - name: main
      steps: [{people: [bob]}]
`
	_, err := ParseConfig("b.yaml", []byte(text))
	var faults config.Faults
	require.ErrorAs(t, err, &faults)
	for _, want := range []string{
		"b.yaml:1: server.address: ",
		"b.yaml:2: external_url: ",
		"b.yaml:4: metrics.retention.time: ",
		`b.yaml:5: logz: unknown key (did you mean "logs"?)`,
		"b.yaml:10: collector.receivers.otlp.protocols.grpc",
		"scrape_configs: ",
		"missing",
		"oncall.people[0].methods[0]",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestAddressesBeyondLoopbackWantTLSOrASayAloud(t *testing.T) {
	c, err := ParseConfig("b.yaml", []byte(`
server: {address: "0.0.0.0:4321"}
collector: {receivers: {otlp: {protocols: {grpc: {endpoint: "0.0.0.0:4317"}}}}}
`))
	require.NoError(t, err)
	_, err = guardAddresses(c, false)
	require.ErrorContains(t, err, "server.address: 0.0.0.0:4321 can be reached")
	require.ErrorContains(t, err, "0.0.0.0:4317 can be reached")
	exposed, err := guardAddresses(c, true)
	require.NoError(t, err)
	require.Len(t, exposed, 2)
	exposed, err = guardAddresses(DefaultConfig(), false)
	require.NoError(t, err)
	require.Empty(t, exposed)
}

func TestADataFolderHasOneProcess(t *testing.T) {
	dir := t.TempDir()
	first, err := lockDir(dir)
	require.NoError(t, err)
	_, err = lockDir(dir)
	require.ErrorContains(t, err, "in use")
	require.NoError(t, first.Close())
	second, err := lockDir(dir)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

func TestRetentionRulesAreCheckedWithTheirPlaces(t *testing.T) {
	_, err := ParseConfig("b.yaml", []byte("logs:\n  retention:\n    rules:\n"+
		"      - {selector: '{a=\"b\"}', time: 1d}\n      - {selector: '{a=\"b\"} | json', time: 1d}\n"))
	var faults config.Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults, 1)
	require.Contains(t, faults[0].String(), "b.yaml:5: logs.retention.rules[1].selector: only line filters")
}
