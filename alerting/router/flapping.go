package router

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
)

// FlappingAnnotation is on alerts that fire and resolve again and again, and says
// how often and until when the router holds them.
const FlappingAnnotation = "flapping"

// FlappingConfig says when an alert flaps: it has begun to fire Times times
// within Window. A flapping alert counts as firing until it has been resolved for
// Hold, so that people are told once that it fires and once that it is over.
type FlappingConfig struct {
	Times  int            `yaml:"times"` // 0: nothing is held
	Window model.Duration `yaml:"window"`
	Hold   model.Duration `yaml:"hold"`
}

// flaps remembers the alerts that have resolved lately.
type flaps struct {
	config FlappingConfig

	mu     sync.Mutex
	alerts map[model.Fingerprint]*flap
}

// flap is the recent life of one alert.
type flap struct {
	firing bool
	ends   time.Time   // when it ends if nobody says otherwise
	starts []time.Time // when it began to fire, within the window
}

func newFlaps(c FlappingConfig) *flaps {
	return &flaps{config: c, alerts: map[model.Fingerprint]*flap{}}
}

// see looks at an alert that comes in, and returns it as it shall go on: as it
// is, or held.
func (f *flaps) see(a *alert.Alert, now time.Time) *alert.Alert {
	if f.config.Times == 0 {
		return a
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fp, resolved := a.Fingerprint(), a.ResolvedAt(now)
	s := f.alerts[fp]
	switch {
	case s == nil && !resolved:
		return a // the first time is no concern, and needs no memory
	case s == nil:
		s = &flap{starts: []time.Time{a.StartsAt}}
		f.alerts[fp] = s
	case resolved:
	case !s.firing || s.ends.Before(now):
		s.starts = append(s.starts, now)
	}
	s.firing, s.ends = !resolved, a.EndsAt
	s.forget(now.Add(-time.Duration(f.config.Window)))
	if len(s.starts) < f.config.Times {
		return a
	}
	out := *a
	out.Annotations = maps.Clone(a.Annotations)
	if out.Annotations == nil {
		out.Annotations = model.LabelSet{}
	}
	out.Annotations[FlappingAnnotation] = model.LabelValue(fmt.Sprintf("has begun to fire %d times within %s; its end is told after %s without another",
		len(s.starts), f.config.Window, f.config.Hold))
	// The store takes the latest end unless it is a timeout: that of the hold shall
	// rule over those of alerts that fire.
	out.Timeout = !resolved
	if resolved {
		out.EndsAt = now.Add(time.Duration(f.config.Hold))
	}
	return &out
}

// forget drops what is older than the window, and bounds the rest.
func (s *flap) forget(before time.Time) {
	const most = 64
	n := max(len(s.starts)-most, 0)
	for n < len(s.starts) && s.starts[n].Before(before) {
		n++
	}
	s.starts = s.starts[n:]
}

// prune forgets alerts that have been quiet, and returns how many flap.
func (f *flaps) prune(now time.Time) (flapping int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for fp, s := range f.alerts {
		s.forget(now.Add(-time.Duration(f.config.Window)))
		if len(s.starts) == 0 && (!s.firing || s.ends.Before(now)) {
			delete(f.alerts, fp)
		}
		if len(s.starts) >= f.config.Times {
			flapping++
		}
	}
	return flapping
}
