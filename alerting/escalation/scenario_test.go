package escalation_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/alerting/oncall"
	"belfry/alerting/router"
	"belfry/internal/state"
	"belfry/internal/state/statetest"
)

var rewrite = flag.Bool("rewrite", false, "write what happened into the scenario files")

// TestScenarios plays the files in testdata in virtual time on the real engine:
// each command is followed by ---- and what people received because of it. See
// (*scenario).do for the commands.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.scenario")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".scenario")
		t.Run(name, func(t *testing.T) {
			statetest.Each(t, func(t *testing.T, place statetest.Database) {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				s := &scenario{world: newWorld(t, place)}
				got := s.play(string(text))
				if *rewrite {
					require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
					return
				}
				require.Equal(t, string(text), got)
			})
		})
	}
}

type scenario struct{ *world }

// play returns the text with each expectation replaced by what happened.
func (s *scenario) play(text string) string {
	var out strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		commands, _, _ := strings.Cut(block, "\n----")
		var result []string
		for line := range strings.SplitSeq(commands, "\n") {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				result = append(result, s.do(line)...)
			}
		}
		out.WriteString(strings.TrimSpace(commands) + "\n----\n")
		for _, m := range s.phones.take() {
			out.WriteString(m.String() + "\n")
		}
		for _, line := range result {
			out.WriteString(line + "\n")
		}
		out.WriteByte('\n')
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// do performs one command:
//
//	to <time since start>            lets time pass, doing what is due
//	fire <receiver> <alert> <severity>
//	more <receiver> <alert> <severity>   a second alert joins the group
//	repeat <receiver> <alert> <severity> Alertmanager repeats itself
//	clear <receiver> <alert>         the group is resolved
//	storm <receiver> <alert> <n> <severity> <service>   n groups at once
//	calm <receiver> <alert> <n>      they are resolved at once
//	ack|unack|resolve <who>          on the newest incident
//	snooze <who> <duration>
//	reassign <who> <person or policy:name>
//	severity <who> <severity>
//	merge <number> <number>          the first into the second
//	override <schedule> <person> <from> <to>
//	down <person> <status>, up <person>
//	silence <label>=<value> <duration>, silence off, silence error
//	restart                          kill -9, and a new process
//	beat <heartbeat>
//	state, timeline [number]         of the newest incident, or that
func (s *scenario) do(line string) []string {
	s.t.Helper()
	f := strings.Fields(line)
	duration := func(text string) time.Duration {
		d, err := time.ParseDuration(text)
		require.NoError(s.t, err, line)
		return d
	}
	act := func(ev escalation.Event) []string {
		if _, err := s.engine.Do(s.ctx, "default", s.newest().ID, ev); err != nil {
			return []string{"error: " + err.Error()}
		}
		s.runTo(s.clock.Now())
		return nil
	}
	switch f[0] {
	case "to":
		s.runTo(epoch.Add(duration(f[1])))
	case "fire", "repeat", "more":
		n := s.group(f[1], f[2], f[3], router.StatusFiring)
		switch f[0] {
		case "repeat":
			n.Reason = "repeat interval elapsed"
		case "more":
			second := *n.Alerts[0]
			second.Labels = second.Labels.Clone()
			second.Labels["instance"] = "b"
			n.Alerts = append([]*alert.Alert{}, n.Alerts[0], &second)
			n.Reason = "new alerts added"
			n.CommonLabels = model.LabelSet{"alertname": model.LabelValue(f[2])}
		}
		s.notify(n)
		s.runTo(s.clock.Now())
	case "storm", "calm":
		n, err := strconv.Atoi(f[3])
		require.NoError(s.t, err)
		for i := range n {
			name := fmt.Sprint(f[2], i+1)
			if f[0] == "calm" {
				s.notify(s.group(f[1], name, "critical", router.StatusResolved))
				continue
			}
			g := s.group(f[1], name, f[4], router.StatusFiring)
			g.CommonLabels["service"] = model.LabelValue(f[5]) // the alert's own
			s.notify(g)
		}
		s.runTo(s.clock.Now())
	case "clear":
		s.notify(s.group(f[1], f[2], "critical", router.StatusResolved))
		s.runTo(s.clock.Now())
	case "ack":
		return act(escalation.Acknowledge{By: f[1], Via: "api"})
	case "unack":
		return act(escalation.Unacknowledge{By: f[1]})
	case "resolve":
		return act(escalation.Resolve{By: f[1]})
	case "snooze":
		return act(escalation.Snooze{By: f[1], Until: s.clock.Now().Add(duration(f[2]))})
	case "reassign":
		if policy, ok := strings.CutPrefix(f[2], "policy:"); ok {
			return act(escalation.Reassign{By: f[1], Policy: policy})
		}
		return act(escalation.Reassign{By: f[1], People: strings.Split(f[2], ",")})
	case "severity":
		return act(escalation.SetSeverity{By: f[1], Severity: f[2]})
	case "merge":
		if _, err := s.engine.Merge(s.ctx, "default", s.numbered(f[1]), s.numbered(f[2]), "ana", "api"); err != nil {
			return []string{"error: " + err.Error()}
		}
		s.runTo(s.clock.Now())
	case "override":
		_, err := s.engine.AddOverride(s.ctx, "default", oncall.Override{Schedule: f[1], Person: f[2],
			Start: epoch.Add(duration(f[3])), End: epoch.Add(duration(f[4]))})
		require.NoError(s.t, err)
	case "down":
		status, err := strconv.Atoi(f[2])
		require.NoError(s.t, err)
		s.answer(f[1], status)
	case "up":
		s.answer(f[1], 0)
	case "silence":
		s.mutes = mutes{}
		switch label, value, _ := strings.Cut(f[1], "="); label {
		case "off":
		case "error":
			s.mutes.err = errors.New("silences are unavailable")
		default:
			s.mutes.label, s.mutes.value = model.LabelName(label), model.LabelValue(value)
			s.mutes.until = s.clock.Now().Add(duration(f[2]))
		}
	case "restart":
		s.restart()
	case "beat":
		require.NoError(s.t, s.engine.Beat(s.ctx, "default", f[1]))
		s.runTo(s.clock.Now())
	case "state":
		i := s.newest()
		out := fmt.Sprintf("%s, policy %s, assignees %v", i.Status, i.Policy, i.Assignees)
		if i.Next != "" {
			out += fmt.Sprintf(", %s at %s", i.Next, i.NextAt.Sub(epoch))
		}
		return []string{out}
	case "timeline":
		if len(f) > 1 {
			return s.timeline(s.numbered(f[1]))
		}
		return s.timeline(s.newest().ID)
	default:
		s.t.Fatalf("unknown command %q", line)
	}
	return nil
}

