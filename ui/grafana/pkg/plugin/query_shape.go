package plugin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
	"belfry/ui/grafana/pkg/rewrite"
)

const maxCounts = 50

// cardinality answers with what has the most series: metrics, labels, and pairs
// of label and value; and which metrics are new, or asked for by nobody.
func (d *Datasource) cardinality(ctx context.Context, q *Query) (data.Frames, error) {
	limit := clamp(q.Limit, defaultTraces, maxCounts)
	known, err := d.client.Cardinality(ctx, limit)
	if belfry.Missing(err) {
		known, err = d.headCardinality(ctx, limit)
	}
	if err != nil {
		return nil, err
	}
	labels, pairs := make([]belfry.NamedCount, 0, len(known.Labels)), make([]belfry.NamedCount, 0, len(known.Pairs))
	for _, l := range known.Labels {
		labels = append(labels, belfry.NamedCount{Name: l.Name, Value: l.Values})
	}
	for _, p := range known.Pairs {
		pairs = append(pairs, belfry.NamedCount{Name: p.Pair, Value: p.Series})
	}
	views := map[string]*data.Frame{
		"metrics": d.metricUses("Series by metric", known.Metrics, known.Series),
		"labels":  d.countFrame("Values by label", "label", "values", labels, 0, `topk(20, count by (${__value.raw}) ({${__value.raw}!=""}))`),
		"pairs":   d.countFrame("Series by label and value", "pair", "series", pairs, known.Series, ""),
		"churn":   d.metricUses("New series by metric", known.Churn, known.Series),
		"unused":  d.metricUses("Series that nobody asks for", known.Unused, known.Series),
	}
	if q.View == "" {
		return data.Frames{views["metrics"], views["labels"], views["pairs"]}, nil
	}
	frame, ok := views[q.View]
	if !ok {
		return nil, invalidf("%q is not a view of cardinality: it is metrics, labels, pairs, churn or unused", q.View)
	}
	if frame.Rows() == 0 && len(known.Churn)+len(known.Unused) == 0 && (q.View == "churn" || q.View == "unused") {
		frame.AppendNotices(data.Notice{Severity: data.NoticeSeverityInfo, Text: "There is nothing to show, or this Belfry does not know it yet."})
	}
	return data.Frames{frame}, nil
}

// headCardinality asks as one asks a Prometheus.
func (d *Datasource) headCardinality(ctx context.Context, limit int) (*belfry.Cardinality, error) {
	status, err := d.client.TSDBStatus(ctx, limit)
	if err != nil {
		return nil, err
	}
	out := &belfry.Cardinality{Series: status.HeadStats.NumSeries}
	for _, c := range status.SeriesByMetric {
		out.Metrics = append(out.Metrics, belfry.MetricUse{Name: c.Name, Series: c.Value})
	}
	for _, c := range status.ValuesByLabel {
		out.Labels = append(out.Labels, belfry.LabelCount{Name: c.Name, Values: c.Value})
	}
	for _, c := range status.SeriesByPair {
		out.Pairs = append(out.Pairs, belfry.PairCount{Pair: c.Name, Series: c.Value})
	}
	return out, nil
}

func (d *Datasource) metricUses(title string, list []belfry.MetricUse, total int64) *data.Frame {
	counts := make([]belfry.NamedCount, 0, len(list))
	created, asked, senders := make([]int64, len(list)), make([]*time.Time, len(list)), make([]string, len(list))
	for i, m := range list {
		counts = append(counts, belfry.NamedCount{Name: m.Name, Value: m.Series})
		created[i], asked[i] = m.CreatedLastHour, m.LastQueried
		var names []string
		for _, s := range m.Senders {
			names = append(names, s.Value)
		}
		senders[i] = strings.Join(names, ", ")
	}
	f := d.countFrame(title, "metric", "series", counts, total, `{__name__="${__value.raw}"}`)
	f.Fields = append(f.Fields, data.NewField("created in the last hour", nil, created), data.NewField("last asked for", nil, asked),
		data.NewField("sent by", nil, senders))
	return f
}

func (d *Datasource) countFrame(title, what, counted string, list []belfry.NamedCount, total int64, link string) *data.Frame {
	names, counts, shares := make([]string, len(list)), make([]int64, len(list)), make([]float64, len(list))
	for i, c := range list {
		names[i], counts[i] = c.Name, c.Value
		if total > 0 {
			shares[i] = float64(c.Value) / float64(total)
		}
	}
	name := data.NewField(what, nil, names)
	if link != "" {
		withLinks(name, d.metricsLink("Show the series", link))
	}
	f := data.NewFrame(title, name, data.NewField(counted, nil, counts))
	if total > 0 {
		f.Fields = append(f.Fields, withUnit(data.NewField("share", nil, shares), "percentunit"))
	}
	f.Meta = &data.FrameMeta{Type: data.FrameTypeTable, PreferredVisualization: data.VisTypeTable}
	return f
}

// drawnPatterns are the commonest patterns, which are drawn over time as well.
const drawnPatterns = 10

