package api

import (
	"encoding/json"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"belfry/internal/fault"
	"belfry/traces"
	"belfry/traces/traceql"
)

func (j *jaeger) servicesV3(w http.ResponseWriter, r *http.Request) error {
	names, err := j.services(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"services": names})
	return nil
}

func (j *jaeger) operationsV3(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	list, err := j.operationKinds(r, p.text("service"), p.text("span_kind", "spanKind"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"operations": list})
	return nil
}

// writeOTLP answers with traces as OTLP's JSON, which has IDs in hex.
func writeOTLP(w http.ResponseWriter, trees []*traces.Tree) error {
	var data []byte
	for _, tree := range trees {
		data = traces.AppendTracesData(data, tree.Spans)
	}
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(data)
	if err != nil {
		return fault.New(fault.Internal, "encode traces: %w", err)
	}
	body, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	if err != nil {
		return fault.New(fault.Internal, "encode traces: %w", err)
	}
	writeJSON(w, http.StatusOK, map[string]json.RawMessage{"result": body})
	return nil
}

func (j *jaeger) traceV3(w http.ResponseWriter, r *http.Request) error {
	trees, err := j.tracesByID(r, []string{r.PathValue("id")})
	if err != nil {
		return err
	}
	if len(trees) == 0 {
		return fault.NotFoundf("trace not found")
	}
	return writeOTLP(w, trees)
}

func (j *jaeger) searchV3(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	either := func(snake, camel string) string { return p.text("query."+snake, "query."+camel) }
	for _, name := range [][2]string{
		{"start_time_min", "startTimeMin"}, {"start_time_max", "startTimeMax"}, {"duration_min", "durationMin"},
		{"duration_max", "durationMax"}, {"search_depth", "searchDepth"}, {"num_traces", "numTraces"},
	} {
		p.values.Set(name[0], either(name[0], name[1]))
	}
	limit := p.number("search_depth", 0, j.MaxLimit)
	if limit == 0 {
		limit = p.number("num_traces", 20, j.MaxLimit)
	}
	req := traceql.SearchRequest{Limit: limit}
	req.To = p.instant("start_time_max", time.Microsecond, j.Now().UnixNano()) + 1
	req.From = p.instant("start_time_min", time.Microsecond, req.To-int64(j.DefaultLookback))
	s := spanSearch{
		service: either("service_name", "serviceName"), operation: either("operation_name", "operationName"),
		minDuration: p.duration("duration_min"), maxDuration: p.duration("duration_max"),
	}
	if text := p.text("query.attributes"); text != "" {
		if err := json.Unmarshal([]byte(text), &s.tags); err != nil {
			p.fail("query.attributes", "%q is not a JSON object of texts", text)
		}
	}
	if p.err != nil {
		return p.err
	}
	var err error
	if req.Query, err = s.query(); err != nil {
		return err
	}
	trees, err := j.findTraces(r, req)
	if err != nil {
		return err
	}
	return writeOTLP(w, trees)
}
