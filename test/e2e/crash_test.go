package e2e

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// acknowledged is what the server said OK to.
type acknowledged struct {
	mu                     sync.Mutex
	spans, records, points map[int]bool
}

func (a *acknowledged) add(set map[int]bool, from, to int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := from; i < to; i++ {
		set[i] = true
	}
}

// load sends all three signals at once in small requests until the server is
// gone, noting what was acknowledged.
func (a *acknowledged) load(ctx context.Context, x *sender, at time.Time) {
	const step = 20
	var wg sync.WaitGroup
	for _, signal := range []struct {
		send func(ctx context.Context, from, to int, at time.Time) error
		acks map[int]bool
	}{{x.sendSpans, a.spans}, {x.sendRecords, a.records}, {x.sendPoints, a.points}} {
		wg.Go(func() {
			for from := 0; signal.send(ctx, from, from+step, at) == nil; from += step {
				a.add(signal.acks, from, from+step)
			}
		})
	}
	wg.Wait()
}

func TestNothingAcknowledgedIsLostByKill(t *testing.T) {
	for round := range 3 {
		s := newServer(t, "")
		s.start()
		at := time.Now().Truncate(time.Second)
		x := s.httpSender()
		a := &acknowledged{spans: map[int]bool{}, records: map[int]bool{}, points: map[int]bool{}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.load(t.Context(), x, at)
		}()
		// Somewhere in the middle: after a random number of acknowledgements.
		target := 400 + rand.IntN(2000)
		s.eventually("acknowledgements", func() error {
			a.mu.Lock()
			defer a.mu.Unlock()
			if len(a.records) < target || len(a.spans) < 100 || len(a.points) < 100 {
				return context.DeadlineExceeded
			}
			return nil
		})
		s.kill()
		<-done
		t.Logf("round %d: killed after %d spans, %d records, %d points", round, len(a.spans), len(a.records), len(a.points))

		s.start()
		from, to := at.Add(-time.Minute), at.Add(time.Minute)
		points, err := s.promNumbers("e2e-http", at)
		require.NoError(t, err)
		require.Empty(t, missing(a.points, points), "acknowledged points")
		records, err := s.lokiNumbers("e2e-http", from, to)
		require.NoError(t, err)
		require.Empty(t, missing(a.records, records), "acknowledged records")
		for n := range maps.Keys(a.spans) {
			require.NoError(t, s.tempoHas(x, n))
		}
		s.stop()
	}
}
