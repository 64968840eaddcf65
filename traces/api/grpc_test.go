package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jaegertracing/jaeger-idl/model/v1"
	jaegerv2 "github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/api"
	"belfry/traces/tracestest"
)

// dial serves the gRPC API as the process does, within an HTTP server, and
// connects to it.
func dial(t testing.TB, store traces.Querier, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	rpc := api.NewGRPC(api.Options{
		Store: store, Now: func() time.Time { return time.Unix(0, tracestest.Epoch).Add(time.Hour) },
	})
	mux := http.NewServeMux()
	for _, path := range rpc.Paths() {
		mux.Handle("POST "+path, tenant.Middleware(rpc))
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: protocols, ReadHeaderTimeout: time.Minute}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient(listener.Addr().String(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestCalls runs the scripts of testdata: "load" as in tracestest, and "CALL
// service/method" with a request in JSON; an answer is one message a paragraph.
func TestCalls(t *testing.T) {
	tracestest.RunBlocks(t, "testdata/grpc*.txt", func(t *testing.T) func(tracestest.Block) (string, error) {
		store := tracestest.NewMemory()
		conn := dial(t, store)
		return func(b tracestest.Block) (string, error) {
			if b.Command[0] == "load" {
				spans, err := tracestest.ParseSpans(b.Body)
				if err != nil {
					return "", err
				}
				_, err = store.Append(t.Context(), tenant.Default, traces.AppendTracesData(nil, spans))
				return fmt.Sprintf("%d spans", len(spans)), err
			}
			answers, err := call(t.Context(), conn, b.Command[1], strings.Join(b.Body, "\n"))
			if err != nil {
				return fmt.Sprintf("%s: %s", status.Code(err), status.Convert(err).Message()), nil
			}
			return strings.Join(answers, "\n"), nil
		}
	})
}

// call makes a call by name; its messages are found among those compiled in.
func call(ctx context.Context, conn *grpc.ClientConn, name, request string) ([]string, error) {
	service, method, _ := strings.Cut(name, "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, err
	}
	desc := d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method))
	input, err := protoregistry.GlobalTypes.FindMessageByName(desc.Input().FullName())
	if err != nil {
		return nil, err
	}
	output, err := protoregistry.GlobalTypes.FindMessageByName(desc.Output().FullName())
	if err != nil {
		return nil, err
	}
	in := input.New().Interface()
	if request != "" {
		if err := protojson.Unmarshal([]byte(request), in); err != nil {
			return nil, err
		}
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+name)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(stream.SendMsg(in), stream.CloseSend()); err != nil {
		return nil, err
	}
	var answers []string
	for {
		out := output.New().Interface()
		if err := stream.RecvMsg(out); errors.Is(err, io.EOF) {
			return answers, nil
		} else if err != nil {
			return nil, err
		}
		text, err := stableJSON(out)
		if err != nil {
			return nil, err
		}
		answers = append(answers, text)
	}
}

// stableJSON is protobuf's JSON without the spaces that it varies.
func stableJSON(m proto.Message) (string, error) {
	b, err := protojson.Marshal(m)
	if err != nil {
		return "", err
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return "", err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err = enc.Encode(v)
	return strings.TrimSpace(out.String()), err
}

// gogoCodec is the codec that Jaeger's own clients use.
type gogoCodec struct{}

func (gogoCodec) Name() string { return "proto" }
func (gogoCodec) Marshal(v any) ([]byte, error) {
	return v.(interface{ Marshal() ([]byte, error) }).Marshal()
}

func (gogoCodec) Unmarshal(b []byte, v any) error {
	return v.(interface{ Unmarshal([]byte) error }).Unmarshal(b)
}

const shopTrace = `trace 1
  span 1 service=front name="GET /cart" start=10m dur=100ms kind=server span.http.status_code=200
    span 2 service=cart name="GET /items" start=600005ms dur=50ms kind=server status=error
trace 2
  span 3 service=front name="GET /pay" start=20m dur=2s kind=server`

func loaded(t *testing.T, script string) *tracestest.Memory {
	t.Helper()
	spans, err := tracestest.ParseSpans(strings.Split(script, "\n"))
	require.NoError(t, err)
	store := tracestest.NewMemory()
	_, err = store.Append(t.Context(), tenant.Default, traces.AppendTracesData(nil, spans))
	require.NoError(t, err)
	return store
}

func receive(t *testing.T, stream interface {
	Recv() (*jaegerv2.SpansResponseChunk, error)
}) (spans []model.Span) {
	t.Helper()
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return spans
		}
		require.NoError(t, err)
		spans = append(spans, chunk.Spans...)
	}
}

