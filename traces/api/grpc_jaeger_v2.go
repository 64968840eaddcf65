package api

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/jaegertracing/jaeger-idl/model/v1"
	jaegerv2 "github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	translator "github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/jaeger"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc"

	"belfry/internal/fault"
	"belfry/traces"
)

// jaegerQueryV2 is Jaeger's query service, version 2, whose spans are in
// Jaeger's own model.
type jaegerQueryV2 struct{ catalog }

var _ jaegerv2.QueryServiceServer = (*jaegerQueryV2)(nil)

func sendSpans(stream interface {
	grpc.ServerStream
	Send(*jaegerv2.SpansResponseChunk) error
}, f *found) error {
	f.tellCutTo(stream)
	for _, tree := range f.trees {
		td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(traces.AppendTracesData(nil, tree.Spans))
		if err != nil {
			return fault.New(fault.Internal, "encode trace: %w", err)
		}
		var spans []model.Span
		for _, batch := range translator.ProtoFromTraces(td) {
			for _, s := range batch.Spans {
				if s.Process == nil {
					s.Process = batch.Process
				}
				spans = append(spans, *s)
			}
		}
		for len(spans) > 0 {
			n := min(len(spans), maxChunkSpans)
			if err := stream.Send(&jaegerv2.SpansResponseChunk{Spans: spans[:n]}); err != nil {
				return err
			}
			spans = spans[n:]
		}
	}
	return nil
}

// unixNano is 0 for the time that stands for none.
func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// GetTrace implements jaegerv2.QueryServiceServer.
func (j *jaegerQueryV2) GetTrace(r *jaegerv2.GetTraceRequest, stream jaegerv2.QueryService_GetTraceServer) error {
	var id traces.TraceID
	binary.BigEndian.PutUint64(id[:8], r.TraceID.High)
	binary.BigEndian.PutUint64(id[8:], r.TraceID.Low)
	f, err := j.traces(stream.Context(), []traces.TraceID{id}, unixNano(r.StartTime), unixNano(r.EndTime))
	if err != nil {
		return err
	}
	if len(f.trees) == 0 {
		return fault.NotFoundf("trace not found")
	}
	return sendSpans(stream, f)
}

// ArchiveTrace implements jaegerv2.QueryServiceServer. There is no archive:
// what is to be kept longer is said by retention.
func (j *jaegerQueryV2) ArchiveTrace(context.Context, *jaegerv2.ArchiveTraceRequest) (*jaegerv2.ArchiveTraceResponse, error) {
	return nil, fault.New(fault.Unprocessable, "there is no archive of traces")
}

// FindTraces implements jaegerv2.QueryServiceServer.
func (j *jaegerQueryV2) FindTraces(r *jaegerv2.FindTracesRequest, stream jaegerv2.QueryService_FindTracesServer) error {
	q := r.Query
	if q == nil {
		return fault.Invalidf("the request has no query")
	}
	s := spanSearch{
		service: q.ServiceName, operation: q.OperationName, tags: map[string]tagText{},
		minDuration: q.DurationMin, maxDuration: q.DurationMax,
	}
	for key, value := range q.Tags {
		s.tags[key] = tagText(value)
	}
	now := j.Now()
	bounds := searchRange{from: now.Add(-j.DefaultLookback).UnixNano(), to: now.UnixNano(), depth: int(q.SearchDepth)}
	if from := unixNano(q.StartTimeMin); from > 0 {
		bounds.from = from
	}
	if to := unixNano(q.StartTimeMax); to > 0 {
		bounds.to = to
	}
	req, err := j.searchRequest(s, bounds)
	if err != nil {
		return err
	}
	f, err := j.findTraces(stream.Context(), req)
	if err != nil {
		return err
	}
	return sendSpans(stream, f)
}

// GetServices implements jaegerv2.QueryServiceServer.
func (j *jaegerQueryV2) GetServices(ctx context.Context, _ *jaegerv2.GetServicesRequest) (*jaegerv2.GetServicesResponse, error) {
	names, err := j.services(ctx)
	return &jaegerv2.GetServicesResponse{Services: names}, err
}

// GetOperations implements jaegerv2.QueryServiceServer.
func (j *jaegerQueryV2) GetOperations(ctx context.Context, r *jaegerv2.GetOperationsRequest) (*jaegerv2.GetOperationsResponse, error) {
	list, err := j.operationKinds(ctx, r.Service, r.SpanKind)
	if err != nil {
		return nil, err
	}
	answer := new(jaegerv2.GetOperationsResponse)
	for _, o := range list {
		answer.OperationNames = append(answer.OperationNames, o.Name)
		answer.Operations = append(answer.Operations, &jaegerv2.Operation{Name: o.Name, SpanKind: o.SpanKind})
	}
	return answer, nil
}

// GetDependencies implements jaegerv2.QueryServiceServer.
func (j *jaegerQueryV2) GetDependencies(ctx context.Context, r *jaegerv2.GetDependenciesRequest) (*jaegerv2.GetDependenciesResponse, error) {
	from, to := unixNano(r.StartTime), unixNano(r.EndTime)
	if to == 0 {
		to = j.Now().UnixNano()
	}
	if from == 0 {
		from = to - int64(j.DefaultLookback)
	}
	graph, err := j.graphBetween(ctx, from, to)
	if err != nil {
		return nil, err
	}
	answer := new(jaegerv2.GetDependenciesResponse)
	for _, e := range graph.Edges {
		answer.Dependencies = append(answer.Dependencies, model.DependencyLink{Parent: e.Parent, Child: e.Child, CallCount: uint64(e.Calls)})
	}
	return answer, nil
}
