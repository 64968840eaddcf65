package incident

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"belfry/internal/fault"
	"belfry/internal/state"
)

// columns of the table incidents, in the order of scan and values.
const columns = `id, tenant, number, source, source_key, receiver, group_key, title, summary, severity,
	group_labels, labels, annotations, alerts_firing, alerts_total, opened_at, updated_at, resolved_at,
	resolved_by, event_seq, status, policy, generation, step, round, next_action, next_at,
	acknowledged_by, acknowledged_at, snoozed_until, assignees, held, rule, merged_into, first_acknowledged_at`

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (*Incident, error) {
	var i Incident
	var opened, updated, resolved, next, acked, snoozed, first int64
	var groupLabels, labels, annotations state.JSON[map[string]string]
	var assignees state.JSON[[]string]
	err := row.Scan(&i.ID, &i.Tenant, &i.Number, &i.Source, &i.SourceKey, &i.Receiver, &i.GroupKey,
		&i.Title, &i.Summary, &i.Severity, &groupLabels, &labels, &annotations, &i.AlertsFiring,
		&i.AlertsTotal, &opened, &updated, &resolved, &i.ResolvedBy, &i.eventSeq, &i.Status, &i.Policy,
		&i.Generation, &i.Step, &i.Round, &i.Next, &next, &i.AcknowledgedBy, &acked, &snoozed, &assignees, &i.Held,
		&i.Rule, &i.MergedInto, &first)
	if err != nil {
		return nil, err
	}
	i.GroupLabels, i.Labels, i.Annotations, i.Assignees = groupLabels.V, labels.V, annotations.V, assignees.V
	i.OpenedAt, i.UpdatedAt, i.ResolvedAt = state.Time(opened), state.Time(updated), state.Time(resolved)
	i.NextAt, i.AcknowledgedAt, i.SnoozedUntil = state.Time(next), state.Time(acked), state.Time(snoozed)
	i.FirstAcknowledgedAt = state.Time(first)
	i.indexed = i.searchText()
	return &i, nil
}

func one(row scanner) (*Incident, error) {
	i, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return i, err
}

// Insert stores a new incident, gives it its ID and number, and writes the
// events recorded so far.
func Insert(ctx context.Context, tx *state.Tx, i *Incident) error {
	i.ID = newID(i.OpenedAt)
	err := tx.QueryRow(ctx, `INSERT INTO counters (tenant, name, value) VALUES (?, 'incident', 1)
		ON CONFLICT (tenant, name) DO UPDATE SET value = counters.value + 1 RETURNING value`, i.Tenant).Scan(&i.Number)
	if err != nil {
		return err
	}
	i.clip()
	_, err = tx.Exec(ctx, `INSERT INTO incidents (`+columns+`, open_key) VALUES (`+
		strings.Repeat("?, ", 35)+`?)`,
		i.ID, i.Tenant, i.Number, i.Source, i.SourceKey, i.Receiver, i.GroupKey, i.Title, i.Summary, i.Severity,
		state.AsJSON(i.GroupLabels), state.AsJSON(i.Labels), state.AsJSON(i.Annotations), i.AlertsFiring,
		i.AlertsTotal, state.Millis(i.OpenedAt), state.Millis(i.UpdatedAt), state.Millis(i.ResolvedAt),
		i.ResolvedBy, i.eventSeq, i.Status, i.Policy, i.Generation, i.Step, i.Round, i.Next,
		state.Millis(i.NextAt), i.AcknowledgedBy, state.Millis(i.AcknowledgedAt), state.Millis(i.SnoozedUntil),
		state.AsJSON(list(i.Assignees)), i.Held, i.Rule, i.MergedInto, state.Millis(i.FirstAcknowledgedAt), i.openKey())
	if err != nil {
		return err
	}
	return Save(ctx, tx, i)
}

