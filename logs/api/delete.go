package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"belfry/internal/deletion"
	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql/pushdown"
)

// Loki's deletion API. Its times are seconds, its query is a selector with
// filters, and its end is included.

type lokiDeletion struct {
	ID      string  `json:"request_id"`
	Start   float64 `json:"start_time"` // seconds
	End     float64 `json:"end_time"`
	Query   string  `json:"query"`
	Status  string  `json:"status"`
	Created float64 `json:"created_at"`
}

func (a *API) requestDeletion(w http.ResponseWriter, r *http.Request) error {
	start := r.Form.Get("start")
	if start == "" {
		return fault.Invalidf("start time not set")
	}
	from, err := parseTime(start)
	if err != nil {
		return err
	}
	to := a.o.Now()
	if s := r.Form.Get("end"); s != "" {
		if to, err = parseTime(s); err != nil {
			return err
		}
		if to.After(a.o.Now()) {
			return fault.Invalidf("deletes in the future are not allowed")
		}
	}
	if from.After(to) {
		return fault.Invalidf("start time can't be greater than end time")
	}
	if s := r.Form.Get("max_interval"); s != "" { // how a deletion is split is nobody's business here
		if _, err := parseStep("max_interval", s); err != nil {
			return err
		}
	}
	query := r.Form.Get("query")
	if query == "" {
		return fault.Invalidf("query not set")
	}
	if _, err := a.deleteEntries(r, deletion.Request{Query: query, From: from, To: to, CancelWindow: a.o.CancelWindow}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteEntries accepts a deletion, after its entry in the audit log.
func (a *API) deleteEntries(r *http.Request, req deletion.Request) (deletion.Deletion, error) {
	ms, filter, err := pushdown.Selection(req.Query)
	if err != nil {
		return deletion.Deletion{}, err
	}
	detail := req.Detail()
	if err := a.o.Audit(r, "logs.delete", req.Query, detail); err != nil {
		return deletion.Deletion{}, err
	}
	request := logs.DeleteRequest{
		Query: logs.Query{Tenant: tenant.ID(r.Context()), From: req.From.UnixNano(), To: req.To.UnixNano() + 1, Streams: ms, Filter: filter},
		Label: req.Query, Delay: req.CancelWindow,
	}
	if a.o.Patterns != nil { // they are derived, and need not come back if this is canceled
		if err := a.o.Patterns.Forget(r.Context(), request); err != nil {
			return deletion.Deletion{}, err
		}
	}
	d, err := a.o.Store.Delete(r.Context(), request)
	if err != nil {
		detail["error"] = err.Error()
		if aerr := a.o.Audit(r, "logs.delete.refused", req.Query, detail); aerr != nil {
			a.o.Logger.Error("recording a refused deletion", "error", aerr)
		}
	}
	return d, err
}

func (a *API) listDeletions(w http.ResponseWriter, r *http.Request) error {
	list, err := a.o.Store.Deletions(r.Context(), tenant.ID(r.Context()))
	if err != nil {
		return err
	}
	out := []lokiDeletion{}
	for i := range list {
		d := &list[i]
		if d.State != deletion.Canceled {
			out = append(out, lokiDeletion{d.ID, seconds(d.From), seconds(d.To - 1), d.Label, lokiStatus(d), seconds(d.Created.UnixNano())})
		}
	}
	return writeJSON(w, out)
}

// seconds has milliseconds behind the point.
func seconds(ns int64) float64 { return float64(ns/int64(time.Millisecond)) / 1000 }

func lokiStatus(d *deletion.Deletion) string {
	switch d.State {
	case deletion.Done:
		return "processed"
	case deletion.Running:
		return fmt.Sprintf("%d%% Complete", int(d.Progress*100))
	}
	return "received"
}

func (a *API) cancelDeletion(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("request_id")
	if id == "" {
		return fault.Invalidf("request_id not set")
	}
	force := false
	if s := r.URL.Query().Get("force"); s != "" {
		var err error
		if force, err = strconv.ParseBool(s); err != nil {
			return fault.Invalidf("force: %q is neither true nor false", s)
		}
	}
	if _, err := a.deletions().Cancel(r, id, force); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
