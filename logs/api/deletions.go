package api

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"time"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql/extract"
)

// DeletionsPath is where Belfry's own deletion API is.
const DeletionsPath = "/api/belfry/v1/logs/deletions"

// Deletions serves Belfry's own deletion API: POST and GET on the path, GET and DELETE on one
// of them.
func (a *API) Deletions() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+DeletionsPath, a.query(a.addDeletion))
	mux.Handle("GET "+DeletionsPath, a.query(func(w http.ResponseWriter, r *http.Request) error {
		list, err := a.o.Store.Deletions(r.Context(), tenant.ID(r.Context()))
		out := []deletionJSON{}
		for i := range list {
			out = append(out, deletionOf(&list[i]))
		}
		return answer(w, http.StatusOK, map[string]any{"deletions": out}, err)
	}))
	mux.Handle("GET "+DeletionsPath+"/{id}", a.query(func(w http.ResponseWriter, r *http.Request) error {
		d, err := a.o.Store.Deletion(r.Context(), tenant.ID(r.Context()), r.PathValue("id"))
		return answer(w, http.StatusOK, deletionOf(&d), err)
	}))
	mux.Handle("DELETE "+DeletionsPath+"/{id}", a.query(func(w http.ResponseWriter, r *http.Request) error {
		d, err := a.cancel(r, r.PathValue("id"), r.URL.Query().Get("force") == "true")
		return answer(w, http.StatusOK, deletionOf(&d), err)
	}))
	return mux
}

// answer writes JSON, unless there is an error.
func answer(w http.ResponseWriter, status int, v any, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return writeJSON(w, v)
}

type deletionJSON struct {
	ID       string             `json:"id"`
	Query    string             `json:"query"`
	From     time.Time          `json:"from"`
	To       time.Time          `json:"to"`
	State    logs.DeletionState `json:"state"`
	Created  time.Time          `json:"created_at"`
	Due      time.Time          `json:"due_at"`
	Ended    *time.Time         `json:"ended_at,omitempty"`
	Entries  int64              `json:"entries"`
	Progress float64            `json:"progress"`
	Unread   int                `json:"unread_files,omitempty"`
	Error    string             `json:"error,omitempty"`
}

func deletionOf(d *logs.Deletion) deletionJSON {
	out := deletionJSON{
		ID: d.ID, Query: d.Label, From: time.Unix(0, d.From).UTC(), To: time.Unix(0, d.To-1).UTC(), State: d.State,
		Created: d.Created, Due: d.Due, Entries: d.Entries, Progress: d.Progress, Unread: d.Unread, Error: d.Error,
	}
	if !d.Ended.IsZero() {
		out.Ended = &d.Ended
	}
	return out
}

// addDeletion takes {"query", "from", "to", "cancel_window"}; to is now unless told.
func (a *API) addDeletion(w http.ResponseWriter, r *http.Request) error {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return fault.Invalidf("want Content-Type: application/json")
	}
	var body struct {
		Query        string    `json:"query"`
		From         time.Time `json:"from"`
		To           time.Time `json:"to"`
		CancelWindow *string   `json:"cancel_window"`
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil {
		return fault.Invalidf("the request is not JSON of the wanted form: %w", err)
	}
	delay := a.o.CancelWindow
	if body.CancelWindow != nil {
		var err error
		if delay, err = parseWindow(*body.CancelWindow); err != nil {
			return err
		}
	}
	switch {
	case body.Query == "":
		return fault.Invalidf("query: is missing")
	case body.From.IsZero():
		return fault.Invalidf("from: is missing")
	case body.To.IsZero():
		body.To = a.o.Now()
	}
	if body.To.Before(body.From) {
		return fault.Invalidf("to: lies before from")
	}
	d, err := a.deleteEntries(r, body.Query, body.From, body.To, delay)
	if err == nil {
		w.Header().Set("Location", DeletionsPath+"/"+d.ID)
	}
	return answer(w, http.StatusAccepted, deletionOf(&d), err)
}

func parseWindow(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := extract.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fault.Invalidf("cancel_window: %q is not a duration", s)
	}
	return d, nil
}
