package api

import (
	"net/http"

	"belfry/alerting/notify"
	"belfry/internal/tenant"
)

func (a *API) listInbox(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := number(q, "limit")
	if err != nil {
		return nil, err
	}
	f := notify.InboxFilter{Recipient: q.Get("recipient"), IncidentID: q.Get("incident"), Unread: q.Get("unread") == "true",
		Before: q.Get("cursor"), Limit: limit}
	found, next, err := a.engine.Inbox().List(r.Context(), tenant.ID(r.Context()), f)
	var out struct {
		Messages   []notify.Received `json:"messages"`
		NextCursor string            `json:"next_cursor,omitempty"`
	}
	out.Messages, out.NextCursor = append([]notify.Received{}, found...), next
	return out, err
}

func (a *API) readInbox(r *http.Request) (any, error) {
	if err := decode(r, &struct{}{}); err != nil {
		return nil, err
	}
	return struct{}{}, a.engine.Inbox().MarkRead(r.Context(), tenant.ID(r.Context()), r.PathValue("id"), a.engine.Now())
}

func (a *API) listHeartbeats(r *http.Request) (any, error) {
	found, err := a.engine.Heartbeats(r.Context(), tenant.ID(r.Context()))
	return map[string]any{"heartbeats": found}, err
}

// beat takes whatever a cron job sends: only its coming matters.
func (a *API) beat(w http.ResponseWriter, r *http.Request) {
	if err := a.engine.Beat(r.Context(), tenant.ID(r.Context()), r.PathValue("id")); err != nil {
		a.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}
