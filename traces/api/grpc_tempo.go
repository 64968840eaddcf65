package api

import (
	"time"

	"google.golang.org/grpc"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/api/internal/tempopb"
	"belfry/traces/traceql"
)

// firstPage is how many traces a streamed search looks for before it sends the
// first answer.
const firstPage = 20

// tempoStream is Tempo's streaming query service: the searches of its HTTP API,
// answered in pieces.
type tempoStream struct {
	tempopb.UnimplementedStreamingQuerierServer
	tempo
}

// seconds returns the range of a request in seconds since the epoch; zero is
// not said. The second that is named as the end is within it.
func (t *tempoStream) seconds(start, end uint32) (from, to int64, err error) {
	to = t.Now().UnixNano()
	if end > 0 {
		to = (int64(end) + 1) * int64(time.Second)
	}
	from = to - int64(t.DefaultLookback)
	if start > 0 {
		from = int64(start) * int64(time.Second)
	}
	if from > to {
		return 0, 0, fault.Invalidf("start %d is after end %d", start, end)
	}
	return from, to, nil
}

// Search sends the newest traces as soon as they are found, then all of them.
func (t *tempoStream) Search(r *tempopb.SearchRequest, stream grpc.ServerStreamingServer[tempopb.SearchResponse]) error {
	req, err := t.searchRequest(r)
	if err != nil {
		return err
	}
	ctx, limit := stream.Context(), req.Limit
	var (
		all   []*tempopb.TraceSearchMetadata
		stats traces.Stats
		seen  int
	)
	for req.Limit = min(limit, firstPage); ; req.Limit = limit - len(all) {
		result, err := t.Engine.Search(ctx, tenant.ID(ctx), req)
		if err != nil {
			return err
		}
		stats.Add(result.Stats)
		seen += result.Inspected
		var page []*tempopb.TraceSearchMetadata
		for i := range result.Traces {
			page = append(page, traceMessage(&result.Traces[i]))
		}
		all = append(all, page...)
		if result.Next == nil || len(all) >= limit {
			metrics := searchMessage(stats)
			metrics.InspectedTraces = uint32(seen)
			return stream.Send(&tempopb.SearchResponse{Traces: all, Metrics: metrics})
		}
		progress := &tempopb.SearchMetrics{TotalJobs: 2, CompletedJobs: 1, InspectedTraces: uint32(seen)}
		if err := stream.Send(&tempopb.SearchResponse{Traces: page, Metrics: progress}); err != nil {
			return err
		}
		req.After = result.Next
	}
}

func (t *tempoStream) searchRequest(r *tempopb.SearchRequest) (req traceql.SearchRequest, err error) {
	req = traceql.SearchRequest{Limit: min(int(r.Limit), t.MaxLimit), SpansPerSet: min(int(r.SpansPerSpanSet), 1000)}
	if req.Limit == 0 {
		req.Limit = 20
	}
	if req.From, req.To, err = t.seconds(r.Start, r.End); err != nil {
		return req, err
	}
	millisecond := func(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }
	if len(r.Tags) > 0 && r.Query != "" {
		return req, fault.Invalidf("a search takes either a query or tags, not both")
	}
	if r.Query != "" {
		req.Query, err = traceql.Parse(r.Query)
		return req, err
	}
	req.Query, err = pairQuery(r.Tags, millisecond(r.MinDurationMs), millisecond(r.MaxDurationMs))
	return req, err
}

func searchMessage(s traces.Stats) *tempopb.SearchMetrics {
	return &tempopb.SearchMetrics{
		InspectedBytes: uint64(s.Bytes), InspectedSpans: uint64(s.Spans),
		TotalBlocks: uint32(s.Blocks), CompletedJobs: 1, TotalJobs: 1,
	}
}

