package rewrite

import (
	"regexp"
	"strconv"
	"time"
)

// Macros are the times that Grafana's macros stand for.
type Macros struct {
	Interval time.Duration // the distance of points
	Rate     time.Duration // a window that has samples enough for a rate
	Range    time.Duration // of the dashboard
	Window   time.Duration // of an objective's burn rate; 0: not replaced
}

var macro = regexp.MustCompile(`\$\{(__[a-z_]+)(?::[a-z]+)?\}|\$(__[a-z_]+)`)

// Expand replaces $__interval, $__rate_interval, $__range, $__auto and their
// variants in ms and s. Others stay.
func (m Macros) Expand(expr string) string {
	return macro.ReplaceAllStringFunc(expr, func(s string) string {
		parts := macro.FindStringSubmatch(s)
		name := parts[1] + parts[2]
		switch name {
		case "__interval", "__auto":
			return Duration(m.Interval)
		case "__interval_ms":
			return strconv.FormatInt(m.Interval.Milliseconds(), 10)
		case "__rate_interval":
			return Duration(m.Rate)
		case "__rate_interval_ms":
			return strconv.FormatInt(m.Rate.Milliseconds(), 10)
		case "__range":
			return Duration(m.Range)
		case "__range_s":
			return strconv.FormatInt(int64(m.Range.Seconds()), 10)
		case "__range_ms":
			return strconv.FormatInt(m.Range.Milliseconds(), 10)
		case "__window":
			if m.Window > 0 {
				return Duration(m.Window)
			}
		}
		return s
	})
}

// Duration is d as all three languages read it.
func Duration(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	case d >= time.Hour && d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d >= time.Minute && d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	case d >= time.Second && d%time.Second == 0:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return strconv.FormatInt(max(1, d.Milliseconds()), 10) + "ms"
}
