// Package listen keeps listening sockets open while the servers behind them are
// replaced: a connection that arrives in between waits in the socket's queue
// instead of being refused.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"
)

// Pool holds TCP listeners by user and address. A listener that a server closes
// stays open in the pool until its user listens on the same address again, or
// Trim. Other kinds of listeners (unix sockets) are opened and closed as usual.
type Pool struct {
	mu     sync.Mutex
	idle   map[string]*net.TCPListener
	closed bool
}

// NewPool returns an empty pool.
func NewPool() *Pool { return &Pool{idle: map[string]*net.TCPListener{}} }

// Listen returns a listener for an address. user names whose it is.
func (p *Pool) Listen(ctx context.Context, user, network, address string) (net.Listener, error) {
	key := user + " " + network + " " + address
	p.mu.Lock()
	l := p.idle[key]
	delete(p.idle, key)
	p.mu.Unlock()
	if l == nil {
		opened, err := new(net.ListenConfig).Listen(ctx, network, address)
		if errors.Is(err, syscall.EADDRINUSE) && p.release(address) {
			opened, err = new(net.ListenConfig).Listen(ctx, network, address)
		}
		if err != nil {
			return nil, err
		}
		var ok bool
		if l, ok = opened.(*net.TCPListener); !ok {
			return opened, nil
		}
	}
	if err := l.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &lease{TCPListener: l, key: key, pool: p}, nil
}

// ListenHTTP returns a listener for an HTTP server's configuration, with TLS
// where it asks for that.
func (p *Pool) ListenHTTP(ctx context.Context, user string, cfg *confighttp.ServerConfig) (net.Listener, error) {
	var tlsConfig *tls.Config
	if cfg.TLS.HasValue() {
		var err error
		if tlsConfig, err = cfg.TLS.Get().LoadTLSConfig(ctx); err != nil {
			return nil, err
		}
		tlsConfig.NextProtos = []string{"h2", "http/1.1"}
	}
	l, err := p.Listen(ctx, user, string(cfg.NetAddr.Transport), cfg.NetAddr.Endpoint)
	if err != nil || tlsConfig == nil {
		return l, err
	}
	return tls.NewListener(l, tlsConfig), nil
}

// release closes an idle listener on an address that is now wanted by another
// user, and reports whether there was one.
func (p *Pool) release(address string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, l := range p.idle {
		if strings.HasSuffix(key, " "+address) {
			delete(p.idle, key)
			return l.Close() == nil
		}
	}
	return false
}

// Trim closes the listeners that nobody uses.
func (p *Pool) Trim() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for key, l := range p.idle {
		errs = append(errs, l.Close())
		delete(p.idle, key)
	}
	return errors.Join(errs...)
}

// Close closes the listeners that nobody uses, and from now on every listener
// for real.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	return p.Trim()
}

// lease is the use of a listener by one server.
type lease struct {
	*net.TCPListener
	key  string
	pool *Pool
	done atomic.Bool
}

// Accept implements net.Listener. A connection that it takes while the lease
// ends belongs to the server that asked: it answers it or closes it.
func (l *lease) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil && l.done.Load() {
		return nil, net.ErrClosed
	}
	return c, err
}

// Close ends the use of the listener. Accept returns net.ErrClosed.
func (l *lease) Close() error {
	if l.done.Swap(true) {
		return net.ErrClosed
	}
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if l.pool.closed {
		return l.TCPListener.Close()
	}
	// A deadline in the past wakes up Accept.
	if err := l.SetDeadline(time.Unix(1, 0)); err != nil {
		return errors.Join(err, l.TCPListener.Close())
	}
	l.pool.idle[l.key] = l.TCPListener
	return nil
}
