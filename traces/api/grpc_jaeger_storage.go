package api

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"belfry/internal/fault"
	"belfry/traces"
	"belfry/traces/api/internal/jaegerstoragepb"
	"belfry/traces/traceql"
)

// jaegerStorage is what Jaeger asks of a remote storage, version 2: with it
// Belfry is a backend of Jaeger's.
type jaegerStorage struct {
	jaegerstoragepb.UnimplementedTraceReaderServer
	jaegerstoragepb.UnimplementedDependencyReaderServer
	jaegerstoragepb.UnimplementedCapabilitiesServer
	catalog
}

// GetCapabilities implements jaegerstoragepb.CapabilitiesServer.
func (j *jaegerStorage) GetCapabilities(context.Context, *jaegerstoragepb.GetCapabilitiesRequest) (*jaegerstoragepb.GetCapabilitiesResponse, error) {
	return &jaegerstoragepb.GetCapabilitiesResponse{Search: &jaegerstoragepb.SearchCapabilities{
		WithoutServiceName: true, SameSpanConjunction: true, Paginated: true,
	}}, nil
}

func newStoredTraces() (*jaegerstoragepb.TracesData, proto.Message) {
	m := new(jaegerstoragepb.TracesData)
	return m, m
}

func traceIDOf(b []byte) (id traces.TraceID, err error) {
	if len(b) != len(id) {
		return id, fault.Invalidf("trace ID of %d bytes, want %d", len(b), len(id))
	}
	return traces.TraceID(b), nil
}

// GetTraces implements jaegerstoragepb.TraceReaderServer. IDs of which nothing
// is stored are left out.
func (j *jaegerStorage) GetTraces(r *jaegerstoragepb.GetTracesRequest, stream grpc.ServerStreamingServer[jaegerstoragepb.TracesData]) error {
	ids := make([]traces.TraceID, 0, len(r.Query))
	for _, q := range r.Query {
		id, err := traceIDOf(q.TraceId)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	f, err := j.traces(stream.Context(), ids, 0, 0)
	if err != nil {
		return err
	}
	return sendTraces(stream, f, newStoredTraces)
}

// GetServices implements jaegerstoragepb.TraceReaderServer.
func (j *jaegerStorage) GetServices(ctx context.Context, _ *jaegerstoragepb.GetServicesRequest) (*jaegerstoragepb.GetServicesResponse, error) {
	names, err := j.services(ctx)
	return &jaegerstoragepb.GetServicesResponse{Services: names}, err
}

// GetOperations implements jaegerstoragepb.TraceReaderServer.
func (j *jaegerStorage) GetOperations(ctx context.Context, r *jaegerstoragepb.GetOperationsRequest) (*jaegerstoragepb.GetOperationsResponse, error) {
	list, err := j.operationKinds(ctx, r.Service, r.SpanKind)
	if err != nil {
		return nil, err
	}
	answer := new(jaegerstoragepb.GetOperationsResponse)
	for _, o := range list {
		answer.Operations = append(answer.Operations, &jaegerstoragepb.Operation{Name: o.Name, SpanKind: o.SpanKind})
	}
	return answer, nil
}

func (j *jaegerStorage) searchOf(q *jaegerstoragepb.TraceQueryParameters, paged bool) (traceql.SearchRequest, error) {
	if q == nil {
		return traceql.SearchRequest{}, fault.Invalidf("the request has no query")
	}
	tags := make(map[string]tagText, len(q.Attributes))
	for _, b := range q.Attributes {
		key, value, err := attributeText(b)
		if err != nil {
			return traceql.SearchRequest{}, err
		}
		tags[key] = value
	}
	return j.searchRequestOf(q, tags, pageOf(q.Pagination), paged)
}

// attributeText reads a KeyValue of a search, whose value is one of text, or of
// a number or boolean that stands for its text.
func attributeText(b []byte) (key string, value tagText, err error) {
	var kv commonpb.KeyValue
	if err := proto.Unmarshal(b, &kv); err != nil {
		return "", "", fault.Invalidf("query.attributes: %w", err)
	}
	var v traces.Value
	switch x := kv.Value.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		v = traces.String(x.StringValue)
	case *commonpb.AnyValue_IntValue:
		v = traces.Int(x.IntValue)
	case *commonpb.AnyValue_DoubleValue:
		v = traces.Float(x.DoubleValue)
	case *commonpb.AnyValue_BoolValue:
		v = traces.Bool(x.BoolValue)
	default:
		return "", "", fault.Invalidf("query.attributes: the value of %q is neither text, number nor boolean", kv.Key)
	}
	return kv.Key, tagText(v.Text()), nil
}

