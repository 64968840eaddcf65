package e2e

import (
	"bytes"
	"strings"
	"testing"
	"time"

	jaegerv2 "github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// gogoCodec is the codec of Jaeger's clients, whose messages are gogo's.
type gogoCodec struct{}

func (gogoCodec) Name() string { return "proto" }

func (gogoCodec) Marshal(v any) ([]byte, error) {
	return v.(interface{ Marshal() ([]byte, error) }).Marshal()
}

func (gogoCodec) Unmarshal(b []byte, v any) error {
	return v.(interface{ Unmarshal([]byte) error }).Unmarshal(b)
}

// TestAJaegerFindsItsServicesOnOnePort sends spans as a Jaeger with a remote
// storage does, and reads them with the client of Jaeger's module, both by gRPC
// on the port of the HTTP APIs.
func TestAJaegerFindsItsServicesOnOnePort(t *testing.T) {
	s := newServer(t, "")
	s.start()
	address := strings.TrimPrefix(s.base, "http://")
	s.grpc = address
	x := s.grpcSender()
	at := time.Now().Truncate(time.Second)
	x.sendAll(t, 50, at)

	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(gogoCodec{})))
	require.NoError(t, err)
	defer conn.Close()
	client := jaegerv2.NewQueryServiceClient(conn)
	services, err := client.GetServices(t.Context(), &jaegerv2.GetServicesRequest{})
	require.NoError(t, err)
	require.Contains(t, services.Services, "e2e-grpc")

	found, err := client.FindTraces(t.Context(), &jaegerv2.FindTracesRequest{Query: &jaegerv2.TraceQueryParameters{
		ServiceName: "e2e-grpc", Tags: map[string]string{"e2e.number": "7"}, StartTimeMin: at.Add(-time.Minute), StartTimeMax: at.Add(time.Minute),
	}})
	require.NoError(t, err)
	chunk, err := found.Recv()
	require.NoError(t, err)
	require.Len(t, chunk.Spans, 1)
	require.Equal(t, "operation 7", chunk.Spans[0].OperationName)
}

// TestGrafanaStreamsFromThePortOfHTTP calls Tempo's streaming queries as Grafana
// does: by gRPC, on the port of the HTTP API.
func TestGrafanaStreamsFromThePortOfHTTP(t *testing.T) {
	s := newServer(t, "")
	s.start()
	begin := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	ids := s.sendShop("http://"+s.http+"/v1/traces", begin)
	start, end := uint64(begin.Add(-time.Hour).Unix()), uint64(time.Now().Add(time.Minute).Unix())
	text := func(number protowire.Number, s string) []byte { return field(number, []byte(s)) }
	message := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for method, call := range map[string]struct {
		request []byte
		want    []string
	}{
		"Search":            {message(varint(4, 10), varint(5, start), varint(6, end), text(8, `{ span.number = 1 } >> { kind = server }`)), []string{ids[1], "jg-front", "GET /1"}},
		"SearchTags":        {message(text(1, "span"), varint(3, start), varint(4, end)), []string{"number"}},
		"SearchTagsV2":      {message(varint(3, start), varint(4, end)), []string{"number", "service.name", "intrinsic"}},
		"SearchTagValues":   {message(text(1, "service.name"), varint(4, start), varint(5, end)), []string{"jg-cart", "jg-front"}},
		"SearchTagValuesV2": {message(text(1, "name"), text(2, `{ kind = client }`), varint(4, start), varint(5, end)), []string{"GET /0", "GET /1", "GET /2"}},
		"MetricsQueryRange": {message(text(1, `{ } | count_over_time() by (resource.service.name)`), varint(2, start*1e9), varint(3, end*1e9), varint(4, 60e9)), []string{"jg-cart", "jg-front", "resource.service.name"}},
	} {
		answers, err := s.stream("/tempopb.StreamingQuerier/"+method, call.request)
		require.NoError(t, err, method)
		all := string(bytes.Join(answers, nil))
		for _, want := range call.want {
			require.Contains(t, all, want, method)
		}
	}
	for method, request := range map[string][]byte{"Search": text(8, "{ status = "), "MetricsQueryRange": text(1, "{ }"), "SearchTags": text(1, "nosuch")} {
		_, err := s.stream("/tempopb.StreamingQuerier/"+method, request)
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", method, err)
	}
}
