package escalation_test

import (
	"strings"
	"testing"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"belfry/alerting/router"
	"belfry/internal/state/statetest"
)

func TestTimelineSaysWhatNobodyIsToldOf(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		n := w.group("oncall", "Disk", "critical", router.StatusFiring)
		muting := func(a router.MutedAlert) router.GroupMuting {
			a.Alert = &alert.Alert{Alert: model.Alert{Labels: model.LabelSet{"alertname": "Disk", "instance": "b"}}}
			return router.GroupMuting{Receiver: n.Receiver, GroupKey: n.GroupKey, Alerts: []router.MutedAlert{a}}
		}
		silenced := muting(router.MutedAlert{SilencedBy: []string{"s1"}})
		w.engine.Muted(w.ctx, silenced) // no incident, no timeline
		w.notify(n)
		for range 3 {
			w.engine.Muted(w.ctx, silenced)
			w.engine.Muted(w.ctx, muting(router.MutedAlert{InhibitedBy: []string{"abc"}}))
			w.engine.Muted(w.ctx, muting(router.MutedAlert{Flapping: "often"}))
		}
		nobody := silenced
		nobody.Receiver = "unbound"
		w.engine.Muted(w.ctx, nobody)
		var told []string
		for _, line := range (&scenario{w}).timeline((&scenario{w}).newest().ID) {
			if strings.Contains(line, "nobody is told of") {
				told = append(told, line)
			}
		}
		require.Len(t, told, 3, "each reason once")
		all := strings.Join(told, "\n")
		require.Contains(t, all, "nobody is told of Disk: silence s1")
		require.Contains(t, all, "nobody is told of Disk: inhibited by the alert abc")
		require.Contains(t, all, "nobody is told of Disk: flapping")
	})
}