// newID returns a ULID of the given time, so that IDs sort by opening time.
func newID(t time.Time) string {
	id, err := ulid.New(ulid.Timestamp(t), ulid.DefaultEntropy())
	if err != nil { // a time outside of what ULIDs can say
		return ulid.Make().String()
	}
	return id.String()
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (i *Incident) clip() {
	i.Title, i.Summary = Clip(i.Title, maxTitle), Clip(i.Summary, maxSummary)
}

func (i *Incident) openKey() any {
	if i.Open() {
		return i.SourceKey
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Save writes an incident's changes and the events recorded since the last Save.
func Save(ctx context.Context, tx *state.Tx, i *Incident) error {
	var said []string
	for n := range i.pending {
		e := &i.pending[n]
		if e.Kind == KindNote {
			said = append(said, e.Message)
		}
		i.eventSeq++
		e.Seq = i.eventSeq
		_, err := tx.Exec(ctx, `INSERT INTO incident_events (incident_id, seq, at, kind, actor, message, data)
			VALUES (?, ?, ?, ?, ?, ?, ?)`, i.ID, e.Seq, state.Millis(e.At), e.Kind, e.Actor,
			Clip(e.Message, maxMessage), state.AsJSON(e.Detail))
		if err != nil {
			return err
		}
		if e.At.After(i.UpdatedAt) {
			i.UpdatedAt = e.At
		}
	}
	i.pending = nil
	i.clip()
	if err := index(ctx, tx, i, said); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE incidents SET title = ?, summary = ?, severity = ?, labels = ?, annotations = ?,
		alerts_firing = ?, alerts_total = ?, updated_at = ?, resolved_at = ?, resolved_by = ?, event_seq = ?,
		status = ?, policy = ?, generation = ?, step = ?, round = ?, next_action = ?, next_at = ?,
		acknowledged_by = ?, acknowledged_at = ?, snoozed_until = ?, assignees = ?, held = ?, open_key = ?,
		rule = ?, merged_into = ?, first_acknowledged_at = ?
		WHERE id = ?`,
		i.Title, i.Summary, i.Severity, state.AsJSON(i.Labels), state.AsJSON(i.Annotations),
		i.AlertsFiring, i.AlertsTotal, state.Millis(i.UpdatedAt), state.Millis(i.ResolvedAt), i.ResolvedBy, i.eventSeq,
		i.Status, i.Policy, i.Generation, i.Step, i.Round, i.Next, state.Millis(i.NextAt),
		i.AcknowledgedBy, state.Millis(i.AcknowledgedAt), state.Millis(i.SnoozedUntil), state.AsJSON(list(i.Assignees)),
		i.Held, i.openKey(), i.Rule, i.MergedInto, state.Millis(i.FirstAcknowledgedAt), i.ID)
	return err
}

// Get returns an incident of a tenant by its ID, or a NotFound fault.
func Get(ctx context.Context, tx *state.Tx, tenant, id string) (*Incident, error) {
	i, err := one(tx.QueryRow(ctx, `SELECT `+columns+` FROM incidents WHERE id = ? AND tenant = ?`, id, tenant))
	if err == nil && i == nil {
		return nil, fault.NotFoundf("there is no incident %q", id)
	}
	return i, err
}

// ByNumber returns an incident of a tenant by its number, or a NotFound fault.
func ByNumber(ctx context.Context, tx *state.Tx, tenant string, number int64) (*Incident, error) {
	i, err := one(tx.QueryRow(ctx, `SELECT `+columns+` FROM incidents WHERE tenant = ? AND number = ?`, tenant, number))
	if err == nil && i == nil {
		return nil, fault.NotFoundf("there is no incident number %d", number)
	}
	return i, err
}

// Find returns the incident of any tenant by its ID, or a NotFound fault. IDs are
// unique among all tenants.
func Find(ctx context.Context, tx *state.Tx, id string) (*Incident, error) {
	i, err := one(tx.QueryRow(ctx, `SELECT `+columns+` FROM incidents WHERE id = ?`, id))
	if err == nil && i == nil {
		return nil, fault.NotFoundf("there is no incident %q", id)
	}
	return i, err
}

// OpenFor returns the open incident about a source, nil if there is none: its
// own, or the one that it was merged into.
func OpenFor(ctx context.Context, tx *state.Tx, tenant, sourceKey string) (*Incident, error) {
	i, err := one(tx.QueryRow(ctx, `SELECT `+columns+` FROM incidents WHERE tenant = ? AND open_key = ?`, tenant, sourceKey))
	if err != nil || i != nil {
		return i, err
	}
	return one(tx.QueryRow(ctx, `SELECT `+columns+` FROM incidents WHERE open_key IS NOT NULL AND id IN
		(SELECT incident_id FROM incident_sources WHERE tenant = ? AND source_key = ?) ORDER BY id DESC LIMIT 1`, tenant, sourceKey))
}

// LastFor returns the newest incident about a source, nil if there is none.
func LastFor(ctx context.Context, tx *state.Tx, tenant, sourceKey string) (*Incident, error) {
	return one(tx.QueryRow(ctx, `SELECT `+columns+` FROM incidents WHERE tenant = ? AND source_key = ?
		ORDER BY id DESC LIMIT 1`, tenant, sourceKey))
}

// Ref names an incident.
type Ref struct{ Tenant, ID string }

// Due returns the incidents of all tenants whose next action is due at now,
// the longest overdue first.
func Due(ctx context.Context, tx *state.Tx, now time.Time, limit int) ([]Ref, error) {
	rows, err := tx.Query(ctx, `SELECT tenant, id FROM incidents WHERE next_at > 0 AND next_at <= ?
		ORDER BY next_at LIMIT ?`, state.Millis(now), limit)
	return state.Collect(rows, err, func(r *sql.Rows) (ref Ref, err error) {
		return ref, r.Scan(&ref.Tenant, &ref.ID)
	})
}

// NextDue returns when the earliest next action of any incident is due; zero for
// never.
func NextDue(ctx context.Context, tx *state.Tx) (time.Time, error) {
	var ms int64
	err := tx.QueryRow(ctx, `SELECT COALESCE(MIN(next_at), 0) FROM incidents WHERE next_at > 0`).Scan(&ms)
	return state.Time(ms), err
}

// CountByStatus returns the number of open incidents of all tenants, by status.
func CountByStatus(ctx context.Context, tx *state.Tx) (map[Status]int64, error) {
	out := map[Status]int64{Triggered: 0, Acknowledged: 0}
	rows, err := tx.Query(ctx, `SELECT status, COUNT(*) FROM incidents WHERE open_key IS NOT NULL GROUP BY status`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s Status
		var n int64
		if err := rows.Scan(&s, &n); err != nil {
			return nil, err
		}
		out[s] = n
	}
	return out, rows.Err()
}