// FindTraces implements jaegerstoragepb.TraceReaderServer.
func (j *jaegerStorage) FindTraces(r *jaegerstoragepb.FindTracesRequest, stream grpc.ServerStreamingServer[jaegerstoragepb.TracesData]) error {
	req, err := j.searchOf(r.Query, false)
	if err != nil {
		return err
	}
	f, err := j.findTraces(stream.Context(), req)
	if err != nil {
		return err
	}
	return sendTraces(stream, f, newStoredTraces)
}

// FindTraceIDs implements jaegerstoragepb.TraceReaderServer.
func (j *jaegerStorage) FindTraceIDs(ctx context.Context, r *jaegerstoragepb.FindTraceIDsRequest) (*jaegerstoragepb.FindTraceIDsResponse, error) {
	req, err := j.searchOf(r.Query, true)
	if err != nil {
		return nil, err
	}
	found, err := j.searchTraces(ctx, req)
	if err != nil {
		return nil, err
	}
	answer := new(jaegerstoragepb.FindTraceIDsResponse)
	for i := range found.Traces {
		s := &found.Traces[i]
		answer.TraceIds = append(answer.TraceIds, &jaegerstoragepb.FoundTraceID{
			TraceId: s.ID[:], Start: timestamppb.New(time.Unix(0, s.Start)), End: timestamppb.New(time.Unix(0, s.Start+s.Duration)),
		})
	}
	if found.Next != nil && r.Query.Pagination != nil {
		answer.NextPageToken = found.Next.String()
	}
	return answer, nil
}

// FindTraceSummaries implements jaegerstoragepb.TraceReaderServer.
func (j *jaegerStorage) FindTraceSummaries(r *jaegerstoragepb.FindTraceSummariesRequest, stream grpc.ServerStreamingServer[jaegerstoragepb.FindTraceSummariesResponse]) error {
	req, err := j.searchOf(r.Query, true)
	if err != nil {
		return err
	}
	f, err := j.findTraces(stream.Context(), req)
	if err != nil {
		return err
	}
	f.tellCutTo(stream)
	answer := new(jaegerstoragepb.FindTraceSummariesResponse)
	for _, tree := range f.trees {
		s := summaryOf(tree)
		m := &jaegerstoragepb.TraceSummary{
			TraceId: s.id[:], RootServiceName: s.rootService, RootOperationName: s.rootName,
			MinStartTimeUnixNano: uint64(s.start), MaxEndTimeUnixNano: uint64(s.end),
			SpanCount: int32(s.spans), ErrorSpanCount: int32(s.errors), OrphanSpanCount: int32(s.orphans),
		}
		for _, service := range s.services {
			m.Services = append(m.Services, &jaegerstoragepb.ServiceSummary{Name: service.name, SpanCount: int32(service.spans), ErrorSpanCount: int32(service.errors)})
		}
		answer.Summaries = append(answer.Summaries, m)
	}
	if f.next != nil && r.Query.Pagination != nil {
		answer.NextPageToken = f.next.String()
	}
	return stream.Send(answer)
}

// GetDependencies implements jaegerstoragepb.DependencyReaderServer.
func (j *jaegerStorage) GetDependencies(ctx context.Context, r *jaegerstoragepb.GetDependenciesRequest) (*jaegerstoragepb.GetDependenciesResponse, error) {
	now := j.Now().UnixNano()
	from, to := times(r.StartTime, r.EndTime, now-int64(j.DefaultLookback), now)
	graph, err := j.graphBetween(ctx, from, to)
	if err != nil {
		return nil, err
	}
	answer := new(jaegerstoragepb.GetDependenciesResponse)
	for _, e := range graph.Edges {
		answer.Dependencies = append(answer.Dependencies, &jaegerstoragepb.Dependency{Parent: e.Parent, Child: e.Child, CallCount: uint64(e.Calls)})
	}
	return answer, nil
}
