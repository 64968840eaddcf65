package escalation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/config"
)

// Config is the section "escalation" of the configuration.
type Config struct {
	// AckTimeout and Repeat are those of policies that say nothing else.
	AckTimeout model.Duration `yaml:"ack_timeout"` // 0: an acknowledgement lasts
	Repeat     int            `yaml:"repeat"`
	// Storm is when pages are told together.
	Storm      Storm          `yaml:"storm"`
	Policies   []PolicyConfig `yaml:"policies"`
	Heartbeats []Heartbeat    `yaml:"heartbeats"`
	// Coverage are the schedules whose gaps are incidents.
	Coverage []Coverage `yaml:"coverage"`
	// Mappings say how the JSON of programs is read that page.
	Mappings []MappingConfig `yaml:"mappings"`
}

// PolicyConfig is an escalation policy as it is written.
type PolicyConfig struct {
	Name        string          `yaml:"name"`
	Receivers   []string        `yaml:"receivers"`    // of the Alertmanager configuration
	RoutingKeys []config.Secret `yaml:"routing_keys"` // of the PagerDuty Events API
	Steps       []StepConfig    `yaml:"steps"`
	Repeat      *int            `yaml:"repeat"` // how often all steps are gone through again
	AckTimeout  *model.Duration `yaml:"ack_timeout"`
}

// StepConfig is a step as it is written.
type StepConfig struct {
	Schedules  []string `yaml:"schedules"`   // whoever is on call then
	People     []string `yaml:"people"`      // by ID
	Teams      []string `yaml:"teams"`       // all members
	Channels   []string `yaml:"channels"`    // of the section notify
	Webhooks   []string `yaml:"webhooks"`    // of the section notify: machines, which reach nobody
	RoundRobin bool     `yaml:"round_robin"` // one of the people in turn, not all
	Severities []string `yaml:"severities"`  // only for these; none: all
	// Hours are when the step is performed, in TimeZone; none: always.
	Hours    []oncall.RestrictionConfig `yaml:"hours"`
	TimeZone string                     `yaml:"time_zone"` // IANA name; empty: UTC
	Wait     model.Duration             `yaml:"wait"`      // before the next step; 0: 5m, or none after webhooks alone
}

// Heartbeat is a dead man's switch: not heard for Interval plus Grace, it opens
// an incident.
type Heartbeat struct {
	ID       string         `yaml:"id"`
	Policy   string         `yaml:"policy"`
	Interval model.Duration `yaml:"interval"`
	Grace    model.Duration `yaml:"grace"`
	Severity string         `yaml:"severity"` // empty: critical
}

const (
	defaultWait = 5 * time.Minute
	maxRepeat   = 100
)

// DefaultConfig goes through all steps three times, lets an acknowledgement last,
// and tells together what is beyond ten pages a minute.
func DefaultConfig() Config {
	return Config{Repeat: 2, Storm: Storm{Pages: 10, Window: model.Duration(time.Minute)}}
}

// Validate reports all faults that the section shows by itself; Check sees the
// rest.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.AckTimeout < 0 {
		add("ack_timeout: must not be negative")
	}
	if c.Repeat < 0 || c.Repeat > maxRepeat {
		add("repeat: must be between 0 and %d", maxRepeat)
	}
	errs = append(errs, c.Storm.faults()...)
	names, receivers, keys := map[string]bool{}, map[string]string{}, map[string]string{}
	for i, p := range c.Policies {
		at := fmt.Sprintf("policies[%d]", i)
		errs = append(errs, p.faults(at)...)
		if names[p.Name] && p.Name != "" {
			add("%s.name: %q is there twice", at, p.Name)
		}
		names[p.Name] = true
		for j, r := range p.Receivers {
			if other, bound := receivers[r]; bound {
				add("%s.receivers[%d]: %q is bound to policy %q already", at, j, r, other)
			}
			receivers[r] = p.Name
		}
		for j, k := range p.RoutingKeys {
			if other, bound := keys[k.Reveal()]; bound {
				add("%s.routing_keys[%d]: is bound to policy %q already", at, j, other)
			}
			keys[k.Reveal()] = p.Name
		}
	}
	covered := map[string]bool{}
	for i, cov := range c.Coverage {
		at := fmt.Sprintf("coverage[%d]", i)
		if covered[cov.Schedule] {
			add("%s.schedule: %q is there twice", at, cov.Schedule)
		}
		covered[cov.Schedule] = true
		if !names[cov.Policy] {
			add("%s.policy: unknown policy %q", at, cov.Policy)
		}
		if cov.Within < 0 || cov.Within > model.Duration(maxWithin) {
			add("%s.within: must be between 0 and %s", at, model.Duration(maxWithin))
		}
	}
	mapped := map[string]bool{}
	for i, m := range c.Mappings {
		at := fmt.Sprintf("mappings[%d]", i)
		if mapped[m.Name] {
			add("%s.name: %q is there twice", at, m.Name)
		}
		mapped[m.Name] = true
		if _, err := NewMapping(m); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				add("%s.%s", at, line)
			}
		}
	}
	beats := map[string]bool{}
	for i, h := range c.Heartbeats {
		at := fmt.Sprintf("heartbeats[%d]", i)
		if h.ID == "" || beats[h.ID] {
			add("%s.id: %q is missing or there twice", at, h.ID)
		}
		beats[h.ID] = true
		if h.Interval <= 0 {
			add("%s.interval: must be positive", at)
		}
		if h.Grace < 0 {
			add("%s.grace: must not be negative", at)
		}
		if !names[h.Policy] {
			add("%s.policy: unknown policy %q", at, h.Policy)
		}
	}
	return errors.Join(errs...)
}

