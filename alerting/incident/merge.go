package incident

import (
	"context"
	"database/sql"
	"time"

	"belfry/internal/state"
)

// Merge moves the alerts and the sources of one incident to another, open one:
// what their sources say from now on is about that one. The progress of both is
// the caller's.
func Merge(ctx context.Context, tx *state.Tx, from, into *Incident, now time.Time) error {
	for _, i := range []*Incident{into, from} {
		if err := ownSource(ctx, tx, i); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `INSERT INTO incident_sources (tenant, source_key, incident_id, firing)
		SELECT tenant, source_key, ?, firing FROM incident_sources WHERE incident_id = ?
		ON CONFLICT (tenant, source_key, incident_id) DO UPDATE SET firing = excluded.firing`, into.ID, from.ID); err != nil {
		return err
	}
	alerts, err := Alerts(ctx, tx, from.ID)
	if err != nil {
		return err
	}
	stored, err := Alerts(ctx, tx, into.ID)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, a := range stored {
		have[a.Fingerprint] = true
	}
	for _, a := range alerts {
		if !have[a.Fingerprint] && len(have) >= MaxAlerts {
			break
		}
		if have[a.Fingerprint] && a.Status == AlertResolved {
			continue // what still fires there wins
		}
		have[a.Fingerprint] = true
		if a.sourceKey == "" {
			a.sourceKey = from.SourceKey
		}
		if err := putAlert(ctx, tx, into.ID, a); err != nil {
			return err
		}
	}
	into.AlertsTotal += from.AlertsTotal
	into.AlertsFiring += from.AlertsFiring
	into.UpdatedAt = now
	from.MergedInto = into.ID
	_, err = tx.Exec(ctx, `UPDATE incidents SET merged_into = ? WHERE tenant = ? AND merged_into = ?`, into.ID, into.Tenant, from.ID)
	return err
}

// ownSource writes down the source that an incident was opened for.
func ownSource(ctx context.Context, tx *state.Tx, i *Incident) error {
	_, err := tx.Exec(ctx, `INSERT INTO incident_sources (tenant, source_key, incident_id, firing) VALUES (?, ?, ?, 1)
		ON CONFLICT DO NOTHING`, i.Tenant, i.SourceKey, i.ID)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE incident_alerts SET source_key = ? WHERE incident_id = ? AND source_key = ''`, i.SourceKey, i.ID)
	return err
}

// SourceFires writes down whether a source of an incident fires and returns how
// many of its sources do. An incident that nothing was merged into has one.
func SourceFires(ctx context.Context, tx *state.Tx, i *Incident, source string, firing bool) (others int, err error) {
	fires := 0
	if firing {
		fires = 1
	}
	_, err = tx.Exec(ctx, `UPDATE incident_sources SET firing = ? WHERE incident_id = ? AND source_key = ?`, fires, i.ID, source)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM incident_sources WHERE incident_id = ? AND source_key <> ? AND firing = 1`,
		i.ID, source).Scan(&others)
	return others, err
}

// MergedFrom returns the incidents that were merged into one.
func MergedFrom(ctx context.Context, tx *state.Tx, tenant, id string) ([]*Incident, error) {
	rows, err := tx.Query(ctx, `SELECT `+columns+` FROM incidents WHERE tenant = ? AND merged_into = ? ORDER BY id LIMIT 500`, tenant, id)
	return state.Collect(rows, err, func(r *sql.Rows) (*Incident, error) { return scan(r) })
}
