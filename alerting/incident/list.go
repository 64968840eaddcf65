package incident

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"belfry/internal/fault"
	"belfry/internal/state"
)

// Filter selects incidents. Zero fields select all.
type Filter struct {
	Statuses   []Status
	Severities []string
	Policy     string
	Assignee   string
	Rule       string
	Search     string    // words, or their beginnings, that must all occur in title, summary, labels, annotations or notes
	From, To   time.Time // opened in [From, To)
	Before     string    // keyset cursor: an incident ID; older ones follow
	Limit      int       // 1 to MaxPage; 0 means 50
}

// The bounds of a page and of a search.
const (
	MaxPage        = 500
	defaultPage    = 50
	maxSearchWords = 10
)

// List returns a tenant's incidents, newest first, and the cursor of the next
// page, empty on the last.
func List(ctx context.Context, tx *state.Tx, tenant string, f Filter) (page []*Incident, next string, err error) {
	switch {
	case f.Limit == 0:
		f.Limit = defaultPage
	case f.Limit < 0 || f.Limit > MaxPage:
		return nil, "", fault.Invalidf("limit must be between 1 and %d", MaxPage)
	}
	where, args := f.where(tenant)
	rows, err := tx.Query(ctx, `SELECT `+columns+` FROM incidents WHERE `+where+` ORDER BY id DESC LIMIT ?`,
		append(args, f.Limit+1)...)
	page, err = state.Collect(rows, err, func(r *sql.Rows) (*Incident, error) { return scan(r) })
	if err != nil {
		return nil, "", err
	}
	if len(page) > f.Limit {
		page = page[:f.Limit]
		next = page[len(page)-1].ID
	}
	return page, next, nil
}

