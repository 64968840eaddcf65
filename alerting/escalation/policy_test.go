package escalation_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/escalation"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/config"
	"belfry/internal/state/statetest"
)

const policyYAML = `
ack_timeout: 1h
repeat: 1
storm: {pages: 1001, window: 100ms}
policies:
  - name: default
    receivers: [oncall, oncall]
    routing_keys: [short, long-enough-key, long-enough-key]
    repeat: -1
    steps:
      - schedules: [primary]
        wait: 5m
      - wait: -1m
  - name: default
    receivers: [oncall, ""]
    ack_timeout: -1s
heartbeats:
  - {id: a, policy: nope, interval: 0s, grace: -1s}
  - {id: a, policy: default, interval: 1h}
`

func TestPolicyFaultsAreReportedTogetherWithTheirLines(t *testing.T) {
	file := struct {
		Escalation escalation.Config `yaml:"escalation"`
	}{escalation.DefaultConfig()}
	err := config.Decode("belfry.yaml", []byte("escalation:"+indent(policyYAML)), &file)
	require.Error(t, err)
	require.Equal(t, `belfry.yaml:4: escalation.storm.pages: must be between 0 and 1000
belfry.yaml:4: escalation.storm.window: must be between 1s and 10m
belfry.yaml:7: escalation.policies[0].receivers[1]: "oncall" is bound to policy "default" already
belfry.yaml:8: escalation.policies[0].routing_keys[0]: must have at least 8 characters
belfry.yaml:8: escalation.policies[0].routing_keys[2]: is bound to policy "default" already
belfry.yaml:9: escalation.policies[0].repeat: must be between 0 and 100
belfry.yaml:13: escalation.policies[0].steps[1].wait: not a valid duration string: "-1m"
belfry.yaml:13: escalation.policies[0].steps[1]: tells nobody: name schedules, people, teams, channels or webhooks
belfry.yaml:14: escalation.policies[1].steps: a policy needs at least one step
belfry.yaml:14: escalation.policies[1].name: "default" is there twice
belfry.yaml:15: escalation.policies[1].receivers[1]: is empty
belfry.yaml:15: escalation.policies[1].receivers[0]: "oncall" is bound to policy "default" already
belfry.yaml:16: escalation.policies[1].ack_timeout: not a valid duration string: "-1s"
belfry.yaml:18: escalation.heartbeats[0].grace: not a valid duration string: "-1s"
belfry.yaml:18: escalation.heartbeats[0].interval: must be positive
belfry.yaml:18: escalation.heartbeats[0].policy: unknown policy "nope"
belfry.yaml:19: escalation.heartbeats[1].id: "a" is missing or there twice`, err.Error())
}

func TestExampleIsValid(t *testing.T) {
	text, err := os.ReadFile("testdata/example.yaml")
	require.NoError(t, err)
	file := struct {
		OnCall     oncall.Config     `yaml:"oncall"`
		Escalation escalation.Config `yaml:"escalation"`
		Notify     notify.Config     `yaml:"notify"`
	}{Escalation: escalation.DefaultConfig(), Notify: notify.DefaultConfig()}
	require.NoError(t, config.Decode("example.yaml", text, &file))
	require.NoError(t, escalation.Check(file.OnCall, file.Escalation, file.Notify, []string{"oncall"}))
	e, err := escalation.New(t.Context(), escalation.Options{DB: statetest.SQLite(t).Open(), Settings: escalation.Settings{
		OnCall: file.OnCall, Escalation: file.Escalation, Notify: file.Notify}})
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, e.Policies()[0].AckTimeout)
	s, ok := e.Directory().Schedule("primary")
	require.True(t, ok)
	require.Equal(t, []string{"ada"}, s.OnCall(time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC), nil))
	require.Equal(t, []string{"grace"}, s.OnCall(time.Date(2026, 1, 9, 21, 0, 0, 0, time.UTC), nil), "Friday night")
	require.Equal(t, []string{"ada"}, s.OnCall(time.Date(2026, 12, 25, 21, 0, 0, 0, time.UTC), nil), "the swap of Christmas")
}

func indent(text string) string {
	out := ""
	var outSb83 strings.Builder
	for _, r := range text {
		outSb83.WriteString(string(r))
		if r == '\n' {
			outSb83.WriteString("  ")
		}
	}
	out += outSb83.String()
	return out
}

func TestCheckFollowsNamesAcrossSections(t *testing.T) {
	people := oncall.Config{People: []oncall.Person{{ID: "ana", Methods: []oncall.Method{
		{Type: oncall.MethodEmail, Address: "ana@example.com"}, {Type: oncall.MethodTelegram, ChatID: "1"}}}}}
	c := escalation.Config{Policies: []escalation.PolicyConfig{{Name: "p", Receivers: []string{"nobody"}, Steps: []escalation.StepConfig{
		{People: []string{"ana"}, Schedules: []string{"s"}, Teams: []string{"t"}, Channels: []string{"c"}}}}}}
	err := escalation.Check(people, c, notify.DefaultConfig(), []string{"oncall"})
	require.EqualError(t, err, `escalation.policies[0].steps[0].schedules[0]: "s" is not defined
escalation.policies[0].steps[0].teams[0]: "t" is not defined
escalation.policies[0].steps[0].channels[0]: "c" is not defined
escalation.policies[0].receivers[0]: there is no receiver "nobody" in the Alertmanager configuration
oncall.people[0].methods[0].type: email needs notify.smtp.address
oncall.people[0].methods[1].type: telegram needs notify.telegram.bot_token`)
}
