package api

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"belfry/internal/fault"
	"belfry/traces"
	"belfry/traces/api/internal/jaegerpb"
)

func (j *jaeger) servicesV3(w http.ResponseWriter, r *http.Request) error {
	names, err := j.services(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"services": names})
	return nil
}

func (j *jaeger) operationsV3(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	list, err := j.operationKinds(r.Context(), p.text("service"), p.text("span_kind", "spanKind"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"operations": list})
	return nil
}

// writeOTLP answers with traces as OTLP's JSON, which has IDs in hex.
func writeOTLP(w http.ResponseWriter, f *found) error {
	f.tellCut(w.Header())
	var data []byte
	for _, tree := range f.trees {
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
	f, err := j.tracesByID(r.Context(), []string{r.PathValue("id")})
	if err != nil {
		return err
	}
	if len(f.trees) == 0 {
		return fault.NotFoundf("trace not found")
	}
	return writeOTLP(w, f)
}

// queryV3 reads the parameters of a search, from the URL (query.service_name,
// query.serviceName and so on) or, of a POST, from a body in JSON.
func (j *jaeger) queryV3(r *http.Request) (*jaegerpb.TraceQueryParameters, error) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, fault.Invalidf("%w", err)
		}
		m := new(jaegerpb.FindTracesRequest)
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, m); err != nil {
			return nil, fault.Invalidf("%w", err)
		}
		return m.Query, nil
	}
	p := paramsOf(r)
	either := func(snake, camel string) string { return p.text("query."+snake, "query."+camel) }
	for _, name := range [][2]string{
		{"start_time_min", "startTimeMin"}, {"start_time_max", "startTimeMax"}, {"duration_min", "durationMin"},
		{"duration_max", "durationMax"}, {"search_depth", "searchDepth"}, {"num_traces", "numTraces"}, {"page_size", "pageSize"},
	} {
		p.values.Set(name[0], either(name[0], name[1]))
	}
	limit := p.number("search_depth", 0, j.MaxLimit)
	if limit == 0 {
		limit = p.number("num_traces", 0, j.MaxLimit)
	}
	to := p.instant("start_time_max", time.Microsecond, j.Now().UnixNano()) + 1
	from := p.instant("start_time_min", time.Microsecond, to-int64(j.DefaultLookback))
	q := &jaegerpb.TraceQueryParameters{
		ServiceName: either("service_name", "serviceName"), OperationName: either("operation_name", "operationName"),
		SearchDepth:  int32(limit),
		StartTimeMin: timestamppb.New(time.Unix(0, from)), StartTimeMax: timestamppb.New(time.Unix(0, to)),
		DurationMin: durationpb.New(p.duration("duration_min")), DurationMax: durationpb.New(p.duration("duration_max")),
		Filter: []byte(p.text("query.filter")), Attributes: map[string]string{},
	}
	if text := p.text("query.attributes"); text != "" {
		tags := map[string]tagText{}
		if err := json.Unmarshal([]byte(text), &tags); err != nil {
			p.fail("query.attributes", "%q is not a JSON object of texts", text)
		}
		for key, value := range tags {
			q.Attributes[key] = string(value)
		}
	}
	size := p.text("query.pagination.page_size", "query.pagination.pageSize")
	if size != "" {
		p.values.Set("page_size", size)
		q.Pagination = &jaegerpb.Pagination{
			PageSize:  uint32(p.number("page_size", 0, j.MaxLimit)),
			PageToken: p.text("query.pagination.page_token", "query.pagination.pageToken"),
		}
	}
	return q, p.err
}

func (j *jaeger) searchV3(w http.ResponseWriter, r *http.Request) error {
	q, err := j.queryV3(r)
	if err != nil {
		return err
	}
	req, err := j.searchV3Of(q, false)
	if err != nil {
		return err
	}
	f, err := j.findTraces(r.Context(), req)
	if err != nil {
		return err
	}
	return writeOTLP(w, f)
}

// traceSummaries lists what a search finds without its spans.
func (j *jaeger) traceSummaries(w http.ResponseWriter, r *http.Request) error {
	q, err := j.queryV3(r)
	if err != nil {
		return err
	}
	req, err := j.searchV3Of(q, true)
	if err != nil {
		return err
	}
	f, err := j.findTraces(r.Context(), req)
	if err != nil {
		return err
	}
	f.tellCut(w.Header())
	body, err := protojson.Marshal(summariesV3(f, q))
	if err != nil {
		return fault.New(fault.Internal, "encode summaries: %w", err)
	}
	writeJSON(w, http.StatusOK, map[string]json.RawMessage{"result": body})
	return nil
}
