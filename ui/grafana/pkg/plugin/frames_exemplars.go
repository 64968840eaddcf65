package plugin

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
)

// maxExemplars are drawn at most; more of them hide each other.
const maxExemplars = 500

// exemplarFrame is drawn as markers on the graph, each with a link to its trace;
// nil if there is nothing to draw.
func (d *Datasource) exemplarFrame(list []belfry.Exemplar, q *Query) *data.Frame {
	if len(list) == 0 {
		return nil
	}
	list = thinned(list)
	slices.SortStableFunc(list, func(a, b belfry.Exemplar) int { return cmp.Compare(a.Time, b.Time) })
	times, values, traces := make([]time.Time, len(list)), make([]float64, len(list)), make([]string, len(list))
	names := map[string]struct{}{}
	for i, e := range list {
		times[i], values[i] = time.UnixMilli(e.Time).UTC(), e.Value
		traces[i] = traceIDOf(e.Labels)
		for _, labels := range []map[string]string{e.Labels, e.Series} {
			for name := range labels {
				if !slices.Contains(traceLabels, name) {
					names[name] = struct{}{}
				}
			}
		}
	}
	traceField := data.NewField("traceID", nil, traces)
	traceField.Config = &data.FieldConfig{DisplayName: "Trace", Links: []data.DataLink{d.traceLink("Open the trace", "${__value.raw}")}}
	f := data.NewFrame("exemplar", data.NewField("Time", nil, times), data.NewField("Value", nil, values), traceField)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		column := make([]string, len(list))
		for i, e := range list {
			column[i] = cmp.Or(e.Labels[name], e.Series[name])
		}
		f.Fields = append(f.Fields, data.NewField(name, nil, column))
	}
	f.Meta = &data.FrameMeta{DataTopic: data.DataTopicAnnotations, Custom: map[string]any{"resultType": "exemplar"}}
	return f
}

var traceLabels = []string{"trace_id", "traceID", "traceId", "trace:id"}

func traceIDOf(labels map[string]string) string {
	for _, name := range traceLabels {
		if v := labels[name]; v != "" {
			return v
		}
	}
	return ""
}

// thinned keeps the largest of each stretch of time.
func thinned(list []belfry.Exemplar) []belfry.Exemplar {
	if len(list) <= maxExemplars {
		return list
	}
	first, last := list[0].Time, list[0].Time
	for _, e := range list {
		first, last = min(first, e.Time), max(last, e.Time)
	}
	width := max(1, (last-first)/maxExemplars+1)
	best := map[int64]belfry.Exemplar{}
	for _, e := range list {
		at := (e.Time - first) / width
		if b, ok := best[at]; !ok || e.Value > b.Value {
			best[at] = e
		}
	}
	return slices.Collect(maps.Values(best))
}
