package api

import (
	"math"
	"net/http"
	"time"

	"belfry/internal/deletion"
	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/query"
)

// DeletionsPath is where Belfry's API for the deletion of samples is.
const DeletionsPath = "/api/belfry/v1/metrics/deletions"

// DeletionOptions configure the API for the deletion of samples.
type DeletionOptions struct {
	Deleter tsdb.Deleter
	Enabled bool // otherwise deletions are refused, as Prometheus' are
	Now     func() time.Time

	// Audit records what is about to be done.
	Audit func(r *http.Request, action, target string, detail map[string]string) error
}

// NewDeletions returns Belfry's API for the deletion of samples, whose queries are
// selectors of PromQL. Samples are deleted at once: there is no window in which
// that could be canceled.
func NewDeletions(o DeletionOptions) http.Handler {
	accept := func(r *http.Request, req deletion.Request) (deletion.Deletion, error) {
		if !o.Enabled {
			return deletion.Deletion{}, fault.New(fault.Forbidden, "deleting metrics is turned off: metrics.admin_api")
		}
		if req.CancelWindow > 0 {
			return deletion.Deletion{}, fault.Invalidf("cancel_window: samples are deleted at once, so it can be 0 only")
		}
		matchers, err := query.NewParser().ParseMetricSelector(req.Query)
		if err != nil {
			return deletion.Deletion{}, fault.Invalidf("query: %w", err)
		}
		if err := o.Audit(r, "metrics.delete", req.Query, req.Detail()); err != nil {
			return deletion.Deletion{}, err
		}
		return o.Deleter.DeleteSeries(r.Context(), tsdb.DeleteRequest{
			Tenant: tenant.ID(r.Context()), Matchers: matchers, Label: req.Query,
			Mint: max(req.From.UnixMilli(), math.MinInt64/2), Maxt: req.To.UnixMilli(),
		})
	}
	return deletion.API{
		Path: DeletionsPath, Keeper: o.Deleter, Now: o.Now, Accept: accept, Audit: o.Audit, Action: "metrics.delete.cancel",
	}.Handler()
}
