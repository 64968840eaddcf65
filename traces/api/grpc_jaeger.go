package api

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"belfry/internal/fault"
	"belfry/traces"
	"belfry/traces/api/internal/jaegerpb"
	"belfry/traces/traceql"
)

// maxChunkSpans is how many spans one message of a stream of traces has at most.
const maxChunkSpans = 2000

// jaegerQuery is Jaeger's query service, version 3.
type jaegerQuery struct {
	jaegerpb.UnimplementedQueryServiceServer
	catalog
}

// tellCutTo says in a call's trailer that some traces are not whole.
func (f *found) tellCutTo(stream grpc.ServerStream) {
	if len(f.cut) > 0 {
		stream.SetTrailer(metadata.Pairs(strings.ToLower(CutHeader), "spans"))
	}
}

// sendTraces sends traces in messages that hold spans of one trace only, large
// traces in several that follow each other.
func sendTraces[T any](stream grpc.ServerStreamingServer[T], f *found, message func() (*T, proto.Message)) error {
	f.tellCutTo(stream)
	for _, tree := range f.trees {
		for spans := tree.Spans; len(spans) > 0; {
			n := min(len(spans), maxChunkSpans)
			out, m := message()
			if err := proto.Unmarshal(traces.AppendTracesData(nil, spans[:n]), m); err != nil {
				return fault.New(fault.Internal, "encode trace: %w", err)
			}
			if err := stream.Send(out); err != nil {
				return err
			}
			spans = spans[n:]
		}
	}
	return nil
}

func newTracesV3() (*jaegerpb.TracesData, proto.Message) {
	m := new(jaegerpb.TracesData)
	return m, m
}

// GetTrace implements jaegerpb.QueryServiceServer.
func (j *jaegerQuery) GetTrace(r *jaegerpb.GetTraceRequest, stream grpc.ServerStreamingServer[jaegerpb.TracesData]) error {
	id, err := traces.ParseTraceID(r.TraceId)
	if err != nil {
		return err
	}
	from, to := times(r.StartTime, r.EndTime, 0, 0)
	f, err := j.traces(stream.Context(), []traces.TraceID{id}, from, to)
	if err != nil {
		return err
	}
	if len(f.trees) == 0 {
		return fault.NotFoundf("trace not found")
	}
	return sendTraces(stream, f, newTracesV3)
}

// searchV3Of reads the parameters of a search; paged says whether its answer can
// say how to go on.
func (c *catalog) searchV3Of(q *jaegerpb.TraceQueryParameters, paged bool) (traceql.SearchRequest, error) {
	if q == nil {
		return traceql.SearchRequest{}, fault.Invalidf("the request has no query")
	}
	tags := make(map[string]tagText, len(q.Attributes))
	for key, value := range q.Attributes {
		tags[key] = tagText(value)
	}
	return c.searchRequestOf(q, tags, pageOf(q.Pagination), paged)
}

// FindTraces implements jaegerpb.QueryServiceServer.
func (j *jaegerQuery) FindTraces(r *jaegerpb.FindTracesRequest, stream grpc.ServerStreamingServer[jaegerpb.TracesData]) error {
	req, err := j.searchV3Of(r.Query, false)
	if err != nil {
		return err
	}
	f, err := j.findTraces(stream.Context(), req)
	if err != nil {
		return err
	}
	return sendTraces(stream, f, newTracesV3)
}

// FindTraceSummaries implements jaegerpb.QueryServiceServer.
func (j *jaegerQuery) FindTraceSummaries(r *jaegerpb.FindTraceSummariesRequest, stream grpc.ServerStreamingServer[jaegerpb.FindTraceSummariesResponse]) error {
	req, err := j.searchV3Of(r.Query, true)
	if err != nil {
		return err
	}
	f, err := j.findTraces(stream.Context(), req)
	if err != nil {
		return err
	}
	f.tellCutTo(stream)
	return stream.Send(summariesV3(f, r.Query))
}

func summariesV3(f *found, q *jaegerpb.TraceQueryParameters) *jaegerpb.FindTraceSummariesResponse {
	answer := new(jaegerpb.FindTraceSummariesResponse)
	for _, tree := range f.trees {
		s := summaryOf(tree)
		m := &jaegerpb.TraceSummary{
			TraceId: s.id.String(), RootServiceName: s.rootService, RootOperationName: s.rootName,
			MinStartTimeUnixNano: uint64(s.start), MaxEndTimeUnixNano: uint64(s.end),
			SpanCount: int32(s.spans), ErrorSpanCount: int32(s.errors), OrphanSpanCount: int32(s.orphans),
		}
		for _, service := range s.services {
			m.Services = append(m.Services, &jaegerpb.ServiceSummary{Name: service.name, SpanCount: int32(service.spans), ErrorSpanCount: int32(service.errors)})
		}
		answer.Summaries = append(answer.Summaries, m)
	}
	if f.next != nil && q.Pagination != nil {
		answer.NextPageToken = f.next.String()
	}
	return answer
}

// GetServices implements jaegerpb.QueryServiceServer.
func (j *jaegerQuery) GetServices(ctx context.Context, _ *jaegerpb.GetServicesRequest) (*jaegerpb.GetServicesResponse, error) {
	names, err := j.services(ctx)
	return &jaegerpb.GetServicesResponse{Services: names}, err
}

// GetOperations implements jaegerpb.QueryServiceServer.
func (j *jaegerQuery) GetOperations(ctx context.Context, r *jaegerpb.GetOperationsRequest) (*jaegerpb.GetOperationsResponse, error) {
	list, err := j.operationKinds(ctx, r.Service, r.SpanKind)
	if err != nil {
		return nil, err
	}
	answer := new(jaegerpb.GetOperationsResponse)
	for _, o := range list {
		answer.Operations = append(answer.Operations, &jaegerpb.Operation{Name: o.Name, SpanKind: o.SpanKind})
	}
	return answer, nil
}

// GetDependencies implements jaegerpb.QueryServiceServer.
func (j *jaegerQuery) GetDependencies(ctx context.Context, r *jaegerpb.GetDependenciesRequest) (*jaegerpb.DependenciesResponse, error) {
	now := j.Now().UnixNano()
	from, to := times(r.StartTime, r.EndTime, now-int64(j.DefaultLookback), now)
	graph, err := j.graphBetween(ctx, from, to)
	if err != nil {
		return nil, err
	}
	answer := new(jaegerpb.DependenciesResponse)
	for _, e := range graph.Edges {
		answer.Dependencies = append(answer.Dependencies, &jaegerpb.Dependency{Parent: e.Parent, Child: e.Child, CallCount: uint64(e.Calls)})
	}
	return answer, nil
}
