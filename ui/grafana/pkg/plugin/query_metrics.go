package plugin

import (
	"context"
	"strings"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/rewrite"
)

// metrics answers PromQL.
func (d *Datasource) metrics(ctx context.Context, q *Query) (data.Frames, error) {
	if strings.TrimSpace(q.Expr) == "" {
		return nil, errNoExpr
	}
	expr, err := rewrite.PromQL(q.Expr, q.Filters, q.GroupBy)
	if err != nil {
		return nil, invalid{err}
	}
	var frames data.Frames
	if q.Mode != "instant" {
		from, to := q.aligned()
		res, err := d.client.MetricsRange(ctx, expr, from, to, q.step)
		if err != nil {
			return nil, err
		}
		frames = append(frames, d.numbers(q, expr, res, false)...)
	}
	if q.Mode == "instant" || q.Mode == "both" {
		res, err := d.client.MetricsInstant(ctx, expr, q.to)
		if err != nil {
			return nil, err
		}
		frames = append(frames, d.numbers(q, expr, res, true)...)
	}
	if f := d.exemplarsOf(ctx, q, expr); f != nil {
		frames = append(frames, f)
	}
	return frames, nil
}

// exemplarsOf adds exemplars if they are wanted and there are any. A graph is
// worth showing without.
func (d *Datasource) exemplarsOf(ctx context.Context, q *Query, expr string) *data.Frame {
	wanted := q.Exemplars != nil && *q.Exemplars || q.Exemplars == nil && on(d.settings.Exemplars)
	if !wanted || q.by.numbers || q.Mode == "instant" || q.Format == "table" {
		return nil
	}
	list, err := d.client.Exemplars(ctx, expr, q.from, q.to)
	if err != nil {
		backend.Logger.FromContext(ctx).Debug("no exemplars", "error", err)
		return nil
	}
	return d.exemplarFrame(list, q)
}
