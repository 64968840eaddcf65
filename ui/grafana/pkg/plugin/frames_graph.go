package plugin

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// node is a service in a graph; edge a call between two.
type node struct {
	name     string
	subtitle string
	main     string
	second   string
	share    float64 // of what failed
	details  [2]float64
}

type edge struct {
	from, to     string
	main, second string
}

type graphNames struct{ details [2]string }

// graph are the two frames that Grafana's node graph draws.
func (d *Datasource) graph(nodes []node, edges []edge, names graphNames) data.Frames {
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Compare(a.name, b.name) })
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	n := len(nodes)
	ids, subtitles, mains, seconds := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	good, bad := make([]float64, n), make([]float64, n)
	details := [2][]float64{make([]float64, n), make([]float64, n)}
	for i, x := range nodes {
		ids[i], subtitles[i], mains[i], seconds[i] = x.name, x.subtitle, x.main, x.second
		good[i], bad[i] = 1-x.share, x.share
		details[0][i], details[1][i] = x.details[0], x.details[1]
	}
	colored := func(name, title, color string, values []float64) *data.Field {
		f := data.NewField(name, nil, values)
		f.Config = &data.FieldConfig{DisplayName: title, Color: map[string]any{"mode": "fixed", "fixedColor": color}}
		return f
	}
	detail := func(i int) *data.Field {
		f := data.NewField(fmt.Sprintf("detail__%d", i), nil, details[i])
		f.Config = &data.FieldConfig{DisplayName: names.details[i]}
		return f
	}
	nodeFrame := data.NewFrame("nodes",
		withLinks(data.NewField("id", nil, ids), d.serviceLinks("${__data.fields.id}")...),
		data.NewField("title", nil, slices.Clone(ids)), data.NewField("subtitle", nil, subtitles),
		data.NewField("mainstat", nil, mains), data.NewField("secondarystat", nil, seconds),
		colored("arc__success", "Succeeded", "green", good), colored("arc__failed", "Failed", "red", bad),
		detail(0), detail(1),
	)
	m := len(edges)
	edgeIDs, sources, targets := make([]string, m), make([]string, m), make([]string, m)
	edgeMains, edgeSeconds := make([]string, m), make([]string, m)
	for i, e := range edges {
		edgeIDs[i], sources[i], targets[i] = e.from+" > "+e.to, e.from, e.to
		edgeMains[i], edgeSeconds[i] = e.main, e.second
	}
	edgeFrame := data.NewFrame("edges",
		data.NewField("id", nil, edgeIDs), data.NewField("source", nil, sources), data.NewField("target", nil, targets),
		data.NewField("mainstat", nil, edgeMains), data.NewField("secondarystat", nil, edgeSeconds),
	)
	for _, f := range []*data.Frame{nodeFrame, edgeFrame} {
		f.Meta = &data.FrameMeta{PreferredVisualization: data.VisTypeNodeGraph}
	}
	return data.Frames{nodeFrame, edgeFrame}
}

// traceGraph are the services that one trace went through.
func (d *Datasource) traceGraph(spans []span) data.Frames {
	type sums struct {
		spans, failed int
		busy          float64 // ms in spans that another service, or nobody, is the parent of
	}
	services := map[string]*sums{}
	byID := make(map[string]*span, len(spans))
	for i := range spans {
		byID[string(spans[i].SpanId)] = &spans[i]
	}
	type pair struct{ from, to string }
	calls := map[pair]*sums{}
	for i := range spans {
		s := &spans[i]
		at := services[s.service]
		if at == nil {
			at = &sums{}
			services[s.service] = at
		}
		at.spans++
		if s.failed() {
			at.failed++
		}
		parent := byID[string(s.ParentSpanId)]
		if parent == nil || parent.service != s.service {
			at.busy += s.millis()
		}
		if parent != nil && parent.service != s.service {
			key := pair{parent.service, s.service}
			if calls[key] == nil {
				calls[key] = &sums{}
			}
			calls[key].spans++
			calls[key].busy += s.millis()
		}
	}
	var nodes []node
	for _, name := range slices.Sorted(maps.Keys(services)) {
		s := services[name]
		nodes = append(nodes, node{
			name: name, subtitle: fmt.Sprintf("%d spans", s.spans), main: fmt.Sprintf("%.4g ms", s.busy),
			second: fmt.Sprintf("%d errors", s.failed), share: float64(s.failed) / float64(s.spans),
			details: [2]float64{float64(s.spans), float64(s.failed)},
		})
	}
	var edges []edge
	for key, s := range calls {
		edges = append(edges, edge{key.from, key.to, fmt.Sprintf("%d calls", s.spans), fmt.Sprintf("%.4g ms", s.busy)})
	}
	return d.graph(nodes, edges, graphNames{[2]string{"Spans", "Spans that failed"}})
}