func (p *PolicyConfig) faults(at string) (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(at+format, args...)) }
	if p.Name == "" {
		add(".name: is missing")
	}
	if len(p.Steps) == 0 {
		add(".steps: a policy needs at least one step")
	}
	if p.Repeat != nil && (*p.Repeat < 0 || *p.Repeat > maxRepeat) {
		add(".repeat: must be between 0 and %d", maxRepeat)
	}
	if p.AckTimeout != nil && *p.AckTimeout < 0 {
		add(".ack_timeout: must not be negative")
	}
	for j, r := range p.Receivers {
		if r == "" {
			add(".receivers[%d]: is empty", j)
		}
	}
	for j, k := range p.RoutingKeys {
		if len(k.Reveal()) < 8 {
			add(".routing_keys[%d]: must have at least 8 characters", j)
		}
	}
	for j, s := range p.Steps {
		errs = append(errs, s.faults(fmt.Sprintf("%s.steps[%d]", at, j))...)
	}
	if len(p.Steps) > 0 && !slices.ContainsFunc(p.Steps, StepConfig.tells) {
		add(".steps: no step tells anybody: webhooks alone reach no person")
	}
	return errs
}

// tells reports whether the step reaches people, and not only machines.
func (s StepConfig) tells() bool {
	return len(s.Schedules)+len(s.People)+len(s.Teams)+len(s.Channels) > 0
}

func (s StepConfig) faults(at string) (errs []error) {
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(at+format, args...)) }
	if !s.tells() && len(s.Webhooks) == 0 {
		add(": tells nobody: name schedules, people, teams, channels or webhooks")
	}
	if s.RoundRobin && len(s.Schedules)+len(s.People)+len(s.Teams) == 0 {
		add(".round_robin: needs people, teams or schedules to choose from")
	}
	if s.TimeZone != "" && len(s.Hours) == 0 {
		add(".time_zone: is of hours, and there are none")
	}
	if _, err := oncall.NewHours(s.Hours, s.TimeZone); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			add(".%s", line)
		}
	}
	if s.Wait < 0 {
		add(".wait: must not be negative")
	}
	return errs
}

// Check reports all names in the policies that lead nowhere, each after its path
// from the root of the configuration. receivers are those of the Alertmanager
// configuration; nil leaves them unchecked.
func Check(people oncall.Config, c Config, n notify.Config, receivers []string) error {
	var errs []error
	known := map[string]map[string]bool{"schedules": {}, "people": {}, "teams": {}, "channels": {}, "webhooks": {}}
	for _, s := range people.Schedules {
		known["schedules"][s.ID] = true
	}
	for _, p := range people.People {
		known["people"][p.ID] = true
	}
	for _, t := range people.Teams {
		known["teams"][t.ID] = true
	}
	for _, ch := range n.Channels {
		known["channels"][ch.Label()] = true
	}
	for _, hook := range n.Webhooks {
		known["webhooks"][hook.Label()] = true
	}
	for i, p := range c.Policies {
		for j, s := range p.Steps {
			for _, list := range []struct {
				kind string
				ids  []string
			}{{"schedules", s.Schedules}, {"people", s.People}, {"teams", s.Teams}, {"channels", s.Channels}, {"webhooks", s.Webhooks}} {
				for k, id := range list.ids {
					if !known[list.kind][id] {
						errs = append(errs, fmt.Errorf("escalation.policies[%d].steps[%d].%s[%d]: %q is not defined", i, j, list.kind, k, id))
					}
				}
			}
		}
		for j, r := range p.Receivers {
			if receivers != nil && !slices.Contains(receivers, r) {
				errs = append(errs, fmt.Errorf("escalation.policies[%d].receivers[%d]: there is no receiver %q in the Alertmanager configuration", i, j, r))
			}
		}
	}
	for i, cov := range c.Coverage {
		if !known["schedules"][cov.Schedule] {
			errs = append(errs, fmt.Errorf("escalation.coverage[%d].schedule: %q is not defined", i, cov.Schedule))
		}
	}
	errs = append(errs, notify.CheckMethods(people, n)...)
	return errors.Join(errs...)
}

// Policy is an escalation policy.
type Policy struct {
	Name       string
	Steps      []Step
	Repeat     int
	AckTimeout time.Duration // 0: an acknowledgement lasts
	Receivers  []string
}

// Step of a policy.
type Step struct {
	Schedules, People, Teams, Channels, Webhooks []string
	RoundRobin                                   bool
	Severities                                   []string
	Hours                                        oncall.Hours
	Wait                                         time.Duration
}

func (s Step) concerns(severity string) bool {
	return len(s.Severities) == 0 || slices.Contains(s.Severities, severity)
}

func (c Config) compile(p PolicyConfig) *Policy {
	out := &Policy{Name: p.Name, Repeat: c.Repeat, AckTimeout: time.Duration(c.AckTimeout), Receivers: p.Receivers}
	if p.Repeat != nil {
		out.Repeat = *p.Repeat
	}
	if p.AckTimeout != nil {
		out.AckTimeout = time.Duration(*p.AckTimeout)
	}
	for _, s := range p.Steps {
		wait := time.Duration(s.Wait)
		if wait == 0 && s.tells() {
			wait = defaultWait
		}
		hours, _ := oncall.NewHours(s.Hours, s.TimeZone) // validated
		out.Steps = append(out.Steps, Step{s.Schedules, s.People, s.Teams, s.Channels, s.Webhooks, s.RoundRobin, s.Severities, hours, wait})
	}
	return out
}
