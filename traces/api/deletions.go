package api

import (
	"net/http"

	"belfry/internal/deletion"
	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/traceql"
)

// DeletionsPath is where Belfry's API for the deletion of spans is.
const DeletionsPath = "/api/belfry/v1/traces/deletions"

// NewDeletions returns Belfry's API for the deletion of spans, whose queries
// are TraceQL: { trace:id = "…" } for one trace, or one {…} of comparisons for
// all spans that meet it.
func NewDeletions(o Options) http.Handler {
	o = o.withDefaults()
	accept := func(r *http.Request, req deletion.Request) (deletion.Deletion, error) {
		filter, err := traceql.ExactFilter(req.Query)
		if err != nil {
			return deletion.Deletion{}, err
		}
		detail := req.Detail()
		if err := o.Audit(r, "traces.delete", req.Query, detail); err != nil {
			return deletion.Deletion{}, err
		}
		d, err := o.Deleter.Delete(r.Context(), traces.DeleteRequest{
			Tenant: tenant.ID(r.Context()), From: req.From.UnixNano(), To: req.To.UnixNano() + 1, Filter: filter,
			Label: req.Query, Delay: req.CancelWindow,
		})
		if err != nil {
			detail["error"] = err.Error()
			if aerr := o.Audit(r, "traces.delete.refused", req.Query, detail); aerr != nil {
				o.Logger.Error("recording a refused deletion", "error", aerr)
			}
		}
		return d, err
	}
	return deletion.API{
		Path: DeletionsPath, Keeper: o.Deleter, CancelWindow: o.CancelWindow, Now: o.Now,
		Accept: accept, Audit: o.Audit, Action: "traces.delete.cancel",
	}.Handler()
}
