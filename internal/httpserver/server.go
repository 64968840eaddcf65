package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// readHeaderTimeout and idleTimeout keep slow or silent clients from holding
// connections for good.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
)

// Options is what code supplies to a server.
type Options struct {
	Config     Config
	Handler    http.Handler
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil for no metrics
}

// Server is one listener with its handler.
type Server struct {
	opts     Options
	http     *http.Server
	listener net.Listener
	served   chan error
}

// New returns a server that is not listening yet.
func New(opts Options) *Server {
	handler := limitBodies(opts.Handler, int64(opts.Config.MaxRequestSize))
	handler = recoverPanics(handler, opts.Logger)
	handler = newMetrics(opts.Registerer).instrument(handler)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &Server{
		opts:   opts,
		served: make(chan error, 1),
		http: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       time.Duration(opts.Config.ReadTimeout),
			IdleTimeout:       idleTimeout,
			ErrorLog:          slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
			Protocols:         protocols,
		},
	}
}

// Start listens and serves in the background.
func (s *Server) Start(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.opts.Config.Address)
	if err != nil {
		return fmt.Errorf("listening for HTTP: %w", err)
	}
	if s.opts.Config.TLS.Enabled() {
		cert, err := tls.LoadX509KeyPair(s.opts.Config.TLS.CertFile, s.opts.Config.TLS.KeyFile)
		if err != nil {
			return errors.Join(fmt.Errorf("loading the TLS certificate: %w", err), listener.Close())
		}
		listener = tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{cert},
			MinVersion:   tls.VersionTLS12,
			NextProtos:   []string{"h2", "http/1.1"},
		})
	}
	s.listener = listener
	go func() { s.served <- s.http.Serve(listener) }()
	return nil
}

// Addr returns the address that the server listens on, once it is started.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Shutdown stops accepting, waits for the requests under way until ctx ends,
// then closes what is left. It may be called without Start.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.listener == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	s.listener = nil
	return err
}
