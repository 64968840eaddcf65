package app

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// leastGarbage and mostGarbage bound how much garbage may stand beside what is
	// in use, percent. What is in use is mostly columns and chunks without
	// pointers, which cost the collector little to pass over again.
	leastGarbage = 10
	mostGarbage  = 50

	// alwaysGarbage, bytes, may stand however little is in use: a percentage of
	// little would be collected all the time as soon as work begins.
	alwaysGarbage = 8 << 20

	// collectorShare is how much of the process' CPU time collecting may take. Ingest makes little garbage, so this is
	// enough for next to none to stand; queries that make much get room for it.
	collectorShare = 0.08

	// dearer is how much more than the one before a collection is believed to cost.
	dearer = 1.1

	// paceEvery is how often the process is looked at, and paceMemory how much CPU
	// time of its work is looked back at: idle time teaches nothing.
	paceEvery  = time.Second
	paceMemory = time.Second
)

// paceGarbage sets how much garbage may stand, so that collecting takes about
// collectorShare of the CPU time that the process works, until ctx ends. GOGC in
// the environment is left as it is.
func paceGarbage(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	p := garbagePace{percent: mostGarbage, last: readUsage()}
	for {
		select {
		case <-tick.C:
			if percent, changed := p.next(readUsage()); changed {
				debug.SetGCPercent(percent)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// usage is what the process has used since it began.
type usage struct {
	cpu       float64 // seconds, in all
	collector float64 // seconds of them, up to the last collection
	cycles    uint64  // collections
	allocated uint64  // bytes
	live      uint64  // bytes found in use by the last collection
}

func readUsage() usage {
	samples := []metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples)
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r) // cannot fail with these arguments
	return usage{
		cpu:       time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds(),
		collector: samples[0].Value.Float64(),
		cycles:    samples[1].Value.Uint64(),
		allocated: samples[2].Value.Uint64(),
		live:      samples[3].Value.Uint64(),
	}
}

// garbagePace knows what collecting costs and how fast work makes garbage.
type garbagePace struct {
	percent int
	last    usage
	cost    float64 // CPU seconds of a collection, a byte in use
	rate    float64 // bytes allocated, a CPU second
}

// next returns how much garbage may stand, percent, and whether that is worth
// setting. Between two collections of heap H, work makes percent/100·H of garbage in
// percent/100·H/rate seconds; the second collection takes cost·H.
func (p *garbagePace) next(now usage) (percent int, changed bool) {
	was := p.last
	p.last = now
	if n := now.cycles - was.cycles; n > 0 && now.live > 0 {
		// The runtime takes the time of its workers by the clock: it is too long where
		// others want the CPU, and never too short.
		cost := (now.collector - was.collector) / float64(n) / float64(now.live)
		if p.cost == 0 {
			p.cost = cost
		}
		p.cost = min(cost, p.cost*dearer)
	}
	if work := now.cpu - was.cpu; work > 0 {
		rate := float64(now.allocated-was.allocated) / work
		p.rate += (rate - p.rate) * (1 - math.Exp(-work/paceMemory.Seconds()))
	}
	if p.cost == 0 {
		return p.percent, false
	}
	floor := max(leastGarbage, int(100*alwaysGarbage/max(now.live, 1))) //nolint:gosec // a percentage
	percent = int(100 * p.cost * p.rate / collectorShare)
	percent = min(max(percent, floor), mostGarbage)
	// Setting stops the process for a moment.
	diff := percent - p.percent
	if diff == 0 || (diff*diff*100 < p.percent*p.percent && percent != floor && percent != mostGarbage) {
		return p.percent, false
	}
	p.percent = percent
	return percent, true
}
