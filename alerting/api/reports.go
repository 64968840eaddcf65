package api

import (
	"context"
	"net/http"
	"time"

	"belfry/alerting/incident"
	"belfry/internal/fault"
	"belfry/internal/state"
	"belfry/internal/tenant"
)

// The range of analytics, and at most.
const (
	defaultAnalytics = 30 * 24 * time.Hour
	maxAnalytics     = 3 * 366 * 24 * time.Hour
)

func (a *API) analytics(r *http.Request) (any, error) {
	q := r.URL.Query()
	to, err := moment(q, "to", a.engine.Now())
	if err != nil {
		return nil, err
	}
	from, err := moment(q, "from", to.Add(-defaultAnalytics))
	if err != nil {
		return nil, err
	}
	if !to.After(from) || to.Sub(from) > maxAnalytics {
		return nil, fault.Invalidf("to must be after from, by at most three years")
	}
	var out *incident.Analytics
	err = a.engine.DB().View(r.Context(), func(tx *state.Tx) error {
		out, err = incident.Analyze(r.Context(), tx, tenant.ID(r.Context()), from, to)
		return err
	})
	return out, err
}

// maxReport bounds the events of a postmortem.
const maxReport = 10_000

// postmortem serves what happened as Markdown, to be finished by people.
func (a *API) postmortem(w http.ResponseWriter, r *http.Request) {
	report := incident.Report{Name: func(id string) string {
		if p := ref(a.engine.Directory(), id); p != nil {
			return p.Name
		}
		return ""
	}}
	err := a.view(r, func(ctx context.Context, tx *state.Tx, i *incident.Incident) (err error) {
		report.Incident = i
		if report.Alerts, err = incident.Alerts(ctx, tx, i.ID); err != nil {
			return err
		}
		if report.Merged, err = incident.MergedFrom(ctx, tx, i.Tenant, i.ID); err != nil {
			return err
		}
		report.Timeline, err = incident.Timeline(ctx, tx, i.ID, 0, maxReport)
		return err
	})
	if err != nil {
		a.fail(w, r, err)
		return
	}
	found, err := a.engine.Evidence(r.Context(), report.Incident.ID)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	report.Link = a.engine.IncidentLink(report.Incident.ID)
	if found != nil {
		report.Queries = found.Queries()
		for _, l := range found.Lines {
			report.LogLines = append(report.LogLines, l.At.Format(time.RFC3339)+" "+l.Text)
		}
		if found.Drawable() {
			report.Chart = a.engine.ChartLink(report.Incident.ID)
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/markdown; charset=utf-8")
	h.Set("Content-Disposition", `inline; filename="postmortem.md"`)
	h.Set("X-Content-Type-Options", "nosniff")
	_ = report.WriteMarkdown(w) // the client is gone
}
