package e2e

import (
	"strings"
	"testing"
	"time"

	jaegerv2 "github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
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