func (f Filter) where(tenant string) (string, []any) {
	conditions, args := []string{"tenant = ?"}, []any{tenant}
	and := func(condition string, values ...any) {
		conditions, args = append(conditions, condition), append(args, values...)
	}
	if len(f.Statuses) > 0 {
		and("status IN ("+marks(len(f.Statuses))+")", anys(f.Statuses)...)
	}
	if len(f.Severities) > 0 {
		and("severity IN ("+marks(len(f.Severities))+")", anys(f.Severities)...)
	}
	if f.Policy != "" {
		and("policy = ?", f.Policy)
	}
	if f.Assignee != "" {
		and(`assignees LIKE ? ESCAPE '\'`, state.LikePattern(state.AsJSON(f.Assignee)))
	}
	if f.Rule != "" {
		and("rule = ?", f.Rule)
	}
	words := Words(f.Search)
	for _, w := range words[:min(len(words), maxSearchWords)] {
		and("id IN (SELECT incident_id FROM incident_words WHERE tenant = ? AND word >= ? AND word < ?)", tenant, stored(w), afterStored(w))
	}
	if !f.From.IsZero() {
		and("opened_at >= ?", state.Millis(f.From))
	}
	if !f.To.IsZero() {
		and("opened_at < ?", state.Millis(f.To))
	}
	if f.Before != "" {
		and("id < ?", f.Before)
	}
	return strings.Join(conditions, " AND "), args
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func anys[T any](in []T) []any {
	out := make([]any, 0, len(in))
	for _, v := range in {
		out = append(out, v)
	}
	return out
}

// Timeline returns up to limit events of an incident after a sequence number.
func Timeline(ctx context.Context, tx *state.Tx, incidentID string, after int64, limit int) ([]Event, error) {
	rows, err := tx.Query(ctx, `SELECT seq, at, kind, actor, message, data FROM incident_events
		WHERE incident_id = ? AND seq > ? ORDER BY seq LIMIT ?`, incidentID, after, limit)
	return state.Collect(rows, err, func(r *sql.Rows) (e Event, err error) {
		var at int64
		var detail state.JSON[Detail]
		err = r.Scan(&e.Seq, &at, &e.Kind, &e.Actor, &e.Message, &detail)
		e.At, e.Detail = state.Time(at), detail.V
		return e, err
	})
}

// MaxAlerts bounds the alerts kept of one incident; more are only counted.
const MaxAlerts = 1000

// Alerts returns an incident's alerts, firing ones first.
func Alerts(ctx context.Context, tx *state.Tx, incidentID string) ([]Alert, error) {
	rows, err := tx.Query(ctx, `SELECT fingerprint, status, labels, annotations, starts_at, ends_at, generator_url, source_key
		FROM incident_alerts WHERE incident_id = ? ORDER BY status, starts_at, fingerprint`, incidentID)
	return state.Collect(rows, err, func(r *sql.Rows) (a Alert, err error) {
		var starts, ends int64
		var labels, annotations state.JSON[map[string]string]
		err = r.Scan(&a.Fingerprint, &a.Status, &labels, &annotations, &starts, &ends, &a.GeneratorURL, &a.sourceKey)
		a.Labels, a.Annotations = labels.V, annotations.V
		a.StartsAt, a.EndsAt = state.Time(starts), state.Time(ends)
		return a, err
	})
}

// MergeAlerts brings the alerts of an incident up to date with a notification,
// about a source, counts them, and records what fired and what resolved, at now.
// It returns the alerts that have begun to fire.
func MergeAlerts(ctx context.Context, tx *state.Tx, i *Incident, source string, incoming []Alert, now time.Time) (fired []Alert, err error) {
	stored, err := Alerts(ctx, tx, i.ID)
	if err != nil {
		return nil, err
	}
	known := make(map[string]Alert, len(stored))
	for _, a := range stored {
		known[a.Fingerprint] = a
	}
	firing := 0
	for _, a := range incoming {
		a.sourceKey = source
		if a.Status == AlertFiring {
			firing++
		}
		old, had := known[a.Fingerprint]
		delete(known, a.Fingerprint)
		if !had && len(stored) >= MaxAlerts {
			continue
		}
		if had && same(old, a) {
			continue
		}
		if !had {
			stored = append(stored, a)
		}
		if err := putAlert(ctx, tx, i.ID, a); err != nil {
			return nil, err
		}
		if changed := !had || old.Status != a.Status; changed && a.Status == AlertFiring {
			fired = append(fired, a)
			i.recordAlert(KindAlertFired, a, now)
		} else if changed && had {
			i.recordAlert(KindAlertResolved, a, now)
		}
	}
	for _, a := range known { // not in the notification any more: as it was
		if a.Status == AlertFiring {
			firing++
		}
	}
	i.AlertsFiring, i.AlertsTotal = firing, max(len(stored), len(incoming), i.AlertsTotal)
	return fired, nil
}

func same(a, b Alert) bool {
	return a.Status == b.Status && a.StartsAt.UnixMilli() == b.StartsAt.UnixMilli() && a.GeneratorURL == b.GeneratorURL &&
		(a.Status == AlertFiring || a.EndsAt.UnixMilli() == b.EndsAt.UnixMilli()) && equal(a.Annotations, b.Annotations)
}

func equal(a, b map[string]string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(sortedKeys(a), func(k string) bool { v, ok := b[k]; return !ok || v != a[k] })
}

// maxAlertEvents bounds what one storm writes into a timeline at once.
const maxAlertEvents = 50

func (i *Incident) recordAlert(kind Kind, a Alert, now time.Time) {
	n := 0
	for _, e := range i.pending {
		if e.Kind == kind {
			n++
		}
	}
	if n >= maxAlertEvents {
		return
	}
	verb := "fired"
	if kind == KindAlertResolved {
		verb = "resolved"
	}
	name := a.Labels["alertname"]
	if name == "" {
		name = a.Fingerprint
	}
	message := name + " " + verb
	value := a.Annotations["value"]
	if value != "" && kind == KindAlertFired {
		message += " with value " + value
	}
	if n == maxAlertEvents-1 {
		message += "; more alerts of the same notification are not listed"
	}
	i.Record(Event{At: now, Kind: kind, Message: message,
		Detail: Detail{Fingerprint: a.Fingerprint, Labels: a.Labels, Value: value}})
}

func putAlert(ctx context.Context, tx *state.Tx, incidentID string, a Alert) error {
	_, err := tx.Exec(ctx, `INSERT INTO incident_alerts
		(incident_id, fingerprint, status, labels, annotations, starts_at, ends_at, generator_url, source_key)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (incident_id, fingerprint) DO UPDATE SET status = excluded.status, labels = excluded.labels,
		annotations = excluded.annotations, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
		generator_url = excluded.generator_url, source_key = excluded.source_key`,
		incidentID, a.Fingerprint, a.Status, state.AsJSON(a.Labels), state.AsJSON(a.Annotations),
		state.Millis(a.StartsAt), state.Millis(a.EndsAt), a.GeneratorURL, a.sourceKey)
	return err
}

// ResolveAlerts marks the alerts of an incident that still fire as resolved; with
// a source, those of that source alone.
func ResolveAlerts(ctx context.Context, tx *state.Tx, i *Incident, source string, now time.Time) error {
	where, args := `incident_id = ? AND status = ?`, []any{AlertResolved, state.Millis(now), i.ID, AlertFiring}
	if source != "" {
		where, args = where+` AND source_key = ?`, append(args, source)
	}
	n, err := tx.Exec(ctx, `UPDATE incident_alerts SET status = ?, ends_at = ? WHERE `+where, args...)
	i.AlertsFiring = max(0, i.AlertsFiring-int(n))
	if source == "" {
		i.AlertsFiring = 0
	}
	return err
}
