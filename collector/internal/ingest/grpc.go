package ingest

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"belfry/internal/fault"
	"belfry/internal/tenant"
)

// CodecOption returns the server option under which the services of Register
// work: messages are passed as bytes, and decoded, if at all, where a bad one
// can still be answered with its own error.
func CodecOption() grpc.ServerOption { return grpc.ForceServerCodecV2(wireCodec{}) }

// Register adds the signal's OTLP export service to a server. A nil budget has
// no bound.
func Register(server *grpc.Server, exporter Exporter, signal Signal, budget *Budget) {
	name := [...]string{
		Logs:    "opentelemetry.proto.collector.logs.v1.LogsService",
		Traces:  "opentelemetry.proto.collector.trace.v1.TraceService",
		Metrics: "opentelemetry.proto.collector.metrics.v1.MetricsService",
	}[signal]
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: name,
		HandlerType: (*Exporter)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Export",
			Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
				in := new(frame)
				if err := decode(in); err != nil {
					return nil, err
				}
				defer in.free()
				call := func(ctx context.Context, _ any) (any, error) { return export(ctx, srv.(Exporter), signal, in, budget) }
				if intercept == nil {
					return call(ctx, in)
				}
				return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/" + name + "/Export"}, call)
			},
		}},
	}, exporter)
}

func export(ctx context.Context, exporter Exporter, signal Signal, in *frame, budget *Budget) (any, error) {
	c := claim{budget: budget}
	if err := c.hold(int64(in.buffer.Len())); err != nil {
		return nil, fault.GRPC(err)
	}
	defer c.release()
	var id string
	if named := metadata.ValueFromIncomingContext(ctx, tenant.Header); len(named) > 0 {
		id = named[0]
	}
	ctx, err := WithTenant(ctx, id)
	if err != nil {
		return nil, fault.GRPC(err)
	}
	answer, err := exporter.Export(ctx, signal, Protobuf, in.buffer.ReadOnlyData())
	if err != nil {
		return nil, fault.GRPC(err)
	}
	return &frame{buffer: mem.SliceBuffer(answer)}, nil
}

// frame is one message's bytes.
type frame struct{ buffer mem.Buffer }

func (f *frame) free() { f.buffer.Free() }

// wireCodec passes messages as they are.
type wireCodec struct{}

var _ encoding.CodecV2 = wireCodec{}

func (wireCodec) Name() string { return "proto" }

func (wireCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("unexpected message %T", v)
	}
	return mem.BufferSlice{f.buffer}, nil
}

func (wireCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("unexpected message %T", v)
	}
	f.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}
