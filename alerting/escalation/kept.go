package escalation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"belfry/alerting/incident"
	"belfry/alerting/router"
	"belfry/internal/state"
	"belfry/internal/tenant"
)

var _ router.MuteObserver = (*Engine)(nil)

// kept remembers what was last recorded of each group, so that a reason that
// lasts costs nothing. The timeline itself is what keeps it from being recorded
// twice.
type kept struct {
	mu   sync.Mutex
	last map[string]string // by source key
}

// maxKept bounds the groups that are remembered; beyond, all are forgotten.
const maxKept = 20_000

func (k *kept) same(key, reasons string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last[key] == reasons
}

func (k *kept) remember(key, reasons string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == nil || len(k.last) >= maxKept {
		k.last = map[string]string{}
	}
	k.last[key] = reasons
}

// Muted implements router.MuteObserver: it writes into the timeline of the open
// incident about a group which of its alerts nobody is told of, and why, once for
// each reason. Without an open incident there is no timeline.
func (e *Engine) Muted(ctx context.Context, m router.GroupMuting) {
	if _, bound := e.setup.Load().receivers[m.Receiver]; !bound {
		return
	}
	key, reasons := SourceKey("alertmanager", m.Receiver, m.GroupKey), keptReasons(&m)
	all := strings.Join(reasons, "\n")
	if e.kept.same(key, all) {
		return
	}
	found := false
	err := e.db.Update(ctx, func(tx *state.Tx) error {
		found = false
		i, err := incident.OpenFor(ctx, tx, tenant.ID(ctx), key)
		if err != nil || i == nil {
			return err
		}
		found = true
		return e.recordKept(ctx, tx, i, reasons)
	})
	switch {
	case err != nil:
		e.log.Warn("why alerts were kept back could not be recorded", "receiver", m.Receiver, "group", m.GroupKey, "error", err)
	case found:
		e.kept.remember(key, all)
	}
}

func (e *Engine) recordKept(ctx context.Context, tx *state.Tx, i *incident.Incident, reasons []string) error {
	changed := false
	for _, message := range reasons {
		var n int
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM incident_events WHERE incident_id = ? AND kind = ? AND message = ?`,
			i.ID, incident.KindNotNotified, message).Scan(&n)
		if err != nil {
			return err
		}
		if n == 0 {
			changed = true
			i.Record(incident.Event{At: e.now(), Kind: incident.KindNotNotified, Message: message})
		}
	}
	if !changed {
		return nil
	}
	return incident.Save(ctx, tx, i)
}

// keptReasons are sentences that say how many alerts were kept back, and why.
// Numbers that change from flush to flush are left out of them.
func keptReasons(m *router.GroupMuting) []string {
	names := map[string][]string{}
	for _, a := range m.Alerts {
		why := ""
		switch {
		case len(m.Intervals) > 0:
			why = "mute time " + strings.Join(m.Intervals, ", ")
		case len(a.InhibitedBy) > 0:
			why = "inhibited by the alert " + a.InhibitedBy[0]
		case len(a.SilencedBy) > 0:
			why = "silence " + strings.Join(a.SilencedBy, ", ")
		default:
			why = "flapping: the end is told when it lasts"
		}
		if name := a.Alert.Name(); !slices.Contains(names[why], name) {
			names[why] = append(names[why], name)
		}
	}
	const most = 5
	out := make([]string, 0, len(names))
	for why, list := range names {
		slices.Sort(list)
		text := strings.Join(list[:min(len(list), most)], ", ")
		if len(list) > most {
			text += ", …"
		}
		out = append(out, incident.Clip(fmt.Sprintf("nobody is told of %s: %s", text, why), maxReason))
	}
	slices.Sort(out)
	return out
}
