package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

const dryRunConfig = `
alertmanager:
  route:
    receiver: quiet
    group_by: [alertname]
    routes: [{matchers: [severity=page], receiver: oncall}]
  receivers: [{name: quiet}, {name: oncall, webhook_configs: [{url: "http://192.0.2.1/"}]}]
maintenance:
  windows: [{name: night, matchers: ['job="batch"'], time_zone: Europe/Berlin, time_intervals: [{times: [{start_time: "02:00", end_time: "03:00"}]}]}]
oncall:
  people: [{id: ada, methods: [{type: inbox}]}, {id: grace, methods: [{type: inbox}]}]
  teams: [{id: all, members: [ada, grace]}]
  schedules: [{id: first, layers: [{name: l, rotation: daily, participants: [grace]}]}]
escalation:
  repeat: 1
  policies:
    - name: main
      receivers: [oncall]
      steps: [{schedules: [first], wait: 2m}, {severities: [critical], people: [ada]}, {teams: [all]}]
`

func TestDryRunSaysWhoWouldBeTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "belfry.yaml")
	require.NoError(t, os.WriteFile(path, []byte(dryRunConfig), 0o600))
	text := func(at string, pairs model.LabelSet) string {
		when, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		d, err := ExplainRoute(context.Background(), path, "", pairs, when)
		require.NoError(t, err)
		var b strings.Builder
		require.NoError(t, d.WriteText(&b))
		return b.String()
	}
	require.Equal(t, `alert {alertname="A", job="batch", severity="page"} at 2026-03-02T12:00:00Z
receiver oncall (group {alertname="A"}): told 30s after the group's first alert, then when the group changes (every 5m at most) or after 4h
  tells webhook[0]
  policy main, gone through 2 time(s) if nobody acknowledges:
    step 1 after 0s: grace (schedule first)
    step 2: left out, only for severity critical, and this is page
    step 3 after 2m: ada (team all), grace (team all)
`, text("2026-03-02T12:00:00Z", model.LabelSet{"alertname": "A", "job": "batch", "severity": "page"}))
	out := text("2026-03-02T01:30:00Z", model.LabelSet{"alertname": "A", "job": "batch"})
	require.Contains(t, out, "receiver quiet (group {alertname=\"A\"}): not told: maintenance window night")
	_, err := ExplainRoute(context.Background(), path, "http://192.0.2.1:bad", model.LabelSet{"a": "b"}, time.Now())
	require.Error(t, err)
}
