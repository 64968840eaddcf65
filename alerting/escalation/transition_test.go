package escalation_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/internal/fault"
)

// effects tells what a transition wants done, without the words of the timeline.
func effects(list []escalation.Effect) string {
	var out []string
	for _, e := range list {
		switch e := e.(type) {
		case escalation.Page:
			var to []string
			for _, r := range e.To {
				to = append(to, r.Person+r.Channel)
			}
			out = append(out, fmt.Sprintf("page %s step %d round %d", strings.Join(to, "+"), e.Step, e.Round))
		case escalation.CancelPages:
			out = append(out, "cancel")
		case escalation.TellResolved:
			out = append(out, "tell resolved")
		case escalation.Log:
			out = append(out, string(e.Kind))
		}
	}
	return strings.Join(out, ", ")
}

func TestTransition(t *testing.T) {
	now := epoch.Add(time.Hour)
	policy := &escalation.Policy{Name: "p", Repeat: 1, AckTimeout: 10 * time.Minute, Steps: []escalation.Step{
		{People: []string{"ana"}, Wait: time.Minute},
		{People: []string{"away"}, Wait: 2 * time.Minute},
		{People: []string{"bo"}, Severities: []string{"critical"}, Wait: 3 * time.Minute},
	}}
	triggered := func(step, round int) incident.Progress {
		return incident.Progress{Status: incident.Triggered, Policy: "p", Step: step, Round: round, Next: incident.ActionStep, NextAt: now}
	}
	acked := incident.Progress{Status: incident.Acknowledged, Policy: "p", Step: 1, Next: incident.ActionAckTimeout, NextAt: now,
		AcknowledgedBy: "ana", AcknowledgedAt: epoch, Assignees: []string{"ana"}}
	early := triggered(1, 0)
	early.NextAt = now.Add(1)
	held := triggered(1, 0)
	held.Held = "silenced"
	snoozed := acked
	snoozed.Next, snoozed.SnoozedUntil = incident.ActionUnsnooze, now
	mute := map[string]escalation.Muting{
		"muted: held":                           {Muted: true, Reason: "silenced", Until: now.Add(time.Hour)},
		"muted: still held, said once":          {Muted: true, Reason: "silenced", Until: now.Add(time.Hour)},
		"muted: looks again when it ends":       {Muted: true, Reason: "silenced", Until: now.Add(5 * time.Second)},
		"muted: no end known":                   {Muted: true, Reason: "inhibited"},
		"muted: acknowledgement times out":      {Muted: true, Reason: "silenced"},
		"muted: snooze is over":                 {Muted: true, Reason: "silenced"},
		"muted: reassigning tells nevertheless": {Muted: true, Reason: "silenced"},
		"held, and nobody can tell":             {Failed: true},
		"not held, and nobody can tell":         {Failed: true},
	}
	resolved := incident.Progress{Status: incident.Resolved, Policy: "p"}
	exhausted := incident.Progress{Status: incident.Triggered, Policy: "p", Step: 3, Round: 1}

	for _, c := range []struct {
		name     string
		severity string
		from     incident.Progress
		event    escalation.Event
		want     string // effects
		status   incident.Status
		next     string // action and time from now; empty: nothing
		position string // generation.round.step
	}{
		{"opened", "critical", incident.Progress{Policy: "p"}, escalation.Opened{}, "step, page ana step 1 round 1", incident.Triggered, "step 1m0s", "0.0.1"},
		{"a step that reaches nobody is passed over", "critical", triggered(1, 0), escalation.Due{}, "not_notified, step_skipped, step, page bo step 3 round 1", incident.Triggered, "step 3m0s", "0.0.3"},
		{"and so is one for other severities: the next round begins", "info", triggered(1, 0), escalation.Due{}, "not_notified, step_skipped, step_skipped, step, page ana step 1 round 2", incident.Triggered, "step 1m0s", "0.1.1"},
		{"after the last round it ends", "critical", triggered(3, 1), escalation.Due{}, "escalation_exhausted", incident.Triggered, "", "0.1.3"},
		{"not due yet", "critical", early, escalation.Due{}, "", incident.Triggered, "step 1ns", "0.0.1"},
		{"acknowledged", "critical", triggered(1, 0), escalation.Acknowledge{By: "bo"}, "cancel, acknowledged", incident.Acknowledged, "ack_timeout 10m0s", "0.0.1"},
		{"acknowledged twice", "critical", acked, escalation.Acknowledge{By: "bo"}, "", incident.Acknowledged, "ack_timeout 0s", "0.0.1"},
		{"acknowledgement times out", "critical", acked, escalation.Due{}, "acknowledgement_timed_out, step, page ana step 1 round 1", incident.Triggered, "step 1m0s", "1.0.1"},
		{"unacknowledged", "critical", acked, escalation.Unacknowledge{By: "ana"}, "unacknowledged, step, page ana step 1 round 1", incident.Triggered, "step 1m0s", "1.0.1"},
		{"unacknowledged without need", "critical", triggered(1, 0), escalation.Unacknowledge{}, "", incident.Triggered, "step 0s", "0.0.1"},
		{"snoozed", "critical", acked, escalation.Snooze{Until: now.Add(time.Hour)}, "cancel, snoozed", incident.Acknowledged, "unsnooze 1h0m0s", "0.0.1"},
		{"reassigned to people", "critical", triggered(3, 1), escalation.Reassign{People: []string{"bo", "cem"}}, "cancel, reassigned, page bo+cem step 0 round 1", incident.Triggered, "step 1m0s", "1.0.0"},
		{"reassigned to a policy", "critical", acked, escalation.Reassign{Policy: "p"}, "cancel, reassigned, step, page ana step 1 round 1", incident.Triggered, "step 1m0s", "1.0.1"},
		{"resolved", "critical", acked, escalation.Resolve{}, "cancel, resolved, tell resolved", incident.Resolved, "", "0.0.1"},
		{"resolved twice", "critical", resolved, escalation.Resolve{}, "", incident.Resolved, "", "0.0.0"},
		{"due after the end", "critical", resolved, escalation.Due{}, "", incident.Resolved, "", "0.0.0"},
		{"reminded while escalating", "critical", triggered(1, 0), escalation.Remind{}, "not_notified", incident.Triggered, "step 0s", "0.0.1"},
		{"reminded while acknowledged", "critical", acked, escalation.Remind{}, "not_notified", incident.Acknowledged, "ack_timeout 0s", "0.0.1"},
		{"reminded after the end of all steps", "critical", exhausted, escalation.Remind{}, "step, step, page ana step 1 round 1", incident.Triggered, "step 1m0s", "1.0.1"},
		{"nobody reached by the present step", "critical", triggered(1, 0), escalation.Unreached{Step: 1, Round: 1}, "step_skipped", incident.Triggered, "step 0s", "0.0.1"},
		{"nobody reached by an earlier step", "critical", triggered(1, 1), escalation.Unreached{Step: 1, Round: 1}, "", incident.Triggered, "step 0s", "0.1.1"},
		{"muted: held", "critical", triggered(2, 0), escalation.Due{}, "not_notified", incident.Triggered, "step 15s", "0.0.2"},
		{"muted: still held, said once", "critical", held, escalation.Due{}, "", incident.Triggered, "step 15s", "0.0.1"},
		{"muted: looks again when it ends", "critical", held, escalation.Due{}, "", incident.Triggered, "step 5.001s", "0.0.1"},
		{"muted: no end known", "critical", triggered(2, 0), escalation.Due{}, "not_notified", incident.Triggered, "step 15s", "0.0.2"},
		{"muted: acknowledgement times out", "critical", acked, escalation.Due{}, "not_notified", incident.Acknowledged, "ack_timeout 15s", "0.0.1"},
		{"muted: snooze is over", "critical", snoozed, escalation.Due{}, "not_notified", incident.Acknowledged, "unsnooze 15s", "0.0.1"},
		{"muted: reassigning tells nevertheless", "critical", held, escalation.Reassign{People: []string{"bo"}}, "cancel, reassigned, page bo step 0 round 1", incident.Triggered, "step 1m0s", "1.0.0"},
		{"held, and the mute has ended", "critical", held, escalation.Due{}, "step, not_notified, step_skipped, step, page bo step 3 round 1", incident.Triggered, "step 3m0s", "0.0.3"},
		{"held, and nobody can tell", "critical", held, escalation.Due{}, "step, not_notified, step_skipped, step, page bo step 3 round 1", incident.Triggered, "step 3m0s", "0.0.3"},
		{"not held, and nobody can tell", "critical", triggered(2, 0), escalation.Due{}, "step, page bo step 3 round 1", incident.Triggered, "step 3m0s", "0.0.3"},
		{"held, and the step before reached nobody", "critical", held, escalation.Unreached{Step: 1, Round: 1}, "", incident.Triggered, "step 0s", "0.0.1"},
		{"nobody reached, but acknowledged", "critical", acked, escalation.Unreached{Step: 1, Round: 1}, "", incident.Acknowledged, "ack_timeout 0s", "0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := escalation.Context{Now: now, Severity: c.severity, Policy: policy,
				Muted:    func() escalation.Muting { return mute[c.name] },
				Policies: func(name string) *escalation.Policy { return map[string]*escalation.Policy{"p": policy}[name] },
				Reach: func(s escalation.Step) (to []escalation.Recipient, skipped []string) {
					for _, p := range s.People {
						if p == "away" {
							skipped = append(skipped, "away is away")
							continue
						}
						to = append(to, escalation.Recipient{Person: p})
					}
					return to, skipped
				}}
			before := c.from
			after, done, err := escalation.Transition(ctx, c.from, c.event)
			require.NoError(t, err)
			require.Equal(t, before, c.from)
			require.Equal(t, c.want, effects(done))
			require.Equal(t, c.status, after.Status)
			next := ""
			if after.Next != incident.ActionNone {
				next = fmt.Sprintf("%s %s", after.Next, after.NextAt.Sub(now))
			}
			require.Equal(t, c.next, next)
			require.Equal(t, c.position, fmt.Sprintf("%d.%d.%d", after.Generation, after.Round, after.Step))
		})
	}

	for name, c := range map[string]struct {
		from  incident.Progress
		event escalation.Event
		kind  fault.Kind
	}{
		"acknowledge a resolved one": {resolved, escalation.Acknowledge{}, fault.Conflict},
		"reassign a resolved one":    {resolved, escalation.Reassign{People: []string{"a"}}, fault.Conflict},
		"snooze into the past":       {acked, escalation.Snooze{Until: now}, fault.Invalid},
		"reassign to nothing":        {acked, escalation.Reassign{}, fault.Invalid},
		"reassign to two things":     {acked, escalation.Reassign{People: []string{"a"}, Policy: "p"}, fault.Invalid},
	} {
		after, done, err := escalation.Transition(escalation.Context{Now: now, Policy: policy}, c.from, c.event)
		require.Equal(t, c.kind, fault.KindOf(err), name)
		require.Empty(t, done)
		require.Equal(t, c.from, after)
	}
}