// TestJaegerV2Client drives the service by the client of Jaeger's own module.
func TestJaegerV2Client(t *testing.T) {
	conn := dial(t, loaded(t, shopTrace), grpc.WithDefaultCallOptions(grpc.ForceCodec(gogoCodec{})))
	client := jaegerv2.NewQueryServiceClient(conn)
	services, err := client.GetServices(t.Context(), &jaegerv2.GetServicesRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"cart", "front"}, services.Services)

	operations, err := client.GetOperations(t.Context(), &jaegerv2.GetOperationsRequest{Service: "front", SpanKind: "server"})
	require.NoError(t, err)
	require.Equal(t, []string{"GET /cart", "GET /pay"}, operations.OperationNames)

	found, err := client.FindTraces(t.Context(), &jaegerv2.FindTracesRequest{Query: &jaegerv2.TraceQueryParameters{
		ServiceName: "cart", Tags: map[string]string{"error": "true"},
	}})
	require.NoError(t, err)
	spans := receive(t, found)
	require.Len(t, spans, 2, "the whole trace")
	require.Equal(t, "front", spans[0].Process.ServiceName)
	require.Equal(t, "GET /cart", spans[0].OperationName)
	require.Equal(t, spans[0].SpanID, spans[1].ParentSpanID())

	one, err := client.GetTrace(t.Context(), &jaegerv2.GetTraceRequest{TraceID: model.NewTraceID(0, 2)})
	require.NoError(t, err)
	require.Len(t, receive(t, one), 1)

	missing, err := client.GetTrace(t.Context(), &jaegerv2.GetTraceRequest{TraceID: model.NewTraceID(0, 3)})
	require.NoError(t, err)
	_, err = missing.Recv()
	require.Equal(t, codes.NotFound, status.Code(err))

	links, err := client.GetDependencies(t.Context(), &jaegerv2.GetDependenciesRequest{})
	require.NoError(t, err)
	require.Equal(t, []model.DependencyLink{{Parent: "front", Child: "cart", CallCount: 1}}, links.Dependencies)
}

func TestTheTenantOfACallIsInItsMetadata(t *testing.T) {
	conn := dial(t, loaded(t, shopTrace))
	ctx := metadata.AppendToOutgoingContext(t.Context(), tenant.Header, "other")
	answers, err := call(ctx, conn, "jaeger.api_v3.QueryService/GetServices", "")
	require.NoError(t, err)
	require.Equal(t, []string{"{}"}, answers)
	ctx = metadata.AppendToOutgoingContext(t.Context(), tenant.Header, "no/tenant")
	_, err = call(ctx, conn, "jaeger.api_v3.QueryService/GetServices", "")
	require.Error(t, err)
}

// TestLargeTracesComeInSeveralMessages covers what Jaeger asks of a storage: a
// message has spans of one trace only, those of a large one follow each other.
func TestLargeTracesComeInSeveralMessages(t *testing.T) {
	var script strings.Builder
	script.WriteString("trace 1\n")
	for i := range 4500 {
		fmt.Fprintf(&script, "  span %x service=s name=n start=%dms dur=1ms\n", i+1, i)
	}
	script.WriteString("trace 2\n  span 1 service=s name=n start=1s dur=1ms\n")
	conn := dial(t, loaded(t, strings.TrimSpace(script.String())))
	answers, err := call(t.Context(), conn, "jaeger.storage.v2.TraceReader/FindTraces", `{"query":{"serviceName":"s"}}`)
	require.NoError(t, err)
	require.Len(t, answers, 4, "three messages of the large trace, one of the other")
}
