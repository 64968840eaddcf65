package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// worker makes garbage and collects it, as the runtime does.
type worker struct {
	usage
	standing float64 // bytes of garbage
}

const (
	testHeap = 100e6 // bytes
	testCost = 0.2   // CPU seconds of a collection of it
)

// work works for so many CPU seconds and allocates at a rate, bytes a second.
func (w *worker) work(seconds, rate float64, percent int) {
	w.live = testHeap
	w.cpu += seconds
	w.allocated += uint64(seconds * rate)
	w.standing += seconds * rate
	for allowed := testHeap * float64(percent) / 100; w.standing >= allowed; w.standing -= allowed {
		w.cycles++
		w.cpu += testCost
		w.collector += testCost
	}
}

func TestGarbagePaceFollowsTheRateOfGarbage(t *testing.T) {
	var w worker
	p := garbagePace{percent: mostGarbage}
	settle := func(rate float64) int {
		before := w.usage
		for range 60 {
			w.work(1, rate, p.percent)
			p.next(w.usage)
		}
		if p.percent < mostGarbage && p.percent > leastGarbage {
			require.InDelta(t, collectorShare, (w.collector-before.collector)/(w.cpu-before.cpu), collectorShare/4)
		}
		return p.percent
	}
	require.Equal(t, mostGarbage, settle(1e9), "queries")
	require.Equal(t, leastGarbage, settle(1e6), "ingest of known series")
	between := settle(9e6)
	require.Greater(t, between, leastGarbage)
	require.Less(t, between, mostGarbage)
	require.Equal(t, mostGarbage, settle(50e6), "and queries again")
	require.Equal(t, leastGarbage, settle(1e6), "and ingest again")
	w.live = alwaysGarbage
	percent, _ := p.next(w.usage)
	require.Equal(t, mostGarbage, percent, "there is little to pass over")
}

func TestGarbagePaceIdlesAsItWorkedLast(t *testing.T) {
	var w worker
	p := garbagePace{percent: mostGarbage}
	for range 60 {
		w.work(1, 1e6, p.percent)
		p.next(w.usage)
	}
	for range 1000 {
		w.work(0.0001, 1e7, p.percent) // next to nothing, and more garbage than before
		_, changed := p.next(w.usage)
		require.False(t, changed && p.percent == mostGarbage)
	}
}

func TestGarbagePaceDoesNotBelieveTheClockOfABusyMachine(t *testing.T) {
	var w worker
	p := garbagePace{percent: mostGarbage}
	seen, said := 0.0, 0.0 // what collecting took, and by the clock
	for i := range 60 {
		w.work(1, 2e6, p.percent)
		took := w.collector - seen
		seen = w.collector
		if i%3 > 0 {
			took *= 5
		}
		said += took
		now := w.usage
		now.collector = said
		p.next(now)
	}
	require.Equal(t, leastGarbage, p.percent)
}
