package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/jaegertracing/jaeger-idl/model/v1"
	jaegerv2 "github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/jaegertracing/jaeger-idl/thrift-gen/agent"
	"github.com/jaegertracing/jaeger-idl/thrift-gen/jaeger"
	"github.com/jaegertracing/jaeger-idl/thrift-gen/zipkincore"
	zipkinmodel "github.com/openzipkin/zipkin-go/model"
	zipkinproto "github.com/openzipkin/zipkin-go/proto/zipkin_proto3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// protocolsConfig opens a door for every protocol: %s are the addresses of
// zipkin, and of jaeger's gRPC, HTTP, compact and binary protocols.
const protocolsConfig = `    zipkin: {endpoint: "%s"}
    jaeger:
      protocols:
        grpc: {endpoint: "%s"}
        thrift_http: {endpoint: "%s"}
        thrift_compact: {endpoint: "%s"}
        thrift_binary: {endpoint: "%s"}
  service:
    pipelines:
      traces/others: {receivers: [zipkin, jaeger]}
`

// typed are attributes of every type that the protocols have.
const typed = `span.text = "hi" && span.count = 42 && span.ratio = 0.5 && span.ok = true && span.raw != nil`

// texts are the same attributes where a protocol has only texts.
const texts = `span.text = "hi" && span.count = "42" && span.ratio = "0.5" && span.ok = "true"`

// TestEveryTraceProtocolKeepsWhatItSays sends a call of two services by every
// protocol that takes spans, over its own port, and asks for structure, types,
// kinds, times and events.
func TestEveryTraceProtocolKeepsWhatItSays(t *testing.T) {
	s := newServer(t, "")
	zipkin, rpc, web := s.freeAddr("tcp"), s.freeAddr("tcp"), s.freeAddr("tcp")
	compact, binary := s.freeAddr("udp"), s.freeAddr("udp")
	s.configure(fmt.Sprintf(protocolsConfig, zipkin, rpc, web, compact, binary))
	s.start()
	post := func(target, contentType string, body []byte) {
		t.Helper()
		a := s.send(target, body, "Content-Type", contentType)
		require.Equal(t, http.StatusAccepted, a.code, a.body)
	}
	sent := uint64(0)
	for name, p := range map[string]struct {
		attributes string
		send       func(c call)
	}{
		"jaeger-grpc":    {typed, func(c call) { c.byJaegerGRPC(t, rpc) }},
		"jaeger-http":    {typed, func(c call) { post("http://"+web+"/api/traces", "application/x-thrift", c.batchBytes(t)) }},
		"jaeger-compact": {typed, func(c call) { c.byAgent(t, compact, thrift.NewTCompactProtocolFactoryConf(nil)) }},
		"jaeger-binary":  {typed, func(c call) { c.byAgent(t, binary, thrift.NewTBinaryProtocolFactoryConf(nil)) }},
		"zipkin-json": {texts, func(c call) {
			body, err := json.Marshal(c.zipkinSpans())
			require.NoError(t, err)
			post("http://"+zipkin+"/api/v2/spans", "application/json", body)
		}},
		"zipkin-proto": {texts, func(c call) {
			body, err := zipkinproto.SpanSerializer{}.Serialize(c.zipkinSpans())
			require.NoError(t, err)
			post("http://"+zipkin+"/api/v2/spans", "application/x-protobuf", body)
		}},
		"zipkin-main-port": {texts, func(c call) {
			body, err := zipkinproto.SpanSerializer{}.Serialize(c.zipkinSpans())
			require.NoError(t, err)
			post("/zipkin/api/v2/spans", "application/x-protobuf", body)
		}},
		"zipkin-v1-json": {texts, func(c call) {
			post("http://"+zipkin+"/api/v1/spans", "application/json", c.zipkinV1JSON(t))
		}},
		"zipkin-v1-thrift": {`span.text = "hi" && span.count = 42 && span.ratio = 0.5 && span.ok = true`, func(c call) {
			post("http://"+zipkin+"/api/v1/spans", "application/x-thrift", c.zipkinV1Thrift(t))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			sent++
			c := call{service: name, at: time.Now().Add(-time.Minute).Truncate(time.Millisecond), trace: sent}
			p.send(c)
			id := s.wantTrace(fmt.Sprintf(`{ resource.service.name = %q && name = "get" && kind = server && duration = 20ms && %s && event:name = "started" }`+
				` > { resource.service.name = %q && name = "ask" && kind = client && duration = 5ms }`, name, p.attributes, name))
			require.Equal(t, c.traceID().String(), id)
			var found struct {
				Data []struct {
					Spans []struct {
						OperationName string
						StartTime     int64
						Duration      int64
					}
				}
			}
			require.NoError(t, s.get("/jaeger/api/traces/"+id, &found))
			require.Len(t, found.Data[0].Spans, 2)
			require.Equal(t, c.at.UnixMicro(), found.Data[0].Spans[0].StartTime)
			require.EqualValues(t, 20_000, found.Data[0].Spans[0].Duration)
		})
	}
	s.stop()
}

