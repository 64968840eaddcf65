package router

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/silence/silencepb"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
)

// Window is a maintenance window: times at which alerts are silenced, once or
// again and again. While it is open there is a silence, which everybody sees in
// Alertmanager's API, and may end early.
type Window struct {
	Name     string   `yaml:"name" json:"name"`
	Matchers []string `yaml:"matchers" json:"matchers"` // as in Alertmanager's configuration; all must match
	Comment  string   `yaml:"comment" json:"comment,omitempty"`

	// TimeIntervals are Alertmanager's: the window is open in each of them.
	// TimeZone is that of intervals without a location; UTC where empty.
	TimeIntervals []timeinterval.TimeInterval `yaml:"time_intervals" json:"time_intervals,omitempty"`
	TimeZone      string                      `yaml:"time_zone" json:"time_zone,omitempty"`
	// StartsAt and EndsAt are a window that opens once.
	StartsAt time.Time `yaml:"starts_at" json:"starts_at,omitzero"`
	EndsAt   time.Time `yaml:"ends_at" json:"ends_at,omitzero"`

	// Everything confirms that the matchers are meant to match every alert.
	Everything bool `yaml:"everything" json:"everything,omitempty"`
}

// Validate returns all faults, joined.
func (w *Window) Validate() error {
	var errs []error
	if w.Name == "" || len(w.Name) > 256 {
		errs = append(errs, errors.New("name: must have 1 to 256 bytes"))
	}
	ms, err := w.matchers()
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("matchers: %w", err))
	case everything(ms) && !w.Everything:
		errs = append(errs, errors.New("matchers: match every alert, or all but some; say everything: true if that is meant"))
	}
	if _, err := time.LoadLocation(w.TimeZone); err != nil {
		errs = append(errs, fmt.Errorf("time_zone: %w", err))
	}
	once := !w.StartsAt.IsZero() || !w.EndsAt.IsZero()
	switch {
	case once && !w.EndsAt.After(w.StartsAt):
		errs = append(errs, errors.New("ends_at: must be after starts_at"))
	case !once && len(w.TimeIntervals) == 0:
		errs = append(errs, errors.New("time_intervals: are needed where there is no starts_at"))
	}
	return errors.Join(errs...)
}

func (w *Window) matchers() (labels.Matchers, error) {
	utf8Names()
	var out labels.Matchers
	for _, text := range w.Matchers {
		ms, err := compat.Matchers(text, "maintenance")
		if err != nil {
			return nil, err
		}
		out = append(out, ms...)
	}
	return out, nil
}

// Silences reports whether the window keeps an alert back at a time.
func (w *Window) Silences(ls model.LabelSet, at time.Time) bool {
	ms, err := w.matchers()
	return err == nil && ms.Matches(ls) && w.open(at)
}

// silenceMatchers are the matchers as a silence has them.
func (w *Window) silenceMatchers() ([]*silencepb.Matcher, error) {
	ms, err := w.matchers()
	if err != nil {
		return nil, err
	}
	out := make([]*silencepb.Matcher, 0, len(ms))
	for _, m := range ms {
		t := map[labels.MatchType]silencepb.Matcher_Type{
			labels.MatchEqual: silencepb.Matcher_EQUAL, labels.MatchNotEqual: silencepb.Matcher_NOT_EQUAL,
			labels.MatchRegexp: silencepb.Matcher_REGEXP, labels.MatchNotRegexp: silencepb.Matcher_NOT_REGEXP,
		}[m.Type]
		out = append(out, &silencepb.Matcher{Type: t, Name: m.Name, Pattern: m.Value})
	}
	return out, nil
}

// open reports whether the window is open at a time.
func (w *Window) open(at time.Time) bool {
	if !w.StartsAt.IsZero() && !at.Before(w.StartsAt) && at.Before(w.EndsAt) {
		return true
	}
	if len(w.TimeIntervals) == 0 {
		return false
	}
	zone, err := time.LoadLocation(w.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	for _, ti := range w.TimeIntervals {
		if ti.ContainsTime(at.In(zone)) {
			return true
		}
	}
	return false
}

// horizon bounds how far ahead and back a window is looked at.
const horizon = 35 * 24 * time.Hour

// around returns when the window that is open at a time opened and closes; the
// bounds of intervals are minutes. It looks a day ahead and back.
func (w *Window) around(at time.Time) (from, until time.Time) {
	const reach = 24 * time.Hour
	minute := at.Truncate(time.Minute)
	from, until = minute, minute.Add(time.Minute)
	for from.After(at.Add(-reach)) && w.open(from.Add(-time.Minute)) {
		from = from.Add(-time.Minute)
	}
	for until.Before(at.Add(reach)) && w.open(until) {
		until = until.Add(time.Minute)
	}
	if !w.StartsAt.IsZero() && !at.Before(w.StartsAt) && at.Before(w.EndsAt) {
		if len(w.TimeIntervals) == 0 {
			return w.StartsAt, w.EndsAt
		}
		if w.EndsAt.After(until) {
			until = w.EndsAt
		}
	}
	return from, until
}

// next returns when the window opens the next time at or after a time, within
// the horizon; ok is false if it does not.
func (w *Window) next(at time.Time) (opens time.Time, ok bool) {
	if w.StartsAt.After(at) && len(w.TimeIntervals) == 0 {
		return w.StartsAt, true
	}
	for t := at.Truncate(time.Minute); t.Before(at.Add(horizon)); t = t.Add(time.Minute) {
		if w.open(t) {
			return t, true
		}
	}
	return time.Time{}, false
}
