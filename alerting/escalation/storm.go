package escalation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/internal/state"
)

// Storm says when somebody is told of many incidents together: Pages by one method
// within Window are sent one by one, and those beyond in a summary for each window.
type Storm struct {
	Pages  int            `yaml:"pages"` // 0: each by itself, always
	Window model.Duration `yaml:"window"`
}

const (
	minStormWindow = time.Second
	maxStormWindow = 10 * time.Minute
	maxStormPages  = 1000
	// firstSummary is how long the first summary of a storm gathers at most.
	firstSummary = 10 * time.Second
)

func (s Storm) faults() (errs []error) {
	if s.Pages < 0 || s.Pages > maxStormPages {
		errs = append(errs, fmt.Errorf("storm.pages: must be between 0 and %d", maxStormPages))
	}
	if w := time.Duration(s.Window); s.Pages > 0 && (w < minStormWindow || w > maxStormWindow) {
		errs = append(errs, fmt.Errorf("storm.window: must be between %s and %s", model.Duration(minStormWindow), model.Duration(maxStormWindow)))
	}
	return errs
}

// reason says why messages of a kind are told together.
func (s Storm) reason(of notify.Kind) string {
	what := "pages"
	if of == notify.KindResolved {
		what = "resolutions"
	}
	return fmt.Sprintf("more than %d %s within %s", s.Pages, what, s.Window)
}

// gathering decides, in the transaction of a claim, which messages are told
// together.
type gathering struct {
	storm    Storm
	machines []string // webhooks act on each incident: nothing is gathered for them
	now      time.Time
	seen     map[recipient]*wave
	gathered []outboxRow
}

// recipient is somebody, a way to reach him, and what he is told.
type recipient struct {
	tenant, person, channel, method string
	of                              notify.Kind
}

// wave is how much a recipient was told lately.
type wave struct {
	alone int // messages taken within the window, each by itself
	// storming is that a summary waits or went out within the window; open is the
	// key of the one that messages can still join, and due when the next one is.
	storming bool
	open     string
	due      time.Time
}

func newGathering(s *setup, now time.Time) *gathering {
	g := &gathering{storm: s.settings.Escalation.Storm, now: now, seen: map[recipient]*wave{}}
	for _, m := range s.settings.Notify.Webhooks {
		g.machines = append(g.machines, m.Label())
	}
	return g
}

func (g *gathering) concerns(o outboxRow) bool {
	return g.storm.Pages > 0 && o.attempts == 0 && (o.kind == notify.KindPage || o.kind == notify.KindResolved) &&
		(o.channel == "" || !slices.Contains(g.machines, o.channel))
}

// take puts a message that is due into a summary, or reports that it is told by
// itself.
func (g *gathering) take(ctx context.Context, tx *state.Tx, e *Engine, o outboxRow) (alone bool, err error) {
	if !g.concerns(o) {
		return true, nil
	}
	r := recipient{o.tenant, o.person, o.channel, o.method, o.kind}
	w := g.seen[r]
	if w == nil {
		if w, err = g.look(ctx, tx, r); err != nil {
			return false, err
		}
		g.seen[r] = w
	}
	if !w.storming && w.alone < g.storm.Pages {
		w.alone++
		return true, nil
	}
	if w.open == "" {
		if err := g.begin(ctx, tx, e, r, w); err != nil {
			return false, err
		}
	}
	return false, g.join(ctx, tx, o, w)
}

// look finds out what a recipient was told within the window.
func (g *gathering) look(ctx context.Context, tx *state.Tx, r recipient) (*wave, error) {
	window := time.Duration(g.storm.Window)
	since := state.Millis(g.now.Add(-window))
	w := &wave{due: g.now.Add(min(window, firstSummary))}
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM outbox WHERE tenant = ? AND person = ? AND channel = ? AND method = ? AND kind = ?
		AND taken_at > ? AND summary = ''`, r.tenant, r.person, r.channel, r.method, r.of, since).Scan(&w.alone)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `SELECT `+outboxColumns+`, taken_at FROM outbox WHERE tenant = ? AND person = ? AND channel = ? AND method = ?
		AND kind = ? AND (taken_at > ? OR taken_at = 0 AND status = ?) AND data = ?`,
		r.tenant, r.person, r.channel, r.method, notify.KindSummary, since, rowPending, r.of)
	summaries, err := state.Collect(rows, err, scanTaken)
	for _, s := range summaries {
		w.storming = true
		if s.taken.IsZero() {
			w.open, w.due = s.key, s.due
			break
		}
		w.due = later(w.due, s.taken.Add(window))
	}
	return w, err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// begin queues the next summary.
func (g *gathering) begin(ctx context.Context, tx *state.Tx, e *Engine, r recipient, w *wave) error {
	whom := "p:" + r.person
	if r.channel != "" {
		whom = "c:" + r.channel
	}
	row := outboxRow{kind: notify.KindSummary, tenant: r.tenant, person: r.person, channel: r.channel, method: r.method,
		due: w.due, expires: w.due.Add(e.setup.Load().notifier.GiveUpAfter()), data: string(r.of)}
	row.key = strings.Join([]string{"storm", r.tenant, whom, r.method, string(r.of), strconv.FormatInt(state.Millis(w.due), 10)}, "/")
	w.storming, w.open = true, row.key
	added, err := insertRow(ctx, tx, row, g.now)
	if err == nil && !added { // the clock was set back: that one is closed
		err = errors.New("a summary of the same time is there already")
	}
	return err
}

// join makes a message part of the summary, and writes the reason into the
// timeline of its incident.
func (g *gathering) join(ctx context.Context, tx *state.Tx, o outboxRow, w *wave) error {
	if _, err := tx.Exec(ctx, `UPDATE outbox SET status = 'gathered', summary = ? WHERE id = ?`, w.open, o.id); err != nil {
		return err
	}
	i, err := incident.Get(ctx, tx, o.tenant, o.incident)
	if err != nil {
		return err
	}
	d := o.detail()
	d.Until = w.due
	i.Record(incident.Event{At: g.now, Kind: incident.KindNotNotified, Detail: d,
		Message: fmt.Sprintf("not telling %s of this alone, but in a summary in %s: %s", o.whom(), max(w.due.Sub(g.now), 0), g.storm.reason(o.kind))})
	g.gathered = append(g.gathered, o)
	return incident.Save(ctx, tx, i)
}
