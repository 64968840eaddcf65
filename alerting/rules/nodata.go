package rules

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	promrules "github.com/prometheus/prometheus/rules"
	"go.yaml.in/yaml/v3"
)

// NoData says what it means for an alerting rule that its source returns
// nothing. The source is what the expression compares with a threshold, `a` of
// `a > 70`, and the whole expression where it compares nothing.
type NoData string

// The meanings.
const (
	// NoDataOK: nothing is fine, as in Prometheus. Alerts without data resolve.
	NoDataOK NoData = "ok"
	// NoDataAlert: while the source returns nothing at all, one alert of the rule
	// is active that has the rule's labels and NoDataLabel; `for` applies to it.
	NoDataAlert NoData = "alert"
	// NoDataKeep: an alert whose series is gone from the source stays as it is,
	// until the series is back.
	NoDataKeep NoData = "keep"
)

// NoDataLabel is "true" on the alert that NoDataAlert raises.
const NoDataLabel = "no_data"

func (c *checker) noData(g *Group, r *Rule, n *yaml.Node, path string, lang Language) {
	if r.NoData == "" {
		return
	}
	at, path := line(n, "no_data"), path+".no_data"
	switch {
	case !slices.Contains([]NoData{NoDataOK, NoDataAlert, NoDataKeep}, r.NoData):
		c.fault(at, path, "%q is not known: want ok, alert or keep", r.NoData)
	case r.Alert == "":
		c.fault(at, path, "only alerting rules say what no data means")
	case r.NoData == NoDataKeep && lang != nil:
		if _, ok := operand(lang, r.Expr); !ok && lang.Validate(r.Expr) == nil {
			c.fault(at, path, "keep needs an expression that compares with a threshold, as in a > 70: otherwise nothing tells no data from all is well")
		}
	}
	if r.NoData == NoDataKeep {
		c.noTemplates(g, r, at, path) // alerts that are kept are fed back, as those that wait to recover
	}
}

// operand is the side of a threshold that is compared with it.
func operand(lang Language, expr string) (string, bool) {
	t, ok := lang.(Thresholder)
	if !ok {
		return "", false
	}
	return t.Operand(expr)
}

// missing returns the samples to add for a rule whose source has no data.
func missing(ctx context.Context, lang Language, means NoData, rule *promrules.AlertingRule, expr string, vec promql.Vector, at time.Time) (promql.Vector, error) {
	switch means {
	case NoDataKeep:
		return kept(ctx, lang, rule, expr, vec, at)
	case NoDataAlert:
		if len(vec) > 0 {
			return nil, nil
		}
		if source, ok := operand(lang, expr); ok {
			res, err := lang.Query(ctx, source, at)
			if err != nil || len(res) > 0 {
				return nil, err
			}
		}
		return promql.Vector{{Metric: labels.FromStrings(NoDataLabel, "true"), T: timestamp.FromTime(at), F: math.NaN()}}, nil
	}
	return nil, nil
}

// kept returns samples for the active alerts of rule that are neither in vec nor
// in the source.
func kept(ctx context.Context, lang Language, rule *promrules.AlertingRule, expr string, vec promql.Vector, at time.Time) (promql.Vector, error) {
	id := newIdentity(rule)
	there := id.set(vec)
	var gone []heldAlert
	for _, a := range rule.ActiveAlerts() {
		if _, ok := there[id.of(a.Labels)]; !ok && a.State != promrules.StateInactive && a.KeepFiringSince.IsZero() && !a.Labels.Has(NoDataLabel) {
			gone = append(gone, heldAlert{a.Labels, a.Value})
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	source, ok := operand(lang, expr)
	if !ok {
		return nil, nil
	}
	res, err := lang.Query(ctx, source, at)
	if err != nil {
		return nil, err
	}
	exists := id.set(res)
	var out promql.Vector
	for _, h := range gone {
		if _, ok := exists[id.of(h.labels)]; !ok {
			out = append(out, h.sample(at))
		}
	}
	return out, nil
}
