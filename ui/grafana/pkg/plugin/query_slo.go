package plugin

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend/gtime"
	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
	"belfry/ui/grafana/pkg/rewrite"
)

// SLO is a service level objective. Belfry keeps no objectives of its own, so a
// query states one: how much is promised, over which window, and how the share of
// what failed is computed. The expressions contain $__window where the range
// goes; recording rules can be named the same way (job:errors:ratio_rate$__window).
type SLO struct {
	Name      string  `json:"name"`
	Objective float64 `json:"objective"` // percent, 99.9
	Window    string  `json:"window"`    // 30d
	Bad       string  `json:"bad"`       // rate of what failed
	Total     string  `json:"total"`     // rate of everything
	Ratio     string  `json:"ratio"`     // instead of both: the share that failed
}

// What an objective is of if the query does not say: requests that services
// answered, by the series that Belfry counts in spans.
const (
	defaultObjective = 99.9
	defaultWindow    = "30d"
	defaultBad       = `sum by (service) (rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER", status_code="STATUS_CODE_ERROR"}[$__window]))`
	defaultTotal     = `sum by (service) (rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER"}[$__window]))`
)

// burnWindows are those of the usual alerts on burn rates.
func burnWindows() []time.Duration {
	return []time.Duration{time.Hour, 6 * time.Hour, 3 * 24 * time.Hour}
}

func (s *SLO) expression() (string, error) {
	if s.Ratio != "" {
		if !strings.Contains(s.Ratio, "__window") {
			return "", invalidf("the share of what failed does not contain $__window")
		}
		return s.Ratio, nil
	}
	bad, total := cmp.Or(s.Bad, defaultBad), cmp.Or(s.Total, defaultTotal)
	if !strings.Contains(bad, "__window") || !strings.Contains(total, "__window") {
		return "", invalidf("the rates of an objective contain $__window where the range goes")
	}
	// Where nothing failed there is no series of what did.
	return "((" + bad + ") or (" + total + ") * 0) / (" + total + ")", nil
}

// objective is one set of labels that the objective holds for.
type objective struct {
	labels map[string]string
	failed float64 // share, over the window
	burn   []float64
}

// objectives answers with the state of an objective: how much of its error
// budget is left, and how fast it burns.
func (d *Datasource) objectives(ctx context.Context, q *Query) (data.Frames, error) {
	slo := SLO{}
	if q.SLO != nil {
		slo = *q.SLO
	}
	slo.Objective = cmp.Or(slo.Objective, defaultObjective)
	if slo.Objective <= 0 || slo.Objective >= 100 {
		return nil, invalidf("an objective of %g percent: it lies between 0 and 100", slo.Objective)
	}
	window, err := gtime.ParseDuration(cmp.Or(slo.Window, defaultWindow))
	if err != nil || window <= 0 {
		return nil, invalidf("the window %q is not a duration such as 30d", slo.Window)
	}
	expr, err := slo.expression()
	if err != nil {
		return nil, err
	}
	if expr, err = rewriteWindowed(expr, q.Filters); err != nil {
		return nil, err
	}
	found := map[string]*objective{}
	for i, w := range append([]time.Duration{window}, burnWindows()...) {
		res, err := d.client.MetricsInstant(ctx, rewrite.Macros{Interval: q.step, Range: q.to.Sub(q.from), Window: w}.Expand(expr), q.to)
		if err != nil {
			return nil, err
		}
		gather(found, res, i, 1-slo.Objective/100)
	}
	f := objectiveFrame(slo, cmp.Or(slo.Window, defaultWindow), found)
	f.Meta.ExecutedQueryString = expr
	return data.Frames{f}, nil
}

// rewriteWindowed adds filters to an expression that still has $__window in it.
func rewriteWindowed(expr string, filters []rewrite.Filter) (string, error) {
	if len(filters) == 0 {
		return expr, nil
	}
	// A length that nobody writes stands for the window while the expression is read.
	const stand = 7919 * time.Second
	out, err := rewrite.PromQL(rewrite.Macros{Window: stand}.Expand(expr), filters, nil)
	if err != nil {
		return "", invalid{err}
	}
	for _, written := range []string{"2h11m59s", rewrite.Duration(stand)} {
		out = strings.ReplaceAll(out, written, "${__window}")
	}
	return out, nil
}

func gather(found map[string]*objective, res *belfry.Result, window int, budget float64) {
	for _, s := range res.Series {
		if len(s.Values) == 0 || math.IsNaN(s.Values[0]) {
			continue
		}
		key := seriesName(s.Labels, "")
		o := found[key]
		if o == nil {
			o = &objective{labels: s.Labels, failed: math.NaN(), burn: []float64{math.NaN(), math.NaN(), math.NaN()}}
			found[key] = o
		}
		if window == 0 {
			o.failed = s.Values[0]
		} else {
			o.burn[window-1] = s.Values[0] / budget
		}
	}
}

func objectiveFrame(slo SLO, window string, found map[string]*objective) *data.Frame {
	keys := slices.Sorted(maps.Keys(found))
	n := len(keys)
	column := func() []float64 { return make([]float64, n) }
	reached, left, promised := column(), column(), column()
	burn := [][]float64{column(), column(), column()}
	names := make([]string, n)
	var sets []map[string]string
	for i, key := range keys {
		o := found[key]
		sets = append(sets, o.labels)
		names[i], promised[i] = slo.Name, slo.Objective
		reached[i] = 100 * (1 - o.failed)
		left[i] = 100 * (1 - o.failed/(1-slo.Objective/100))
		for w := range burn {
			burn[w][i] = o.burn[w]
		}
	}
	f := data.NewFrame("Objectives")
	if slo.Name != "" {
		f.Fields = append(f.Fields, data.NewField("objective", nil, names))
	}
	for _, name := range columns(sets) {
		values := make([]string, n)
		for i := range sets {
			values[i] = sets[i][name]
		}
		f.Fields = append(f.Fields, data.NewField(name, nil, values))
	}
	f.Fields = append(f.Fields,
		withUnit(data.NewField("promised", nil, promised), "percent"),
		withUnit(data.NewField("reached in "+window, nil, reached), "percent"),
		withUnit(data.NewField("budget left", nil, left), "percent"),
	)
	for w, length := range burnWindows() {
		f.Fields = append(f.Fields, data.NewField("burn rate "+rewrite.Duration(length), nil, burn[w]))
	}
	f.Meta = &data.FrameMeta{Type: data.FrameTypeTable, PreferredVisualization: data.VisTypeTable}
	if n == 0 {
		f.AppendNotices(data.Notice{Severity: data.NoticeSeverityInfo, Text: "Nothing was counted that the objective could be computed from. Belfry keeps no objectives: the query states one by its expressions."})
	}
	return f
}
