package deletion

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"belfry/internal/fault"
	"belfry/internal/tenant"
)

// maxRequest bounds the body of a request.
const maxRequest = 1 << 20

// API is the HTTP API of a store's deletions, the same for every store.
type API struct {
	Path         string        // of the list; below it is one deletion by its ID
	Keeper       Keeper        // of the store
	CancelWindow time.Duration // how long a deletion may be canceled, if a request does not say
	Now          func() time.Time

	// Accept hands a request to the store, with what it has to be told of it in
	// the audit log.
	Accept func(r *http.Request, req Request) (Deletion, error)
	// Audit records what is about to be done.
	Audit func(r *http.Request, action, target string, detail map[string]string) error
	// Action names the taking back of a deletion in the audit log.
	Action string
}

// Request is what somebody wants deleted.
type Request struct {
	Query        string    // in the signal's language
	From, To     time.Time // both included
	CancelWindow time.Duration
}

// Detail is what the audit log keeps of a request beside its query.
func (r Request) Detail() map[string]string {
	return map[string]string{
		"from": r.From.UTC().Format(time.RFC3339Nano), "to": r.To.UTC().Format(time.RFC3339Nano), "cancel_window": r.CancelWindow.String(),
	}
}

type answer struct {
	ID       string     `json:"id"`
	Query    string     `json:"query"`
	From     time.Time  `json:"from"`
	To       time.Time  `json:"to"`
	State    State      `json:"state"`
	Created  time.Time  `json:"created_at"`
	Due      time.Time  `json:"due_at"`
	Ended    *time.Time `json:"ended_at,omitempty"`
	Records  int64      `json:"records"`
	Progress float64    `json:"progress"`
	Unread   int        `json:"unread_files,omitempty"`
	Error    string     `json:"error,omitempty"`
}

func answerOf(d *Deletion) answer {
	out := answer{
		ID: d.ID, Query: d.Label, From: time.Unix(0, d.From).UTC(), To: time.Unix(0, d.To-1).UTC(), State: d.State,
		Created: d.Created, Due: d.Due, Records: d.Records, Progress: d.Progress, Unread: d.Unread, Error: d.Error,
	}
	if !d.Ended.IsZero() {
		out.Ended = &d.Ended
	}
	return out
}

// Handler serves POST and GET on the path, GET and DELETE on one deletion.
func (a API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+a.Path, a.add)
	mux.HandleFunc("GET "+a.Path, func(w http.ResponseWriter, r *http.Request) {
		list, err := a.Keeper.Deletions(r.Context(), tenant.ID(r.Context()))
		out := make([]answer, 0, len(list))
		for i := range list {
			out = append(out, answerOf(&list[i]))
		}
		write(w, http.StatusOK, map[string]any{"deletions": out}, err)
	})
	mux.HandleFunc("GET "+a.Path+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		d, err := a.Keeper.Deletion(r.Context(), tenant.ID(r.Context()), r.PathValue("id"))
		write(w, http.StatusOK, answerOf(&d), err)
	})
	mux.HandleFunc("DELETE "+a.Path+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		d, err := a.Cancel(r, r.PathValue("id"), r.URL.Query().Get("force") == "true")
		write(w, http.StatusOK, answerOf(&d), err)
	})
	return mux
}

// Cancel takes a deletion back, after its entry in the audit log.
func (a API) Cancel(r *http.Request, id string, force bool) (Deletion, error) {
	d, err := a.Keeper.Deletion(r.Context(), tenant.ID(r.Context()), id)
	if err != nil {
		return d, err
	}
	if err := a.Audit(r, a.Action, d.Label, map[string]string{"id": id, "force": strconv.FormatBool(force)}); err != nil {
		return d, err
	}
	return a.Keeper.CancelDeletion(r.Context(), tenant.ID(r.Context()), id, force)
}

func write(w http.ResponseWriter, status int, v any, err error) {
	if err != nil {
		fault.WriteHTTP(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away: nobody is left to tell
}

// add takes {"query", "from", "to", "cancel_window"}; to is now unless told.
func (a API) add(w http.ResponseWriter, r *http.Request) {
	req, err := a.read(r)
	if err != nil {
		fault.WriteHTTP(w, err)
		return
	}
	d, err := a.Accept(r, req)
	if err == nil {
		w.Header().Set("Location", a.Path+"/"+d.ID)
	}
	write(w, http.StatusAccepted, answerOf(&d), err)
}

func (a API) read(r *http.Request) (req Request, err error) {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return req, fault.Invalidf("want Content-Type: application/json")
	}
	var body struct {
		Query        string    `json:"query"`
		From         time.Time `json:"from"`
		To           time.Time `json:"to"`
		CancelWindow *string   `json:"cancel_window"`
	}
	dec := json.NewDecoder(io.LimitReader(r.Body, maxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil {
		return req, fault.Invalidf("the request is not JSON of the wanted form: %w", err)
	}
	req = Request{Query: body.Query, From: body.From, To: body.To, CancelWindow: a.CancelWindow}
	if body.CancelWindow != nil {
		if req.CancelWindow, err = parseWindow(*body.CancelWindow); err != nil {
			return req, err
		}
	}
	switch {
	case body.Query == "":
		return req, fault.Invalidf("query: is missing")
	case body.From.IsZero():
		return req, fault.Invalidf("from: is missing")
	case body.To.IsZero():
		req.To = a.Now()
	}
	if req.To.Before(req.From) {
		return req, fault.Invalidf("to: lies before from")
	}
	return req, nil
}

// parseWindow reads seconds, or a duration such as 15m or 1d.
func parseWindow(s string) (time.Duration, error) {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	if d, err := model.ParseDuration(strings.TrimSpace(s)); err == nil {
		return time.Duration(d), nil
	}
	return 0, fault.Invalidf("cancel_window: %q is not a duration", s)
}
