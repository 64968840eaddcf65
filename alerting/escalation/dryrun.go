package escalation

import (
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"belfry/alerting/oncall"
)

// StepDryRun is what a step of a policy would do if nobody acknowledged.
type StepDryRun struct {
	After model.Duration `json:"after"` // since the incident was opened
	Tells []string       `json:"tells"` // people and channels, and how the step comes to them
	Why   string         `json:"why,omitempty"`
}

// DryRun says what the steps of a policy of c would do about an alert of a
// severity that fires at a time. It knows the overrides of the configuration
// only, and does not say by which methods people are told.
func (c Config) DryRun(p PolicyConfig, d *oncall.Directory, severity string, at time.Time) []StepDryRun {
	if severity = strings.ToLower(severity); severity == "" {
		severity = noSeverity
	}
	after := time.Duration(0)
	var out []StepDryRun
	for _, s := range c.compile(p).Steps {
		step := StepDryRun{After: model.Duration(after), Tells: []string{}}
		if !s.concerns(severity) {
			step.Why = "only for severity " + strings.Join(s.Severities, ", ") + ", and this is " + severity
			out = append(out, step) // and the next comes at once
			continue
		}
		if !s.Hours.Open(at.Add(after)) {
			step.Why = "only at certain hours: " + s.Hours.String()
			out = append(out, step)
			continue
		}
		step.Tells = s.dryRun(d, at.Add(after))
		if s.RoundRobin && len(step.Tells) > 1 {
			step.Tells = []string{"one of " + strings.Join(step.Tells, ", ") + " in turn"}
		}
		out = append(out, step)
		after += s.Wait
	}
	return out
}

func (s Step) dryRun(d *oncall.Directory, at time.Time) []string {
	tells := []string{}
	for _, id := range s.Schedules {
		var people []string
		if schedule, ok := d.Schedule(id); ok {
			people = schedule.OnCall(at, nil)
		}
		if len(people) == 0 {
			tells = append(tells, "nobody: schedule "+id+" has nobody on call then")
		}
		for _, person := range people {
			tells = append(tells, person+" (schedule "+id+")")
		}
	}
	for _, id := range s.Teams {
		if team, ok := d.Team(id); ok {
			for _, person := range team.Members {
				tells = append(tells, person+" (team "+id+")")
			}
		}
	}
	tells = append(tells, s.People...)
	for _, c := range s.Channels {
		tells = append(tells, "channel "+c)
	}
	for _, h := range s.Webhooks {
		tells = append(tells, "webhook "+h)
	}
	return tells
}
