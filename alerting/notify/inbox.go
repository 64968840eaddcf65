package notify

import (
	"context"
	"database/sql"
	"time"

	"github.com/oklog/ulid/v2"

	"belfry/internal/fault"
	"belfry/internal/state"
)

// SQLInbox keeps the messages of the method inbox in SQL.
type SQLInbox struct{ DB *state.DB }

// Received is a message in the inbox.
type Received struct {
	ID         string            `json:"id"`
	Recipient  string            `json:"recipient"`
	IncidentID string            `json:"incident_id"`
	Kind       Kind              `json:"kind"`
	Severity   string            `json:"severity"`
	Title      string            `json:"title"`
	Body       string            `json:"body"`
	Links      map[string]string `json:"links"` // incident, acknowledge, runbook, dashboard, explore, logs, trace
	At         time.Time         `json:"at"`
	ReadAt     time.Time         `json:"read_at,omitzero"`
}

// Put stores a message; the same key again changes nothing.
func (i SQLInbox) Put(ctx context.Context, m *Message, text Text) error {
	links := map[string]string{}
	for name, link := range map[string]string{"incident": m.IncidentURL, "acknowledge": m.AcknowledgeURL, "runbook": m.RunbookURL(),
		"dashboard": m.DashboardURL(), "explore": m.ExploreURL, "logs": m.LogsURL, "trace": m.TraceURL} {
		if link != "" {
			links[name] = link
		}
	}
	id, err := ulid.New(ulid.Timestamp(m.Time), ulid.DefaultEntropy())
	if err != nil {
		return fault.Invalidf("the message's time: %w", err)
	}
	return i.DB.Update(ctx, func(tx *state.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO inbox
			(id, tenant, key, recipient, incident_id, kind, severity, title, body, links, at, read_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (key) DO NOTHING`,
			id.String(), m.Tenant, m.Key, m.Recipient, m.Incident.ID, m.Kind, m.Incident.Severity,
			text.Title, text.Body, state.AsJSON(links), state.Millis(m.Time))
		return err
	})
}

// InboxFilter selects messages; empty fields select all.
type InboxFilter struct {
	Recipient, IncidentID string
	Unread                bool
	Before                string // keyset cursor: a message ID; older ones follow
	Limit                 int    // 1 to 500; 0 means 50
}

// List returns a tenant's messages, newest first, and the cursor of the next
// page, empty on the last.
func (i SQLInbox) List(ctx context.Context, tenant string, f InboxFilter) (page []Received, next string, err error) {
	if f.Limit == 0 {
		f.Limit = 50
	}
	if f.Limit < 0 || f.Limit > 500 {
		return nil, "", fault.Invalidf("limit must be between 1 and 500")
	}
	where, args := "tenant = ?", []any{tenant}
	for _, c := range []struct{ condition, value string }{
		{"recipient = ?", f.Recipient}, {"incident_id = ?", f.IncidentID}, {"id < ?", f.Before},
	} {
		if c.value != "" {
			where, args = where+" AND "+c.condition, append(args, c.value)
		}
	}
	if f.Unread {
		where += " AND read_at = 0"
	}
	err = i.DB.View(ctx, func(tx *state.Tx) error {
		rows, qerr := tx.Query(ctx, `SELECT id, recipient, incident_id, kind, severity, title, body, links, at, read_at
			FROM inbox WHERE `+where+` ORDER BY id DESC LIMIT ?`, append(args, f.Limit+1)...)
		page, err = state.Collect(rows, qerr, func(r *sql.Rows) (m Received, err error) {
			var links state.JSON[map[string]string]
			var at, read int64
			err = r.Scan(&m.ID, &m.Recipient, &m.IncidentID, &m.Kind, &m.Severity, &m.Title, &m.Body, &links, &at, &read)
			m.Links, m.At, m.ReadAt = links.V, state.Time(at), state.Time(read)
			return m, err
		})
		return err
	})
	if len(page) > f.Limit {
		page = page[:f.Limit]
		next = page[len(page)-1].ID
	}
	return page, next, err
}

// MarkRead marks a message as read at now, or says NotFound.
func (i SQLInbox) MarkRead(ctx context.Context, tenant, id string, now time.Time) error {
	return i.DB.Update(ctx, func(tx *state.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE inbox SET read_at = CASE WHEN read_at = 0 THEN ? ELSE read_at END
			WHERE tenant = ? AND id = ?`, state.Millis(now), tenant, id)
		if err == nil && n == 0 {
			return fault.NotFoundf("there is no message %q", id)
		}
		return err
	})
}
