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

	mu    sync.Mutex
	known map[model.Fingerprint]struct{} // of alerts that came from outside
}

var _ provider.Alerts = (*posted)(nil)

// postedAlert is an alert in the journal, which holds JSON lists of them.
type postedAlert struct {
	model.Alert
	UpdatedAt time.Time `json:"updatedAt"`
	Timeout   bool      `json:"timeout"`
}

// postedChunk is how many alerts go into one record.
const postedChunk = 1000

// Put keeps alerts, then routes them.
func (p *posted) Put(ctx context.Context, alerts ...*alert.Alert) error {
	if err := each(alerts, p.journal.put); err != nil {
		return fault.Unavailablef(10*time.Second, "alerts cannot be stored: %w", err)
	}
	p.remember(alerts)
	return p.Alerts.Put(ctx, alerts...)
}

func (p *posted) remember(alerts []*alert.Alert) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range alerts {
		p.known[a.Fingerprint()] = struct{}{}
	}
}

// each encodes alerts in chunks.
func each(alerts []*alert.Alert, write func([]byte) error) error {
	for len(alerts) > 0 {
		n := min(len(alerts), postedChunk)
		list := make([]postedAlert, n)
		for i, a := range alerts[:n] {
			list[i] = postedAlert{a.Alert, a.UpdatedAt, a.Timeout}
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
		if a.EndsAt.After(a.UpdatedAt) && a.EndsAt.Before(now.Add(term)) {
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
	err = each(alerts, func(b []byte) error {
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

// run folds the journal, until stop is closed.
func (p *posted) run(stop <-chan struct{}, interval time.Duration, path string) {
	tick := time.NewTicker(min(interval, time.Minute))
	defer tick.Stop()
	last := time.Now()
	for {
		stopped := false
		select {
		case <-stop:
			stopped = true
		case now := <-tick.C:
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
