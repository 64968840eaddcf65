package store

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
)

// TestChangesMissNothing compares with a list of everything that was added. An
// answer may be earlier than the change by less than a minute, and by more only
// for what is long ago.
func TestChangesMissNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := newChanges(new(atomic.Uint64))
	type change struct{ mint, maxt int64 }
	var all []change
	now := int64(1_700_000_000_000)
	for range 5000 {
		now += rng.Int64N(20_000)
		ch := change{now - rng.Int64N(30_000), now}
		switch rng.IntN(50) {
		case 0:
			ch.mint -= rng.Int64N(100 * changeMinutes * minute)
			ch.maxt = ch.mint + rng.Int64N(now-ch.mint+1)
		case 1:
			now += rng.Int64N(3 * changeMinutes * minute)
		}
		c.add(ch.mint, ch.maxt, nil)
		all = append(all, ch)

		since := rng.IntN(len(all) + 1)
		mint := now - rng.Int64N(2*changeMinutes*minute)
		maxt := mint + rng.Int64N(changeMinutes*minute)
		want, changed := maxt+1, false
		for _, ch := range all[since:] {
			if ch.mint <= maxt && ch.maxt >= mint {
				want, changed = min(want, max(ch.mint, mint)), true
			}
		}
		got, ok := c.first(uint64(since), mint, maxt)
		if changed {
			require.True(t, ok)
			require.LessOrEqual(t, got, want)
			require.GreaterOrEqual(t, got, mint)
		}
		if ok && got < now-(changeMinutes+60)*minute {
			continue // by the hour
		}
		if ok && changed && mint > now-changeMinutes/2*minute {
			require.Greater(t, got, want-minute)
		}
		if since == len(all) {
			require.False(t, ok, "nothing happened since")
		}
	}
}

func TestStoreTracksAppendsAndDeletions(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	a, b := tenant.WithID(context.Background(), "a"), tenant.WithID(context.Background(), "b")
	_, ok := s.ChangeMark(a)
	require.False(t, ok)
	require.NoError(t, appendFloat(t, s, a, at(0), 1, "__name__", "x"))
	require.NoError(t, appendFloat(t, s, b, at(0), 1, "__name__", "x"))
	mark, ok := s.ChangeMark(a)
	require.True(t, ok)
	_, changed := s.FirstChange(a, mark, at(-1e12), at(1e12))
	require.False(t, changed)
	_, changed = s.FirstChange(b, mark, at(0), at(0))
	require.True(t, changed, "another tenant's mark says nothing")

	const second = 1_000_000_000
	require.NoError(t, appendFloat(t, s, a, at(600*second), 1, "__name__", "x"))
	_, changed = s.FirstChange(a, mark, at(0), at(60*second))
	require.False(t, changed)
	first, changed := s.FirstChange(a, mark, at(0), at(900*second))
	require.True(t, changed)
	require.LessOrEqual(t, first, at(600*second))
	require.Greater(t, first, at(500*second))

	mark, _ = s.ChangeMark(a)
	require.NoError(t, s.Delete(a, at(0), at(second), labels.MustNewMatcher(labels.MatchEqual, "__name__", "x")))
	_, changed = s.FirstChange(a, mark, at(-60*second), at(60*second))
	require.True(t, changed)
}
