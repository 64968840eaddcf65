package oncall

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"belfry/internal/config"
)

// Config is the section "oncall" of the configuration.
type Config struct {
	People    []Person         `yaml:"people"`
	Teams     []Team           `yaml:"teams"`
	Schedules []ScheduleConfig `yaml:"schedules"`
}

// Person is somebody who can be told.
type Person struct {
	ID       string        `yaml:"id"`
	Name     string        `yaml:"name"`
	TimeZone string        `yaml:"time_zone"` // for display
	Methods  []Method      `yaml:"methods"`
	Rules    []ContactRule `yaml:"rules"` // none: every method at once
}

// The types of contact methods.
const (
	MethodInbox    = "inbox"    // Belfry's own inbox
	MethodWebhook  = "webhook"  // url, secret
	MethodEmail    = "email"    // address
	MethodSlack    = "slack"    // url of an incoming webhook, or channel: an ID of a channel or user
	MethodTeams    = "teams"    // url of a Workflows webhook
	MethodTelegram = "telegram" // chat_id
)

// MethodTypes returns all types of contact methods.
func MethodTypes() []string {
	return []string{MethodInbox, MethodWebhook, MethodEmail, MethodSlack, MethodTeams, MethodTelegram}
}

// Method is a way to reach a person or a channel.
type Method struct {
	Name    string        `yaml:"name"` // empty: the type
	Type    string        `yaml:"type"`
	URL     config.Secret `yaml:"url"`
	Secret  config.Secret `yaml:"secret"` // signs webhooks
	Address string        `yaml:"address"`
	ChatID  string        `yaml:"chat_id"`
	Channel string        `yaml:"channel"` // of Slack, where Belfry is a bot
}

// Label returns the method's name.
func (m Method) Label() string {
	if m.Name != "" {
		return m.Name
	}
	return m.Type
}

// ContactRule says which methods are used, how long after a page for the person
// was decided, and for which severities (none: all).
type ContactRule struct {
	Methods    []string       `yaml:"methods"`
	After      model.Duration `yaml:"after"`
	Severities []string       `yaml:"severities"`
}

// Team is a named set of people.
type Team struct {
	ID      string   `yaml:"id"`
	Name    string   `yaml:"name"`
	Members []string `yaml:"members"`
}

// ScheduleConfig is a schedule as it is written.
type ScheduleConfig struct {
	ID        string           `yaml:"id"`
	Name      string           `yaml:"name"`
	TimeZone  string           `yaml:"time_zone"` // IANA name; empty: UTC
	Layers    []LayerConfig    `yaml:"layers"`
	Overrides []OverrideConfig `yaml:"overrides"`
	// Calendars are iCal feeds whose events are overrides: who is on call is named
	// by the event.
	Calendars []CalendarConfig `yaml:"calendars"`
	// HandoverNotice is how long before a shift begins the two people are told; 0:
	// they are not.
	HandoverNotice model.Duration `yaml:"handover_notice"`
}

// CalendarConfig is an iCal feed to follow.
type CalendarConfig struct {
	URL     config.Secret  `yaml:"url"`
	Refresh model.Duration `yaml:"refresh"` // 0: 1h
}

// The kinds of rotation.
const (
	RotationDaily  = "daily"
	RotationWeekly = "weekly"
	RotationHours  = "hours"
)

// LayerConfig is a layer as it is written.
type LayerConfig struct {
	Name         string              `yaml:"name"`
	Rotation     string              `yaml:"rotation"`    // daily (default), weekly, hours
	Every        int                 `yaml:"every"`       // shift length in days, weeks or hours; 0: 1
	Handoff      string              `yaml:"handoff"`     // HH:MM; empty: 00:00
	HandoffDay   string              `yaml:"handoff_day"` // weekly only; empty: the weekday of start
	Start        string              `yaml:"start"`       // YYYY-MM-DD; empty: 2024-01-01, a Monday
	End          string              `yaml:"end"`         // YYYY-MM-DD, its hand-over; empty: never
	Participants []string            `yaml:"participants"`
	Restrictions []RestrictionConfig `yaml:"restrictions"` // none: always
}

// RestrictionConfig is a window of the week. To at or before From reaches into
// the next day.
type RestrictionConfig struct {
	Days []string `yaml:"days"` // monday or mon, or mon-fri; none: every day
	From string   `yaml:"from"` // HH:MM; empty: 00:00
	To   string   `yaml:"to"`   // HH:MM, 24:00 allowed; empty: 24:00
}

// OverrideConfig is an override that is part of the configuration.
type OverrideConfig struct {
	Person   string    `yaml:"person"`
	Replaces string    `yaml:"replaces"` // only where this person would be on call
	From     time.Time `yaml:"from"`
	To       time.Time `yaml:"to"`
}

// DefaultConfig has nobody in it.
func DefaultConfig() Config { return Config{} }