func traceMessage(s *traceql.Summary) *tempopb.TraceSearchMetadata {
	out := &tempopb.TraceSearchMetadata{
		TraceId: s.ID.String(), RootServiceName: s.RootService, RootTraceName: s.RootName,
		StartTimeUnixNano: uint64(s.Start), DurationMs: uint32(s.Duration / 1e6),
		ServiceStats: make(map[string]*tempopb.ServiceStats, len(s.Services)),
	}
	for _, service := range s.Services {
		out.ServiceStats[service.Name] = &tempopb.ServiceStats{SpanCount: uint32(service.Spans), ErrorCount: uint32(service.Errors)}
	}
	for _, set := range s.SpanSets {
		shown := &tempopb.SpanSet{Matched: uint32(set.Matched), Attributes: attributeMessages(set.Attributes)}
		for _, span := range set.Spans {
			shown.Spans = append(shown.Spans, &tempopb.Span{
				SpanId: span.ID.String(), Name: span.Name,
				StartTimeUnixNano: uint64(span.Start), DurationNanos: uint64(max(0, span.Duration)),
				Attributes: attributeMessages(span.Attributes),
			})
		}
		out.SpanSets = append(out.SpanSets, shown)
	}
	if len(out.SpanSets) > 0 {
		out.SpanSet = out.SpanSets[0]
	}
	return out
}

// attributeMessages returns attributes as OTLP's KeyValue messages.
func attributeMessages(list []traces.Attribute) [][]byte {
	out := make([][]byte, 0, len(list))
	for _, a := range list {
		out = append(out, traces.AppendKeyValue(nil, a))
	}
	return out
}

func labelMessages(labels traceql.Labels) [][]byte {
	out := make([][]byte, 0, len(labels))
	for _, l := range labels {
		out = append(out, traces.AppendKeyValue(nil, traces.Attribute{Key: l.Name, Value: l.Value}))
	}
	return out
}

func (t *tempoStream) tagsOf(r *tempopb.SearchTagsRequest) (req tagsRequest, err error) {
	req = tagsRequest{scope: r.Scope, query: r.Query, limit: min(int(r.MaxTagsPerScope), maxTagValues)}
	req.from, req.to, err = t.seconds(r.Start, r.End)
	return req, err
}

// SearchTags implements tempopb.StreamingQuerierServer.
func (t *tempoStream) SearchTags(r *tempopb.SearchTagsRequest, stream grpc.ServerStreamingServer[tempopb.SearchTagsResponse]) error {
	req, err := t.tagsOf(r)
	if err != nil {
		return err
	}
	names, err := t.flatTags(stream.Context(), req)
	if err != nil {
		return err
	}
	return stream.Send(&tempopb.SearchTagsResponse{TagNames: names, Metrics: doneMessage()})
}

// SearchTagsV2 implements tempopb.StreamingQuerierServer.
func (t *tempoStream) SearchTagsV2(r *tempopb.SearchTagsRequest, stream grpc.ServerStreamingServer[tempopb.SearchTagsV2Response]) error {
	req, err := t.tagsOf(r)
	if err != nil {
		return err
	}
	list, err := t.scopedTags(stream.Context(), req)
	if err != nil {
		return err
	}
	answer := &tempopb.SearchTagsV2Response{Metrics: doneMessage()}
	for _, s := range list {
		answer.Scopes = append(answer.Scopes, &tempopb.SearchTagsV2Scope{Name: s.Name, Tags: s.Tags})
	}
	return stream.Send(answer)
}

func (t *tempoStream) valuesOf(r *tempopb.SearchTagValuesRequest, field traces.Field) (req valuesRequest, err error) {
	req = valuesRequest{field: field, query: r.Query, limit: min(int(r.MaxTagValues), maxTagValues)}
	if req.limit == 0 {
		req.limit = 1000
	}
	req.from, req.to, err = t.seconds(r.Start, r.End)
	return req, err
}

// SearchTagValues implements tempopb.StreamingQuerierServer.
func (t *tempoStream) SearchTagValues(r *tempopb.SearchTagValuesRequest, stream grpc.ServerStreamingServer[tempopb.SearchTagValuesResponse]) error {
	req, err := t.valuesOf(r, plainField(r.TagName))
	if err != nil {
		return err
	}
	values, err := t.plainValues(stream.Context(), req)
	if err != nil {
		return err
	}
	return stream.Send(&tempopb.SearchTagValuesResponse{TagValues: values, Metrics: doneMessage()})
}