// answer makes a person's phone answer with an HTTP status from now on.
func (s *scenario) answer(person string, status int) {
	s.phones.mu.Lock()
	defer s.phones.mu.Unlock()
	s.phones.down[person] = status
}

func (s *scenario) newest() *incident.Incident {
	s.t.Helper()
	var page []*incident.Incident
	require.NoError(s.t, s.db.View(s.ctx, func(tx *state.Tx) (err error) {
		page, _, err = incident.List(s.ctx, tx, "default", incident.Filter{Limit: incident.MaxPage})
		return err
	}))
	require.NotEmpty(s.t, page, "there is no incident")
	// IDs of the same millisecond are in no order; numbers always are.
	return slices.MaxFunc(page, func(a, b *incident.Incident) int { return cmp.Compare(a.Number, b.Number) })
}

// numbered returns the ID of an incident by its number.
func (s *scenario) numbered(text string) (id string) {
	s.t.Helper()
	number, err := strconv.ParseInt(text, 10, 64)
	require.NoError(s.t, err)
	require.NoError(s.t, s.db.View(s.ctx, func(tx *state.Tx) error {
		i, err := incident.ByNumber(s.ctx, tx, "default", number)
		id = i.ID
		return err
	}))
	return id
}

func (s *scenario) timeline(id string) (out []string) {
	require.NoError(s.t, s.db.View(s.ctx, func(tx *state.Tx) error {
		events, err := incident.Timeline(s.ctx, tx, id, 0, 1000)
		for _, e := range events {
			message := strings.ReplaceAll(e.Message, strings.TrimPrefix(s.phones.server.URL, "http://"), "phones")
			out = append(out, fmt.Sprintf("%s %s: %s", e.At.Sub(epoch), e.Kind, message))
		}
		return err
	}))
	return out
}
