package router

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/provider"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/common/model"

	"belfry/internal/fault"
)

// posted is the store of alerts as the API sees it: alerts that come from
// outside are in a journal before the sender gets its answer, since not every
// sender sends again. Those of package rules need no journal: rules restores
// them itself.
type posted struct {
	*mem.Alerts
	journal *journal
	flaps   *flaps

	mu    sync.Mutex
	known map[model.Fingerprint]time.Time // of alerts that came from outside: the end that is in the journal as over
}

var _ provider.Alerts = (*posted)(nil)

// postedAlert is an alert in the journal, which holds JSON lists of them.
type postedAlert struct {
	model.Alert
	UpdatedAt time.Time `json:"updatedAt"`
	Timeout   bool      `json:"timeout"`
	// Over says that its term ran out while it could have been renewed.
	Over bool `json:"over,omitempty"`
}

// postedChunk is how many alerts go into one record.
const postedChunk = 1000

// Put keeps alerts, then routes them.
func (p *posted) Put(ctx context.Context, alerts ...*alert.Alert) error {
	if err := each(alerts, time.Now(), p.journal.put); err != nil {
		return fault.Unavailablef(10*time.Second, "alerts cannot be stored: %w", err)
	}
	p.remember(alerts)
	now, seen := time.Now(), make([]*alert.Alert, len(alerts))
	for i, a := range alerts {
		seen[i] = p.flaps.see(a, now)
	}
	return p.Alerts.Put(ctx, seen...)
}

func (p *posted) remember(alerts []*alert.Alert) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range alerts {
		fp := a.Fingerprint()
		if _, known := p.known[fp]; !known {
			p.known[fp] = time.Time{}
		}
	}
}

// each encodes alerts in chunks, as of now.
func each(alerts []*alert.Alert, now time.Time, write func([]byte) error) error {
	for len(alerts) > 0 {
		n := min(len(alerts), postedChunk)
		list := make([]postedAlert, n)
		for i, a := range alerts[:n] {
			list[i] = postedAlert{a.Alert, a.UpdatedAt, a.Timeout, a.ResolvedAt(now)}
		}
		b, err := json.Marshal(list)
		if err != nil {
			return err
		}
		if err := write(b); err != nil {
			return err
		}
		alerts = alerts[n:]
	}
	return nil
}

// restore takes a record of the journal back. An alert whose sender said until
// when it is active, and that ran out while nobody could take its renewal, gets
// a new term: its sender decides.
func (p *posted) restore(record []byte, now time.Time, term time.Duration) error {
	var list []postedAlert
	if len(record) == 0 {
		return nil // written to see whether writing works
	}
	if err := json.Unmarshal(record, &list); err != nil {
		return err
	}
	alerts := make([]*alert.Alert, 0, len(list))
	for _, in := range list {
		a := &alert.Alert{Alert: in.Alert, UpdatedAt: in.UpdatedAt, Timeout: in.Timeout}
		if !in.Over && a.EndsAt.After(a.UpdatedAt) && a.EndsAt.Before(now.Add(term)) {
			a.EndsAt = now.Add(term)
		}
		if a.Validate() != nil {
			continue // what was valid once need not be today
		}
		alerts = append(alerts, a)
	}
	p.remember(alerts)
	return p.Alerts.Put(context.Background(), alerts...)
}

// snapshot writes the alerts from outside that the store still has.
func (p *posted) snapshot(path string) (size int64, err error) {
	var alerts []*alert.Alert
	pending := p.GetPending()
	for a := range pending.Next() {
		if p.isKnown(a.Data.Fingerprint()) {
			alerts = append(alerts, a.Data)
		}
	}
	pending.Close()
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	err = each(alerts, time.Now(), func(b []byte) error {
		n, err := f.Write(record(b))
		size += int64(n)
		return err
	})
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return size, fmt.Errorf("alerts: %w", err)
	}
	return size, os.Rename(path+".tmp", path)
}

func (p *posted) isKnown(fp model.Fingerprint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.known[fp]
	return ok
}

// recordEnds journals which alerts have run out since it last did: after a
// restart they would look as if they had run out while nobody could renew them.
func (p *posted) recordEnds(now time.Time) error {
	var over []*alert.Alert
	p.mu.Lock()
	for fp, recorded := range p.known {
		if a, err := p.Get(fp); err == nil && a.ResolvedAt(now) && !a.EndsAt.Equal(recorded) {
			over = append(over, a)
		}
	}
	p.mu.Unlock()
	if err := each(over, now, p.journal.put); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range over {
		p.known[a.Fingerprint()] = a.EndsAt
	}
	return nil
}

// forget drops what the store no longer has from what is known.
func (p *posted) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for fp := range p.known {
		if _, err := p.Get(fp); err != nil {
			delete(p.known, fp)
		}
	}
}

// maxPostedJournal is the size at which the journal is folded early, in bytes.
const maxPostedJournal = 64 << 20

// endsInterval is how often ends are recorded. An alert that ends that shortly
// before a crash gets a new term.
const endsInterval = 10 * time.Second

// run folds the journal, until stop is closed.
func (p *posted) run(stop <-chan struct{}, interval time.Duration, path string) {
	tick := time.NewTicker(min(interval, endsInterval))
	defer tick.Stop()
	last := time.Now()
	for {
		stopped := false
		select {
		case <-stop:
			stopped = true
		case now := <-tick.C:
			if err := p.recordEnds(now); err != nil {
				p.journal.logger.Error("the end of alerts could not be recorded", "err", err)
			}
			if now.Sub(last) < interval && p.journal.length() < maxPostedJournal {
				continue
			}
			last = now
		}
		p.forget()
		if _, err := p.journal.fold(func() (int64, error) { return p.snapshot(path) }); err != nil {
			p.journal.errors.Inc()
			p.journal.logger.Error("folding the journal of posted alerts failed", "err", err)
		}
		if stopped {
			return
		}
	}
}
