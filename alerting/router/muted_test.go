package router

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func TestMuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple+`
inhibit_rules:
  - source_matchers: [alertname="Down"]
    target_matchers: [severity="warning"]
    equal: [cluster]
`)
		ask := func(labels ...model.LabelSet) (string, time.Time, bool) {
			reason, until, muted, err := g.router.Muted(context.Background(), labels...)
			require.NoError(t, err)
			return reason, until, muted
		}
		one, two := labelsOf("alertname=A", "instance=1"), labelsOf("alertname=A", "instance=2")
		slow := labelsOf("alertname=Slow", "cluster=x", "severity=warning")
		_, _, muted := ask()
		require.False(t, muted, "no alert")
		_, _, muted = ask(one)
		require.False(t, muted, "no silence")

		start := time.Now()
		g.silence("instance", "1", 10*time.Minute)
		g.silence("instance", "1", 5*time.Minute)
		g.silence("instance", "2", 7*time.Minute)
		reason, until, muted := ask(one)
		require.True(t, muted)
		require.Regexp(t, `^silenced by ada \([0-9a-f-]{36}\) until 2000-01-01T00:10:00Z$`, reason)
		require.True(t, until.Equal(start.Add(10*time.Minute)), "the last of an alert's silences: %s", until)
		_, until, muted = ask(one, two)
		require.True(t, muted)
		require.True(t, until.Equal(start.Add(7*time.Minute)), "the first alert that is free: %s", until)
		_, _, muted = ask(one, labelsOf("alertname=A", "instance=3"))
		require.False(t, muted, "one alert is free")

		_, _, muted = ask(slow)
		require.False(t, muted, "no source")
		g.fire("alertname=Down", "cluster=x")
		g.at("11s")
		reason, until, muted = ask(slow)
		require.True(t, muted)
		require.Contains(t, reason, "inhibited by the alert ")
		require.Zero(t, until)
		reason, until, muted = ask(slow, two)
		require.True(t, muted)
		require.Contains(t, reason, "silenced by")
		require.True(t, until.Equal(start.Add(7*time.Minute)))

		g.resolve("alertname=Down", "cluster=x")
		g.at("8m")
		_, _, muted = ask(slow)
		require.False(t, muted, "the source is resolved")
		_, _, muted = ask(one, two)
		require.False(t, muted, "a silence is over")
	})
}
