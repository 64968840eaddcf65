package escalation

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"belfry/alerting/incident"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// HeartbeatStatus is what is known of a heartbeat.
type HeartbeatStatus struct {
	ID     string    `json:"id"`
	Policy string    `json:"policy"`
	Status string    `json:"status"` // new (never heard), alive, silent
	LastAt time.Time `json:"last_at,omitzero"`
	DueAt  time.Time `json:"due_at,omitzero"` // when silence becomes an incident
}

// The statuses of a heartbeat.
const (
	heartbeatNew    = "new"
	heartbeatAlive  = "alive"
	heartbeatSilent = "silent"
)

// Beat records that a heartbeat was heard, which resolves the incident about its
// silence. The first beat arms it.
func (e *Engine) Beat(ctx context.Context, tenant, id string) error {
	h, ok := e.setup.Load().heartbeats[id]
	if !ok {
		return fault.NotFoundf("there is no heartbeat %q", id)
	}
	now := e.now()
	due := now.Add(time.Duration(h.Interval + h.Grace))
	err := e.db.Update(ctx, func(tx *state.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO heartbeats (tenant, id, last_at, due_at, status) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (tenant, id) DO UPDATE SET last_at = excluded.last_at, due_at = excluded.due_at, status = excluded.status`,
			tenant, id, state.Millis(now), state.Millis(due), heartbeatAlive)
		return err
	})
	if err != nil {
		return err
	}
	_, err = e.Signal(ctx, Signal{Tenant: tenant, Key: SourceKey("heartbeat", id), Actor: "heartbeat " + id, Time: now})
	e.wake()
	return err
}

// Heartbeats returns all configured heartbeats of a tenant.
func (e *Engine) Heartbeats(ctx context.Context, tenant string) ([]HeartbeatStatus, error) {
	stored := map[string]HeartbeatStatus{}
	err := e.db.View(ctx, func(tx *state.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, last_at, due_at, status FROM heartbeats WHERE tenant = ?`, tenant)
		list, err := state.Collect(rows, err, func(r *sql.Rows) (h HeartbeatStatus, err error) {
			var last, due int64
			err = r.Scan(&h.ID, &last, &due, &h.Status)
			h.LastAt, h.DueAt = state.Time(last), state.Time(due)
			return h, err
		})
		for _, h := range list {
			stored[h.ID] = h
		}
		return err
	})
	out := []HeartbeatStatus{}
	for _, c := range e.setup.Load().settings.Escalation.Heartbeats {
		h, ok := stored[c.ID]
		if !ok {
			h = HeartbeatStatus{ID: c.ID, Status: heartbeatNew}
		}
		h.Policy = c.Policy
		out = append(out, h)
	}
	return out, err
}

func heartbeatDue(ctx context.Context, tx *state.Tx) (time.Time, error) {
	var ms sql.NullInt64
	err := tx.QueryRow(ctx, `SELECT MIN(due_at) FROM heartbeats WHERE status = ?`, heartbeatAlive).Scan(&ms)
	return state.Time(ms.Int64), err
}

type silence struct {
	tenant, id string
	last       time.Time
}

// checkHeartbeats opens an incident for every heartbeat that is overdue. The
// incident comes first, so that a crash in between finds the heartbeat overdue
// again.
func (e *Engine) checkHeartbeats(ctx context.Context) error {
	now := e.now()
	var silent []silence
	err := e.db.View(ctx, func(tx *state.Tx) error {
		rows, err := tx.Query(ctx, `SELECT tenant, id, last_at FROM heartbeats WHERE status = ? AND due_at <= ?`, heartbeatAlive, state.Millis(now))
		silent, err = state.Collect(rows, err, func(r *sql.Rows) (s silence, err error) {
			var last int64
			err = r.Scan(&s.tenant, &s.id, &last)
			s.last = state.Time(last)
			return s, err
		})
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range silent {
		if h, ok := e.setup.Load().heartbeats[s.id]; ok {
			if err := e.openSilence(ctx, h, s, now); err != nil {
				return err
			}
		}
		err := e.db.Update(ctx, func(tx *state.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE heartbeats SET status = ? WHERE tenant = ? AND id = ? AND last_at = ?`,
				heartbeatSilent, s.tenant, s.id, state.Millis(s.last))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) openSilence(ctx context.Context, h Heartbeat, s silence, now time.Time) error {
	severity := h.Severity
	if severity == "" {
		severity = "critical"
	}
	labels := map[string]string{"alertname": "HeartbeatSilent", "heartbeat": h.ID, "severity": severity}
	summary := fmt.Sprintf("heartbeat %s was last heard at %s", h.ID, s.last.Format(time.RFC3339))
	_, err := e.Signal(ctx, Signal{
		Tenant: s.tenant, Source: incident.SourceHeartbeat, Key: SourceKey("heartbeat", h.ID), Policy: h.Policy, Firing: true,
		Time: now, Title: "Heartbeat " + h.ID + " is silent", Summary: summary, Severity: severity,
		GroupLabels: map[string]string{"heartbeat": h.ID}, Labels: labels, Annotations: map[string]string{"summary": summary},
		Alerts: []incident.Alert{{Fingerprint: SourceKey("heartbeat", h.ID)[:16], Status: incident.AlertFiring, Labels: labels,
			Annotations: map[string]string{"summary": summary}, StartsAt: now}},
	})
	return err
}
