package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"belfry/internal/fault"
	"belfry/traces/api/internal/jaegerpb"
	"belfry/traces/api/internal/jaegerstoragepb"
	"belfry/traces/api/internal/tempopb"
	"belfry/traces/traceql"

	jaegerv2 "github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
)

// maxMessageBytes bounds one message that is received. What is sent is bounded
// by the number of spans and traces.
const maxMessageBytes = 4 << 20

// GRPC is the gRPC side of the APIs: Tempo's streaming queries, Jaeger's query
// services (versions 2 and 3), and what Jaeger asks of a remote storage. It is
// served on the same port as HTTP.
type GRPC struct{ server *grpc.Server }

// NewGRPC returns the services.
func NewGRPC(o Options) *GRPC {
	o = o.withDefaults()
	server := grpc.NewServer(
		grpc.ForceServerCodec(codec{}),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			answer, err := next(ctx, req)
			return answer, grpcError(err)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			return grpcError(next(srv, stream))
		}),
	)
	c := catalog{o}
	tempopb.RegisterStreamingQuerierServer(server, &tempoStream{tempo: tempo{o}})
	jaegerpb.RegisterQueryServiceServer(server, &jaegerQuery{catalog: c})
	jaegerv2.RegisterQueryServiceServer(server, &jaegerQueryV2{catalog: c})
	storage := &jaegerStorage{catalog: c}
	jaegerstoragepb.RegisterTraceReaderServer(server, storage)
	jaegerstoragepb.RegisterDependencyReaderServer(server, storage)
	jaegerstoragepb.RegisterCapabilitiesServer(server, storage)
	return &GRPC{server}
}

// Paths are the prefixes of the services' methods in HTTP.
func (g *GRPC) Paths() []string {
	paths := make([]string, 0, 8)
	for name := range g.server.GetServiceInfo() {
		paths = append(paths, "/"+name+"/")
	}
	return paths
}

// ServeHTTP answers one call, which has come by HTTP/2.
func (g *GRPC) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.server.ServeHTTP(w, r) }

// grpcError gives an error that is not one of gRPC's yet its status.
func grpcError(err error) error {
	var known interface{ GRPCStatus() *status.Status }
	if err == nil || errors.As(err, &known) {
		return err
	}
	return fault.GRPC(err)
}

// times returns a range of gRPC's optional times, in nanoseconds; missing ones
// are replaced by those given.
func times(from, to *timestamppb.Timestamp, missingFrom, missingTo int64) (start, end int64) {
	start, end = missingFrom, missingTo
	if from != nil {
		start = from.AsTime().UnixNano()
	}
	if to != nil {
		end = to.AsTime().UnixNano()
	}
	return start, end
}

// validDuration reads an optional duration.
func validDuration(name string, d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, fault.Invalidf("%s: %w", name, err)
	}
	if d.AsDuration() < 0 {
		return 0, fault.Invalidf("%s: %s is negative", name, d.AsDuration())
	}
	return d.AsDuration(), nil
}

// jaegerSearch are the parameters that the searches of Jaeger's query service and
// of its remote storage have in common.
type jaegerSearch interface {
	GetServiceName() string
	GetOperationName() string
	GetStartTimeMin() *timestamppb.Timestamp
	GetStartTimeMax() *timestamppb.Timestamp
	GetDurationMin() *durationpb.Duration
	GetDurationMax() *durationpb.Duration
	GetSearchDepth() int32
	GetFilter() []byte
}

// searchRequestOf reads the parameters of a search; canPage says whether its answer
// can say how to go on.
func (c *catalog) searchRequestOf(q jaegerSearch, tags map[string]tagText, page *searchPage, canPage bool) (req traceql.SearchRequest, err error) {
	if len(q.GetFilter()) > 0 {
		return req, fault.Invalidf("query.filter: structured filters are not served")
	}
	s := spanSearch{service: q.GetServiceName(), operation: q.GetOperationName(), tags: tags}
	if s.minDuration, err = validDuration("query.duration_min", q.GetDurationMin()); err != nil {
		return req, err
	}
	if s.maxDuration, err = validDuration("query.duration_max", q.GetDurationMax()); err != nil {
		return req, err
	}
	now := c.Now().UnixNano()
	bounds := searchRange{depth: int(q.GetSearchDepth()), page: page, canPage: canPage}
	bounds.from, bounds.to = times(q.GetStartTimeMin(), q.GetStartTimeMax(), now-int64(c.DefaultLookback), now)
	return c.searchRequest(s, bounds)
}

// pageOf reads the page that a search asks for, nil if none.
func pageOf[T any, P interface {
	*T
	GetPageSize() uint32
	GetPageToken() string
}](p P) *searchPage {
	if p == nil {
		return nil
	}
	return &searchPage{int(p.GetPageSize()), p.GetPageToken()}
}

// searchRange is which traces a search of Jaeger's gRPC services wants of those
// that match.
type searchRange struct {
	from, to int64
	depth    int // traces; 20 if 0
	page     *searchPage
	canPage  bool
}

type searchPage struct {
	size  int
	token string
}

// searchRequest puts a search together. A search is bounded by a depth or by a
// page, never by both.
func (c *catalog) searchRequest(s spanSearch, r searchRange) (req traceql.SearchRequest, err error) {
	req = traceql.SearchRequest{From: r.from, To: r.to, Limit: min(r.depth, c.MaxLimit)}
	switch {
	case r.depth < 0:
		return req, fault.Invalidf("query.search_depth: %d is negative", r.depth)
	case r.page == nil:
		if req.Limit == 0 {
			req.Limit = 20
		}
	case !r.canPage:
		return req, fault.Invalidf("query.pagination: a stream of whole traces cannot be paged; use search_depth")
	case r.depth > 0:
		return req, fault.Invalidf("query.pagination: not together with search_depth")
	case r.page.size == 0:
		return req, fault.Invalidf("query.pagination.page_size: must be positive")
	default:
		req.Limit = min(r.page.size, c.MaxLimit)
		if r.page.token != "" {
			if req.After, err = traceql.ParseCursor(r.page.token); err != nil {
				return req, err
			}
		}
	}
	req.Query, err = s.query()
	return req, err
}