// call is a trace of two spans: "get", a server's for 20 ms, and within it "ask",
// a client's for 5 ms.
type call struct {
	service string
	at      time.Time
	trace   uint64
}

func (c call) traceID() model.TraceID { return model.NewTraceID(7, c.trace) }

const (
	getID = 0xa1
	askID = 0xb2
)

func (c call) byJaegerGRPC(t *testing.T, address string) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(gogoCodec{})))
	require.NoError(t, err)
	defer conn.Close()
	_, err = jaegerv2.NewCollectorServiceClient(conn).PostSpans(t.Context(), &jaegerv2.PostSpansRequest{Batch: model.Batch{
		Process: model.NewProcess(c.service, nil),
		Spans: []*model.Span{
			{
				TraceID: c.traceID(), SpanID: getID, OperationName: "get", StartTime: c.at, Duration: 20 * time.Millisecond,
				Tags: []model.KeyValue{
					model.String("span.kind", "server"), model.String("text", "hi"), model.Int64("count", 42),
					model.Float64("ratio", 0.5), model.Bool("ok", true), model.Binary("raw", []byte{1, 2}),
				},
				Logs: []model.Log{{Timestamp: c.at, Fields: []model.KeyValue{model.String("event", "started")}}},
			},
			{
				TraceID: c.traceID(), SpanID: askID, OperationName: "ask", StartTime: c.at.Add(time.Millisecond), Duration: 5 * time.Millisecond,
				References: []model.SpanRef{model.NewChildOfRef(c.traceID(), getID)}, Tags: []model.KeyValue{model.String("span.kind", "client")},
			},
		},
	}})
	require.NoError(t, err)
}

// batch is the call as Jaeger's clients sent it before gRPC.
func (c call) batch() *jaeger.Batch {
	text, number, ratio, yes := "hi", int64(42), 0.5, true
	server, client, started := "server", "client", "started"
	span := func(id, parent int64, name string, at time.Time, d time.Duration, tags ...*jaeger.Tag) *jaeger.Span {
		return &jaeger.Span{
			TraceIdHigh: 7, TraceIdLow: int64(c.trace), SpanId: id, ParentSpanId: parent, OperationName: name,
			Flags: 1, StartTime: at.UnixMicro(), Duration: d.Microseconds(), Tags: tags,
		}
	}
	get := span(getID, 0, "get", c.at, 20*time.Millisecond,
		&jaeger.Tag{Key: "span.kind", VType: jaeger.TagType_STRING, VStr: &server},
		&jaeger.Tag{Key: "text", VType: jaeger.TagType_STRING, VStr: &text},
		&jaeger.Tag{Key: "count", VType: jaeger.TagType_LONG, VLong: &number},
		&jaeger.Tag{Key: "ratio", VType: jaeger.TagType_DOUBLE, VDouble: &ratio},
		&jaeger.Tag{Key: "ok", VType: jaeger.TagType_BOOL, VBool: &yes},
		&jaeger.Tag{Key: "raw", VType: jaeger.TagType_BINARY, VBinary: []byte{1, 2}})
	get.Logs = []*jaeger.Log{{Timestamp: c.at.UnixMicro(), Fields: []*jaeger.Tag{{Key: "event", VType: jaeger.TagType_STRING, VStr: &started}}}}
	ask := span(askID, getID, "ask", c.at.Add(time.Millisecond), 5*time.Millisecond,
		&jaeger.Tag{Key: "span.kind", VType: jaeger.TagType_STRING, VStr: &client})
	return &jaeger.Batch{Process: &jaeger.Process{ServiceName: c.service}, Spans: []*jaeger.Span{get, ask}}
}

func (c call) batchBytes(t *testing.T) []byte {
	body, err := thrift.NewTSerializer().Write(t.Context(), c.batch())
	require.NoError(t, err)
	return body
}

