package plugin

import (
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// linkQuery is the query of an internal link, in the words of its target.
type linkQuery map[string]any

func (d *Datasource) link(title string, target Target, query linkQuery) data.DataLink {
	uid := target.UID
	if uid == "" {
		uid = d.uid
	}
	query["refId"] = "A"
	query["datasource"] = map[string]any{"uid": uid, "type": targetType(target)}
	return data.DataLink{Title: title, Internal: &data.InternalDataLink{DatasourceUID: uid, Query: query}}
}

func targetType(t Target) string {
	if t.UID == "" || t.Type == "" {
		return ID
	}
	return t.Type
}

// traceLink leads from a trace's ID to the trace.
func (d *Datasource) traceLink(title, id string) data.DataLink {
	return d.traceLinkTo(title, id, d.settings.Targets.Traces)
}

func (d *Datasource) traceLinkTo(title, id string, target Target) data.DataLink {
	switch targetType(target) {
	case "tempo":
		return d.link(title, target, linkQuery{"query": id, "queryType": "traceql"})
	case "jaeger", "zipkin":
		return d.link(title, target, linkQuery{"query": id})
	case ID:
		return d.link(title, target, linkQuery{"queryType": typeTraces, "expr": id})
	default:
		return d.link(title, target, linkQuery{"query": id, "expr": id})
	}
}

// logsLink leads to lines. everything is the selector of all streams in the words
// of the target: Loki knows no empty one.
func (d *Datasource) logsLink(title, pipeline string) data.DataLink {
	target := d.settings.Targets.Logs
	if targetType(target) == ID {
		return d.link(title, target, linkQuery{"queryType": typeLogs, "expr": "{}" + pipeline})
	}
	return d.link(title, target, linkQuery{"queryType": "range", "expr": `{service_name=~".+"}` + pipeline})
}

// streamLink leads to the lines of a selector.
func (d *Datasource) streamLink(title, expr string) data.DataLink {
	target := d.settings.Targets.Logs
	if targetType(target) == ID {
		return d.link(title, target, linkQuery{"queryType": typeLogs, "expr": expr})
	}
	return d.link(title, target, linkQuery{"queryType": "range", "expr": expr})
}

// metricsLink leads to series.
func (d *Datasource) metricsLink(title, expr string) data.DataLink {
	target := d.settings.Targets.Metrics
	if targetType(target) == ID {
		return d.link(title, target, linkQuery{"queryType": typeMetrics, "expr": expr})
	}
	return d.link(title, target, linkQuery{"range": true, "expr": expr})
}

// searchLink leads to traces.
func (d *Datasource) searchLink(title, expr string) data.DataLink {
	target := d.settings.Targets.Traces
	if targetType(target) == "tempo" {
		return d.link(title, target, linkQuery{"query": expr, "queryType": "traceql"})
	}
	return d.link(title, Target{}, linkQuery{"queryType": typeTraces, "expr": expr})
}

// ownLink leads to a query that only this data source has.
func (d *Datasource) ownLink(title string, query linkQuery) data.DataLink {
	return d.link(title, Target{}, query)
}

// serviceLinks lead from whatever names a service to its logs, traces and
// operations. name is the variable that holds the service's name.
func (d *Datasource) serviceLinks(name string) []data.DataLink {
	return []data.DataLink{
		d.streamLink("Logs of this service", `{service_name="`+name+`"}`),
		d.searchLink("Traces of this service", `{resource.service.name="`+name+`"}`),
		d.metricsLink("Operations of this service", `sum by (span_name) (rate(traces_spanmetrics_calls_total{service="`+name+`"}[$__rate_interval]))`),
	}
}