// patterns answers with the shapes of the lines that a selector selects.
func (d *Datasource) patterns(ctx context.Context, q *Query) (data.Frames, error) {
	expr := q.Expr
	if strings.TrimSpace(expr) == "" {
		expr = "{}"
	}
	expr, err := rewrite.LogQL(expr, q.Filters, nil)
	if err != nil {
		return nil, invalid{err}
	}
	list, err := d.client.Patterns(ctx, rewrite.Selection(expr), q.from, q.to, q.step)
	if err != nil {
		return nil, err
	}
	totals := make([]int64, len(list))
	var all int64
	for i, p := range list {
		for _, s := range p.Samples {
			totals[i] += s[1]
		}
		all += totals[i]
	}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(totals[b], totals[a]) })
	texts, levels := make([]string, len(list)), make([]string, len(list))
	counts, shares, filters := make([]int64, len(list)), make([]float64, len(list)), make([]string, len(list))
	for i, at := range order {
		texts[i], levels[i], counts[i] = list[at].Pattern, list[at].Level, totals[at]
		shares[i] = float64(totals[at]) / float64(max(1, all))
		filters[i] = "|> `" + strings.ReplaceAll(list[at].Pattern, "`", "<_>") + "`"
	}
	table := data.NewFrame("Patterns",
		data.NewField("level", nil, levels), data.NewField("count", nil, counts),
		withUnit(data.NewField("share", nil, shares), "percentunit"),
		withLinks(data.NewField("pattern", nil, texts), d.streamLink("Show its lines", rewrite.Selection(expr)+" ${__data.fields.filter}")),
		data.NewField("filter", nil, filters),
	)
	table.Meta = &data.FrameMeta{Type: data.FrameTypeTable, PreferredVisualization: data.VisTypeTable, ExecutedQueryString: expr}
	frames := data.Frames{table}
	if q.Format == "time_series" {
		frames = nil
	}
	if q.Format == "table" {
		return frames, nil
	}
	for _, at := range order[:min(len(order), drawnPatterns)] {
		s := belfry.Series{Labels: map[string]string{"level": list[at].Level, "pattern": list[at].Pattern}}
		for _, sample := range list[at].Samples {
			s.Times, s.Values = append(s.Times, sample[0]*1000), append(s.Values, float64(sample[1]))
		}
		f := seriesFrame(s, list[at].Pattern, q.step)
		f.Meta = &data.FrameMeta{Type: data.FrameTypeTimeSeriesMulti, TypeVersion: version(), PreferredVisualization: data.VisTypeGraph}
		frames = append(frames, f)
	}
	return frames, nil
}

// serviceMap answers with which service calls which, how often and how fast: from
// the series that Belfry counts in spans, or else from the spans themselves.
func (d *Datasource) serviceMap(ctx context.Context, q *Query) (data.Frames, error) {
	window := rewrite.Duration(max(q.to.Sub(q.from).Truncate(time.Second), time.Minute))
	calls := map[[2]string]*callStats{}
	for i, metric := range []string{
		"traces_service_graph_request_total", "traces_service_graph_request_failed_total",
		"traces_service_graph_request_server_seconds_sum", "traces_service_graph_request_server_seconds_count",
	} {
		expr, err := rewrite.PromQL("sum by (client, server) (rate("+metric+"["+window+"]))", mapFilters(q), nil)
		if err != nil {
			return nil, invalid{err}
		}
		res, err := d.client.MetricsInstant(ctx, expr, q.to)
		if err != nil {
			return nil, err
		}
		for _, s := range res.Series {
			key := [2]string{s.Labels["client"], s.Labels["server"]}
			if calls[key] == nil {
				calls[key] = &callStats{}
			}
			if len(s.Values) > 0 {
				calls[key].v[i] = s.Values[0]
			}
		}
	}
	if len(calls) == 0 {
		return d.countedCalls(ctx, q)
	}
	return d.mapOf(calls, q.Service), nil
}

func mapFilters(q *Query) []rewrite.Filter {
	var out []rewrite.Filter
	for _, f := range q.Filters {
		if name := rewrite.LabelName(f.Key); name == "client" || name == "server" || name == "connection_type" {
			out = append(out, f)
		}
	}
	return out
}

// callStats are requests, failures, seconds and counts of durations, a second.
type callStats struct{ v [4]float64 }

func (c *callStats) millis() float64 {
	if c.v[3] == 0 {
		return 0
	}
	return 1000 * c.v[2] / c.v[3]
}

func (d *Datasource) mapOf(calls map[[2]string]*callStats, service string) data.Frames {
	in := map[string]*callStats{}
	var edges []edge
	for key, c := range calls {
		if service != "" && key[0] != service && key[1] != service {
			continue
		}
		for _, name := range key {
			if in[name] == nil {
				in[name] = &callStats{}
			}
		}
		for i := range c.v {
			in[key[1]].v[i] += c.v[i]
		}
		edges = append(edges, edge{key[0], key[1], perSecond(c.v[0]), fmt.Sprintf("%.4g ms", c.millis())})
	}
	nodes := make([]node, 0, len(in))
	for name, c := range in {
		n := node{name: name, main: fmt.Sprintf("%.4g ms", c.millis()), second: perSecond(c.v[0]), details: [2]float64{c.v[0], c.v[1]}}
		if c.v[0] > 0 {
			n.share = min(1, c.v[1]/c.v[0])
		}
		nodes = append(nodes, n)
	}
	return d.graph(nodes, edges, graphNames{[2]string{"Requests a second", "Failures a second"}})
}

func (d *Datasource) countedCalls(ctx context.Context, q *Query) (data.Frames, error) {
	list, err := d.client.Calls(ctx, q.from, q.to)
	if err != nil {
		return nil, err
	}
	calls := map[[2]string]*callStats{}
	for _, c := range list {
		calls[[2]string{c.Parent, c.Child}] = &callStats{v: [4]float64{float64(c.Count) / q.to.Sub(q.from).Seconds()}}
	}
	return d.mapOf(calls, q.Service), nil
}
