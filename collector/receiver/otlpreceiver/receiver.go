package otlpreceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"google.golang.org/grpc"

	"belfry/collector/internal/ingest"
)

// otlpReceiver runs the servers of one configuration. Start and Shutdown are
// called once for each signal; the first call does the work.
type otlpReceiver struct {
	cfg  *Config
	set  receiver.Settings
	opts Options
	next ingest.Consumers

	start    sync.Once
	startErr error
	stop     sync.Once
	stopErr  error

	grpcServer *grpc.Server
	httpStop   func(context.Context) error
	serving    sync.WaitGroup
}

func newReceiver(cfg *Config, set receiver.Settings, opts Options) *otlpReceiver {
	return &otlpReceiver{cfg: cfg, set: set, opts: opts}
}

// Start implements component.Component.
func (r *otlpReceiver) Start(ctx context.Context, host component.Host) error {
	r.start.Do(func() {
		r.startErr = errors.Join(r.startGRPC(ctx, host), r.startHTTP(ctx, host))
		if r.startErr != nil {
			r.startErr = errors.Join(r.startErr, r.Shutdown(ctx))
		}
	})
	return r.startErr
}

// Shutdown implements component.Component: it takes no further requests and
// returns when those it has taken are answered, or when ctx ends.
func (r *otlpReceiver) Shutdown(ctx context.Context) error {
	r.stop.Do(func() {
		var stopping sync.WaitGroup
		if server := r.grpcServer; server != nil {
			stopping.Go(func() {
				defer context.AfterFunc(ctx, server.Stop)()
				server.GracefulStop()
			})
		}
		if r.httpStop != nil {
			stopping.Go(func() { r.stopErr = r.httpStop(ctx) })
		}
		stopping.Wait()
		r.serving.Wait()
	})
	return r.stopErr
}

func (r *otlpReceiver) sink(transport string) (*ingest.Sink, error) {
	report, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: r.set.ID, Transport: transport, ReceiverCreateSettings: r.set,
	})
	if err != nil {
		return nil, err
	}
	return ingest.NewSink(ingest.SinkOptions{
		Consumers: r.next, Direct: r.opts.Direct(r.set.ID), Report: report, Logger: r.opts.Logger,
	}), nil
}

func (r *otlpReceiver) startGRPC(ctx context.Context, host component.Host) error {
	if !r.cfg.Protocols.GRPC.HasValue() {
		return nil
	}
	cfg := r.cfg.Protocols.GRPC.Get()
	sink, err := r.sink("grpc")
	if err != nil {
		return err
	}
	listener, err := r.opts.Listeners.Listen(ctx, r.set.ID.String()+" grpc", string(cfg.NetAddr.Transport), cfg.NetAddr.Endpoint)
	if err != nil {
		return fmt.Errorf("otlp over grpc: %w", err)
	}
	r.grpcServer, err = cfg.ToServer(ctx, host.GetExtensions(), r.set.TelemetrySettings,
		configgrpc.WithGrpcServerOption(ingest.CodecOption()),
		configgrpc.WithGrpcServerOption(ingest.ZstdOption(maxMessage(cfg))))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	for _, signal := range ingest.Signals() {
		if r.next.Has(signal) {
			ingest.Register(r.grpcServer, sink, signal, r.opts.Budget)
		}
	}
	r.opts.Logger.InfoContext(ctx, "otlp listening", "protocol", "grpc", "address", listener.Addr().String())
	r.serving.Go(func() {
		if err := r.grpcServer.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	})
	return nil
}

// maxMessage returns the limit of a message in bytes; gRPC's own is 4 MiB.
func maxMessage(cfg *configgrpc.ServerConfig) int64 {
	if cfg.MaxRecvMsgSizeMiB > 0 {
		return int64(cfg.MaxRecvMsgSizeMiB) << 20
	}
	return 4 << 20
}

func (r *otlpReceiver) startHTTP(ctx context.Context, host component.Host) error {
	if !r.cfg.Protocols.HTTP.HasValue() {
		return nil
	}
	cfg := r.cfg.Protocols.HTTP.Get()
	sink, err := r.sink("http")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for _, signal := range ingest.Signals() {
		if r.next.Has(signal) {
			mux.Handle(cfg.path(signal), ingest.Handler(sink, signal, r.opts.Budget))
		}
	}
	listener, err := r.opts.Listeners.ListenHTTP(ctx, r.set.ID.String()+" http", &cfg.ServerConfig)
	if err != nil {
		return fmt.Errorf("otlp over http: %w", err)
	}
	server, err := cfg.ServerConfig.ToServer(ctx, host.GetExtensions(), r.set.TelemetrySettings, mux,
		ServerOptions(cfg.ServerConfig.CompressionAlgorithms)...)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	open, accepting := newDrain(), make(chan struct{})
	server.ConnState = open.track
	r.httpStop = func(ctx context.Context) error {
		err := listener.Close()
		<-accepting // what it accepted last is known to open now
		server.SetKeepAlivesEnabled(false)
		open.wait(ctx)
		if downErr := server.Shutdown(ctx); downErr != nil && !errors.Is(downErr, net.ErrClosed) {
			return errors.Join(err, downErr, server.Close())
		}
		return err
	}
	r.opts.Logger.InfoContext(ctx, "otlp listening", "protocol", "http", "address", listener.Addr().String())
	r.serving.Go(func() {
		defer close(accepting)
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	})
	return nil
}

// ServerOptions returns the options under which an OTLP handler is served:
// errors in OTLP's form, and the decoders of DecoderOptions.
func ServerOptions(algorithms []string) []confighttp.ToServerOption {
	return append(DecoderOptions(algorithms), confighttp.WithErrorHandler(ingest.HTTPError))
}

// DecoderOptions returns the options that make an HTTP server decompress with
// decoders that are pooled and bounded. algorithms are the content encodings
// that the user allows, nil for all.
func DecoderOptions(algorithms []string) []confighttp.ToServerOption {
	decoders := new(ingest.Decompressors)
	var opts []confighttp.ToServerOption
	for name, decoder := range map[string]func(io.ReadCloser) (io.ReadCloser, error){"gzip": decoders.Gzip, "zstd": decoders.Zstd} {
		if algorithms == nil || slices.Contains(algorithms, name) {
			opts = append(opts, confighttp.WithDecoder(name, decoder))
		}
	}
	return opts
}