// byAgent sends one datagram, as clients do to the agent beside them.
func (c call) byAgent(t *testing.T, address string, protocol thrift.TProtocolFactory) {
	buffer := thrift.NewTMemoryBufferLen(4096)
	client := agent.NewAgentClientFactory(buffer, protocol)
	require.NoError(t, client.EmitBatch(t.Context(), c.batch()))
	conn, err := net.Dial("udp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write(buffer.Bytes())
	require.NoError(t, err)
}

func (c call) zipkinSpans() []*zipkinmodel.SpanModel {
	endpoint := &zipkinmodel.Endpoint{ServiceName: c.service}
	trace, get := zipkinmodel.TraceID{High: 7, Low: c.trace}, zipkinmodel.ID(getID)
	return []*zipkinmodel.SpanModel{
		{
			SpanContext: zipkinmodel.SpanContext{TraceID: trace, ID: get}, Name: "get", Kind: zipkinmodel.Server,
			Timestamp: c.at, Duration: 20 * time.Millisecond, LocalEndpoint: endpoint,
			Tags:        map[string]string{"text": "hi", "count": "42", "ratio": "0.5", "ok": "true"},
			Annotations: []zipkinmodel.Annotation{{Timestamp: c.at, Value: "started"}},
		},
		{
			SpanContext: zipkinmodel.SpanContext{TraceID: trace, ID: askID, ParentID: &get}, Name: "ask", Kind: zipkinmodel.Client,
			Timestamp: c.at.Add(time.Millisecond), Duration: 5 * time.Millisecond, LocalEndpoint: endpoint,
		},
	}
}

func (c call) zipkinV1JSON(t *testing.T) []byte {
	type m = map[string]any
	endpoint := m{"serviceName": c.service, "ipv4": "127.0.0.1"}
	annotation := func(at time.Time, value string) m {
		return m{"timestamp": at.UnixMicro(), "value": value, "endpoint": endpoint}
	}
	var tags []m
	for key, value := range map[string]string{"text": "hi", "count": "42", "ratio": "0.5", "ok": "true"} {
		tags = append(tags, m{"key": key, "value": value, "endpoint": endpoint})
	}
	inner := c.at.Add(time.Millisecond)
	body, err := json.Marshal([]m{
		{
			"traceId": c.traceID().String(), "id": "00000000000000a1", "name": "get", "timestamp": c.at.UnixMicro(), "duration": 20_000,
			"annotations": []m{annotation(c.at, "sr"), annotation(c.at, "started"), annotation(c.at.Add(20*time.Millisecond), "ss")}, "binaryAnnotations": tags,
		},
		{
			"traceId": c.traceID().String(), "id": "00000000000000b2", "parentId": "00000000000000a1", "name": "ask", "timestamp": inner.UnixMicro(), "duration": 5000,
			"annotations": []m{annotation(inner, "cs"), annotation(inner.Add(5*time.Millisecond), "cr")},
		},
	})
	require.NoError(t, err)
	return body
}

func (c call) zipkinV1Thrift(t *testing.T) []byte {
	host := &zipkincore.Endpoint{ServiceName: c.service, Ipv4: 0x7f000001}
	at, inner := c.at.UnixMicro(), c.at.Add(time.Millisecond).UnixMicro()
	high, parent, long, short := int64(7), int64(getID), int64(20_000), int64(5000)
	tag := func(key string, kind zipkincore.AnnotationType, value []byte) *zipkincore.BinaryAnnotation {
		return &zipkincore.BinaryAnnotation{Key: key, Value: value, AnnotationType: kind, Host: host}
	}
	note := func(at int64, value string) *zipkincore.Annotation {
		return &zipkincore.Annotation{Timestamp: at, Value: value, Host: host}
	}
	spans := []*zipkincore.Span{
		{
			TraceID: int64(c.trace), TraceIDHigh: &high, ID: getID, Name: "get", Timestamp: &at, Duration: &long,
			Annotations: []*zipkincore.Annotation{note(at, "sr"), note(at, "started"), note(at+long, "ss")},
			BinaryAnnotations: []*zipkincore.BinaryAnnotation{
				tag("text", zipkincore.AnnotationType_STRING, []byte("hi")),
				tag("count", zipkincore.AnnotationType_I64, []byte{0, 0, 0, 0, 0, 0, 0, 42}),
				tag("ratio", zipkincore.AnnotationType_DOUBLE, []byte{0x3f, 0xe0, 0, 0, 0, 0, 0, 0}),
				tag("ok", zipkincore.AnnotationType_BOOL, []byte{1}),
			},
		},
		{
			TraceID: int64(c.trace), TraceIDHigh: &high, ID: askID, ParentID: &parent, Name: "ask", Timestamp: &inner, Duration: &short,
			Annotations: []*zipkincore.Annotation{note(inner, "cs"), note(inner+short, "cr")},
		},
	}
	buffer := thrift.NewTMemoryBuffer()
	p := thrift.NewTBinaryProtocolConf(buffer, nil)
	require.NoError(t, p.WriteListBegin(t.Context(), thrift.STRUCT, len(spans)))
	for _, span := range spans {
		require.NoError(t, span.Write(t.Context(), p))
	}
	require.NoError(t, p.WriteListEnd(t.Context()))
	return buffer.Bytes()
}
