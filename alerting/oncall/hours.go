package oncall

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Hours are windows of the week on the wall clock of a zone. The zero value is
// always open.
type Hours struct {
	windows []window
	loc     *time.Location
	text    string
}

// NewHours compiles windows and returns all faults, each after the path of its
// field. No windows are always open; an empty zone is UTC.
func NewHours(windows []RestrictionConfig, zone string) (Hours, error) {
	var errs []error
	root := faults{"", &errs}
	h := Hours{loc: time.UTC}
	if zone != "" {
		loc, err := time.LoadLocation(zone)
		if err != nil || zone == "Local" {
			root.at("time_zone").add("%q is not an IANA time zone", zone)
		} else {
			h.loc = loc
		}
	}
	var texts []string
	for i, r := range windows {
		h.windows = append(h.windows, r.compile(root.at("hours[%d]", i))...)
		texts = append(texts, r.String())
	}
	h.text = strings.Join(texts, ", ") + " " + h.loc.String()
	return h, errors.Join(errs...)
}

// Open reports whether t is in one of the windows.
func (h Hours) Open(t time.Time) bool {
	return len(h.windows) == 0 || within(h.windows, wall(t, h.loc))
}

// String says when it is open, for people.
func (h Hours) String() string {
	if len(h.windows) == 0 {
		return "always"
	}
	return h.text
}

// String says the window as people write it: "mon-fri 08:00 to 18:00".
func (r RestrictionConfig) String() string {
	days, from, to := strings.Join(r.Days, ","), r.From, r.To
	if days == "" {
		days = "every day"
	}
	if from == "" {
		from = "00:00"
	}
	if to == "" {
		to = "24:00"
	}
	return days + " " + from + " to " + to
}

// within reports whether wall time w is in one of the windows.
func within(windows []window, w time.Time) bool {
	today := date(w)
	sinceMidnight := w.Sub(today)
	return slices.ContainsFunc(windows, func(win window) bool {
		if win.day == today.Weekday() && win.from <= sinceMidnight && sinceMidnight < win.to {
			return true
		}
		// The part of yesterday's window that reaches into today.
		return win.day == (today.Weekday()+6)%7 && sinceMidnight+day < win.to
	})
}