// Validate reports all faults, each after the path of its field.
func (c *Config) Validate() error {
	_, err := New(*c)
	return err
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$`)

// faults collects errors under a path.
type faults struct {
	path string
	errs *[]error
}

func (f faults) at(format string, args ...any) faults {
	return faults{f.path + fmt.Sprintf(format, args...), f.errs}
}

func (f faults) add(format string, args ...any) {
	*f.errs = append(*f.errs, errors.New(f.path+": "+fmt.Sprintf(format, args...)))
}

func (f faults) id(id string, seen map[string]bool) {
	switch {
	case id == "":
		f.at(".id").add("is missing")
	case !idPattern.MatchString(id):
		f.at(".id").add("%q: use letters, digits and . _ @ -", id)
	case seen[id]:
		f.at(".id").add("%q is there twice", id)
	}
	seen[id] = true
}

func (p *Person) check(f faults) {
	if p.TimeZone != "" {
		if _, err := time.LoadLocation(p.TimeZone); err != nil {
			f.at(".time_zone").add("%q is not an IANA time zone", p.TimeZone)
		}
	}
	names := map[string]bool{}
	if len(p.Methods) == 0 {
		f.at(".methods").add("a person needs at least one contact method")
	}
	for i, m := range p.Methods {
		mf := f.at(".methods[%d]", i)
		for _, err := range m.faults() {
			*mf.errs = append(*mf.errs, errors.New(mf.path+err))
		}
		if names[m.Label()] {
			mf.add("a method named %q is there already", m.Label())
		}
		names[m.Label()] = true
	}
	for i, r := range p.Rules {
		rf := f.at(".rules[%d]", i)
		if len(r.Methods) == 0 {
			rf.at(".methods").add("is empty")
		}
		for j, m := range r.Methods {
			if !names[m] {
				rf.at(".methods[%d]", j).add("%q is not one of the person's methods", m)
			}
		}
		if r.After < 0 {
			rf.at(".after").add("must not be negative")
		}
	}
}

// check reports what is wrong with a calendar.
func (c CalendarConfig) check(f faults) {
	u, err := url.Parse(c.URL.Reveal())
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		f.at(".url").add("an http or https URL is needed")
	}
	if c.Refresh < 0 {
		f.at(".refresh").add("must not be negative")
	}
}

// faults returns what is wrong with the method, each as ".field: reason".
func (m Method) faults() (out []string) {
	needURL := func() {
		u, err := url.Parse(m.URL.Reveal())
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			out = append(out, ".url: an http or https URL is needed")
		}
	}
	switch m.Type {
	case MethodInbox:
	case MethodSlack:
		if (m.Channel == "") == (m.URL == "") {
			out = append(out, ".channel: give either channel or url")
		}
		if m.URL != "" {
			needURL()
		}
	case MethodWebhook, MethodTeams:
		needURL()
	case MethodEmail:
		if !strings.Contains(m.Address, "@") || strings.ContainsAny(m.Address, "\r\n<> ,") {
			out = append(out, fmt.Sprintf(".address: %q is not an email address", m.Address))
		}
	case MethodTelegram:
		if m.ChatID == "" {
			out = append(out, ".chat_id: is missing")
		}
	default:
		out = append(out, fmt.Sprintf(".type: %q is not one of %s", m.Type, strings.Join(MethodTypes(), ", ")))
	}
	return out
}

// Validate reports all faults of a method that stands alone.
func (m Method) Validate() error {
	var errs []error
	for _, e := range m.faults() {
		errs = append(errs, errors.New(strings.TrimPrefix(e, ".")))
	}
	return errors.Join(errs...)
}

// clock reads HH:MM; 24:00 only where it may be the end of a day.
func clock(text string, endOfDay bool) (time.Duration, bool) {
	var h, m int
	if len(text) != 5 || text[2] != ':' {
		return 0, false
	}
	if _, err := fmt.Sscanf(text, "%02d:%02d", &h, &m); err != nil || h < 0 || m < 0 || m > 59 {
		return 0, false
	}
	if h > 23 && (!endOfDay || h != 24 || m != 0) {
		return 0, false
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute, true
}

var dayNames = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func weekday(text string) (time.Weekday, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	i := slices.IndexFunc(dayNames, func(n string) bool { return n == text || n[:3] == text })
	return time.Weekday(i), i >= 0
}

// weekdays reads "monday", "mon" and "fri-mon".
func weekdays(text string) (days []time.Weekday, ok bool) {
	from, to, isRange := strings.Cut(text, "-")
	a, ok := weekday(from)
	if !ok || !isRange {
		return []time.Weekday{a}, ok
	}
	b, ok := weekday(to)
	if !ok {
		return nil, false
	}
	for d := a; ; d = (d + 1) % 7 {
		days = append(days, d)
		if d == b {
			return days, true
		}
	}
}