// SearchTagValuesV2 implements tempopb.StreamingQuerierServer.
func (t *tempoStream) SearchTagValuesV2(r *tempopb.SearchTagValuesRequest, stream grpc.ServerStreamingServer[tempopb.SearchTagValuesV2Response]) error {
	ref, err := traceql.ParseField(r.TagName)
	if err != nil {
		return err
	}
	req, err := t.valuesOf(r, ref.Field)
	if err != nil {
		return err
	}
	list, err := t.values(stream.Context(), req)
	if err != nil {
		return err
	}
	answer := &tempopb.SearchTagValuesV2Response{Metrics: doneMessage()}
	for _, v := range list {
		answer.TagValues = append(answer.TagValues, &tempopb.TagValue{Type: v.Type, Value: v.Value})
	}
	return stream.Send(answer)
}

func doneMessage() *tempopb.MetadataMetrics {
	return &tempopb.MetadataMetrics{TotalJobs: 1, CompletedJobs: 1}
}

// nanoseconds returns the range of a metrics query; the last hour if it says nothing.
func (t *tempoStream) nanoseconds(start, end uint64) (from, to int64, err error) {
	to = t.Now().UnixNano()
	if end > 0 {
		to = int64(end)
	}
	from = to - int64(time.Hour)
	if start > 0 {
		from = int64(start)
	}
	if from < 0 || from > to {
		return 0, 0, fault.Invalidf("start %d is after end %d", start, end)
	}
	return from, to, nil
}

func completeness(s traces.Stats) (status tempopb.PartialStatus, message string) {
	if s.Cut == "" {
		return tempopb.PartialStatus_COMPLETE, ""
	}
	return tempopb.PartialStatus_PARTIAL, s.Cut
}

// MetricsQueryRange implements tempopb.StreamingQuerierServer.
func (t *tempoStream) MetricsQueryRange(r *tempopb.QueryRangeRequest, stream grpc.ServerStreamingServer[tempopb.QueryRangeResponse]) error {
	from, to, err := t.nanoseconds(r.Start, r.End)
	if err != nil {
		return err
	}
	step, exemplars := int64(r.Step), min(int(r.Exemplars), maxExemplars)
	if step <= 0 {
		step = defaultStep(to - from)
	}
	if exemplars == 0 {
		exemplars = defaultExemplars
	}
	result, err := t.rangeMetrics(stream.Context(), r.Query, from, to, step, exemplars)
	if err != nil {
		return err
	}
	answer := &tempopb.QueryRangeResponse{Metrics: searchMessage(result.Stats)}
	answer.Status, answer.Message = completeness(result.Stats)
	for _, s := range result.Series {
		if r.MaxSeries > 0 && len(answer.Series) == int(r.MaxSeries) {
			answer.Status, answer.Message = tempopb.PartialStatus_PARTIAL, "there are more series than were asked for"
			break
		}
		answer.Series = append(answer.Series, seriesMessage(s))
	}
	return stream.Send(answer)
}

func seriesMessage(s traceql.Series) *tempopb.TimeSeries {
	out := &tempopb.TimeSeries{Labels: labelMessages(s.Labels)}
	for _, p := range s.Points {
		out.Samples = append(out.Samples, &tempopb.Sample{TimestampMs: p.Time / 1e6, Value: p.Value})
	}
	for _, e := range s.Exemplars {
		out.Exemplars = append(out.Exemplars, &tempopb.Exemplar{
			Labels: attributeMessages([]traces.Attribute{
				{Key: "trace:id", Value: traces.String(e.TraceID.String())}, {Key: "span:id", Value: traces.String(e.SpanID.String())},
			}),
			Value: e.Value, TimestampMs: e.Time / 1e6,
		})
	}
	return out
}

// MetricsQueryInstant implements tempopb.StreamingQuerierServer.
func (t *tempoStream) MetricsQueryInstant(r *tempopb.QueryInstantRequest, stream grpc.ServerStreamingServer[tempopb.QueryInstantResponse]) error {
	from, to, err := t.nanoseconds(r.Start, r.End)
	if err != nil {
		return err
	}
	result, err := t.instantMetrics(stream.Context(), r.Query, from, to)
	if err != nil {
		return err
	}
	answer := &tempopb.QueryInstantResponse{Metrics: searchMessage(result.Stats)}
	answer.Status, answer.Message = completeness(result.Stats)
	for _, s := range result.Series {
		if len(s.Points) > 0 {
			answer.Series = append(answer.Series, &tempopb.InstantSeries{Labels: labelMessages(s.Labels), Value: s.Points[0].Value})
		}
	}
	return stream.Send(answer)
}
