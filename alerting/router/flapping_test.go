package router

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func TestFlappingAlertIsHeldAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, "route: {receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 10s}\nreceivers: [{name: team}]")
		for range 8 { // a minute on, a minute off
			g.fire("alertname=A")
			pass(time.Minute)
			g.resolve("alertname=A")
			pass(time.Minute)
		}
		require.Len(t, g.seen().told, 2*3+1, "three times on and off, and then it is held: %v", g.seen().told)
		require.Contains(t, g.seen().told[6], "firing")
		require.Contains(t, g.seen().notes[6].Alerts[0].Annotations[FlappingAnnotation], "begun to fire 4 times within 30m")
		require.Contains(t, g.seen().muted, "A: flapping")
		g.reset()
		pass(8 * time.Minute)
		require.Empty(t, g.seen().told)
		pass(2 * time.Minute)
		require.Len(t, g.seen().told, 1, "its end, ten minutes after the last")
		require.Contains(t, g.seen().told[0], "resolved")
		pass(30 * time.Minute)
		require.Empty(t, g.router.flaps.alerts, "nothing is remembered of it")
		g.fire("alertname=A")
		pass(5 * time.Second)
		g.resolve("alertname=A")
		pass(15 * time.Second)
		require.Len(t, g.seen().told, 3)
		g.close()
	})
}

func TestFlappingCanBeSwitchedOff(t *testing.T) {
	f := newFlaps(FlappingConfig{})
	start := time.Now()
	for i := range 20 {
		a := &alert.Alert{Alert: model.Alert{Labels: model.LabelSet{"a": "b"}, StartsAt: start, EndsAt: start.Add(time.Duration(i%2) * time.Hour)}}
		require.Same(t, a, f.see(a, start))
	}
	c := DefaultConfig()
	c.Flapping.Times = 1
	require.ErrorContains(t, c.Validate(), "flapping: ")
}
