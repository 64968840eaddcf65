package plugin

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
)

func fromNanos(s string) time.Time {
	ns, _ := strconv.ParseInt(s, 10, 64)
	return time.Unix(0, ns).UTC()
}

func withUnit(f *data.Field, unit string) *data.Field {
	f.Config = &data.FieldConfig{Unit: unit}
	return f
}

func withName(f *data.Field, name string) *data.Field {
	if f.Config == nil {
		f.Config = &data.FieldConfig{}
	}
	f.Config.DisplayNameFromDS = name
	return f
}

func withLinks(f *data.Field, links ...data.DataLink) *data.Field {
	if f.Config == nil {
		f.Config = &data.FieldConfig{}
	}
	f.Config.Links = links
	return f
}

// tracesFrame has a row a trace.
func (d *Datasource) tracesFrame(traces []belfry.TraceSummary) *data.Frame {
	n := len(traces)
	ids, services, names := make([]string, n), make([]string, n), make([]string, n)
	starts, durations := make([]time.Time, n), make([]float64, n)
	spans, errs, matched := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, t := range traces {
		ids[i], services[i], names[i] = t.TraceID, t.RootService, t.RootName
		starts[i], durations[i] = fromNanos(t.Start), float64(t.DurationMs)
		for _, s := range t.Services {
			spans[i] += s.Spans
			errs[i] += s.Errors
		}
		for _, set := range t.SpanSets {
			matched[i] += set.Matched
		}
	}
	return data.NewFrame("Traces",
		withName(withLinks(data.NewField("traceID", nil, ids), d.traceLink("Open the trace", "${__value.raw}")), "Trace"),
		withName(data.NewField("startTime", nil, starts), "Start"),
		withName(data.NewField("traceService", nil, services), "Service"),
		withName(data.NewField("traceName", nil, names), "Name"),
		withName(withUnit(data.NewField("traceDuration", nil, durations), "ms"), "Duration"),
		withName(data.NewField("spans", nil, spans), "Spans"),
		withName(data.NewField("errors", nil, errs), "Errors"),
		withName(data.NewField("matched", nil, matched), "Matching spans"),
	)
}

// spansFrame has a row a span that matched, with the attributes that the query
// named.
func (d *Datasource) spansFrame(traces []belfry.TraceSummary) *data.Frame {
	var ids, spanIDs, services, names []string
	var starts []time.Time
	var durations []float64
	attributes := map[string]map[int]string{}
	for _, t := range traces {
		for _, set := range t.SpanSets {
			for _, s := range set.Spans {
				for _, a := range s.Attributes {
					if attributes[a.Key] == nil {
						attributes[a.Key] = map[int]string{}
					}
					attributes[a.Key][len(ids)] = a.Text()
				}
				ids, spanIDs, services, names = append(ids, t.TraceID), append(spanIDs, s.SpanID), append(services, t.RootService), append(names, s.Name)
				ns, _ := strconv.ParseFloat(s.Duration, 64)
				starts, durations = append(starts, fromNanos(s.Start)), append(durations, ns/1e6)
			}
		}
	}
	f := data.NewFrame("Spans",
		withName(withLinks(data.NewField("traceID", nil, ids), d.traceLink("Open the trace", "${__value.raw}")), "Trace"),
		withName(data.NewField("spanID", nil, spanIDs), "Span"),
		withName(data.NewField("startTime", nil, starts), "Start"),
		withName(data.NewField("traceService", nil, services), "Root service"),
		withName(data.NewField("name", nil, names), "Name"),
		withName(withUnit(data.NewField("duration", nil, durations), "ms"), "Duration"),
	)
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		if key == "name" {
			continue
		}
		column := make([]string, len(ids))
		for i, v := range attributes[key] {
			column[i] = v
		}
		f.Fields = append(f.Fields, data.NewField(key, nil, column))
	}
	return f
}

func perSecond(v float64) string { return fmt.Sprintf("%.3g/s", v) }
