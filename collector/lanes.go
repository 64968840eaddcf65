package collector

import (
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pipeline"

	"belfry/collector/internal/ingest"
)

// direct returns the signals of which a receiver's requests may go to the store
// as bytes: it feeds one pipeline of that signal, nothing in the pipeline looks
// at records, and the pipeline leads to the store alone.
func (r *resolved) direct(receiver component.ID) ingest.Direct {
	var d ingest.Direct
	d[ingest.Logs] = r.isDirect(receiver, pipeline.SignalLogs)
	d[ingest.Traces] = r.isDirect(receiver, pipeline.SignalTraces)
	d[ingest.Metrics] = r.isDirect(receiver, pipeline.SignalMetrics)
	return d
}

func (r *resolved) isDirect(receiver component.ID, signal pipeline.Signal) bool {
	fed := 0
	for id, p := range r.service.Pipelines {
		if id.Signal() != signal || !contains(p.Receivers, receiver) {
			continue
		}
		if fed++; fed > 1 {
			return false
		}
		for _, processor := range p.Processors {
			if processor.Type().String() != "memory_limiter" {
				return false
			}
		}
		if len(p.Exporters) != 1 || p.Exporters[0].Type().String() != "belfry" {
			return false
		}
	}
	return fed == 1
}

// detachments returns, by pipeline, the component that makes it acknowledge
// records before they are kept.
func (r *resolved) detachments() map[string]string {
	out := map[string]string{}
	for id, p := range r.service.Pipelines {
		for _, processor := range p.Processors {
			if detached(processor.Type()) {
				out[id.String()] = processor.String()
			}
		}
	}
	return out
}

func contains(ids []component.ID, id component.ID) bool {
	return slices.Contains(ids, id)
}
