package otlpreceiver

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// drainGrace is how long a stopping server waits for its connections to come to
// an end by themselves.
const drainGrace = 250 * time.Millisecond

// drain knows the open connections of an HTTP server. The server's own Shutdown
// closes a connection whose request it has not read yet, without an answer; a
// connection that was accepted a moment before deserves one.
type drain struct {
	mu   sync.Mutex
	open map[net.Conn]struct{}
	gone chan struct{} // when not nil, closed once open is empty
}

func newDrain() *drain { return &drain{open: map[net.Conn]struct{}{}} }

// track is the server's ConnState hook.
func (d *drain) track(conn net.Conn, state http.ConnState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch state {
	case http.StateNew:
		d.open[conn] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(d.open, conn)
		d.announce()
	}
}

func (d *drain) announce() {
	if d.gone != nil && len(d.open) == 0 {
		close(d.gone)
		d.gone = nil
	}
}

// wait returns when no connection is open, the grace is over, or ctx ends.
func (d *drain) wait(ctx context.Context) {
	gone := make(chan struct{})
	d.mu.Lock()
	d.gone = gone
	d.announce()
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, drainGrace)
	defer cancel()
	select {
	case <-gone:
	case <-ctx.Done():
	}
}
