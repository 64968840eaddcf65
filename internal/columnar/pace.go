package columnar

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// Merges rest when they have worked for so long, while others need the processor.
	paceEvery = 5 * time.Millisecond
	// One rest is at most so long, however long the work took: on a busy machine
	// most of that was waiting.
	paceMaxRest = 100 * time.Millisecond
	// Appends and queries are taken to go on for so long after the last one.
	busyFor = 250 * time.Millisecond
	// With so many parts in a day merges have fallen behind: queries would pay
	// for it with every part, so that merges do not rest any more.
	behindParts = 64
)

// activity tells whether appends or queries are under way.
type activity struct {
	calls atomic.Int64
	last  atomic.Int64 // end of the last call, in nanoseconds since begin
	begin time.Time
}

func (a *activity) enter() { a.calls.Add(1) }

func (a *activity) leave() {
	a.last.Store(int64(time.Since(a.begin)))
	a.calls.Add(-1)
}

func (a *activity) busy() bool {
	return a.calls.Load() > 0 || a.last.Load() > 0 && time.Since(a.begin)-time.Duration(a.last.Load()) < busyFor
}

// pacer makes a merge rest as long as it works while the DB is busy, so that all
// merges together take about half a processor. A nil pacer lets it run.
type pacer struct {
	busy    func() bool
	workers int // merges that may run at once
	now     func() time.Time
	rest    func(ctx context.Context, d time.Duration)

	since time.Time // when the work since the last rest began
}

func (db *DB) newPacer() *pacer {
	return &pacer{busy: db.activity.busy, workers: db.o.MergeConcurrency, now: time.Now, rest: rest, since: time.Now()}
}

// pace is called between pieces of work of a millisecond or so.
func (p *pacer) pace(ctx context.Context) error {
	if p == nil {
		return ctx.Err()
	}
	worked := p.now().Sub(p.since)
	if worked < paceEvery {
		return ctx.Err()
	}
	if p.busy() {
		p.rest(ctx, min(worked*time.Duration(2*max(p.workers, 1)-1), paceMaxRest))
	}
	p.since = p.now()
	return ctx.Err()
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