// TestEscalationEnds walks every mix of reachable and unreachable steps to its
// end: it never spins, and pages every reachable step once a round.
func TestEscalationEnds(t *testing.T) {
	const steps = 4
	for mask := 1; mask < 1<<steps; mask++ {
		policy := &escalation.Policy{Name: "p", Repeat: 2}
		for i := range steps {
			policy.Steps = append(policy.Steps, escalation.Step{People: []string{strconv.Itoa(i)}, Wait: time.Minute})
		}
		c := escalation.Context{Now: epoch, Policy: policy, Reach: func(s escalation.Step) ([]escalation.Recipient, []string) {
			var i int
			_, _ = fmt.Sscan(s.People[0], &i)
			if mask&(1<<i) == 0 {
				return nil, nil
			}
			return []escalation.Recipient{{Person: s.People[0]}}, nil
		}}
		pages := map[string]int{}
		var event escalation.Event = escalation.Opened{}
		s := incident.Progress{Policy: "p"}
		for range 100 {
			var done []escalation.Effect
			var err error
			s, done, err = escalation.Transition(c, s, event)
			require.NoError(t, err)
			for _, e := range done {
				if p, ok := e.(escalation.Page); ok {
					pages[p.To[0].Person]++
				}
			}
			if s.Next == incident.ActionNone {
				break
			}
			require.True(t, s.NextAt.After(c.Now), "time must pass")
			c.Now, event = s.NextAt, escalation.Due{}
		}
		require.Equal(t, incident.ActionNone, s.Next, "mask %b", mask)
		for i := range steps {
			want := 0
			if mask&(1<<i) != 0 {
				want = 3
			}
			require.Equal(t, want, pages[strconv.Itoa(i)], "mask %b step %d", mask, i)
		}
	}
}
