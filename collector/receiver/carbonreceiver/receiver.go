package carbonreceiver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.uber.org/zap"
)

const (
	maxLine   = 16 << 10 // bytes; longer ones end their connection
	maxBatch  = 5000     // points that are passed on together
	maxPacket = 64 << 10
	format    = "carbon"
)

// NewFactory returns the factory of carbon receivers.
func NewFactory() receiver.Factory {
	return receiver.NewFactory(
		component.MustNewType("carbon"),
		func() component.Config { return defaultConfig() },
		receiver.WithMetrics(create, component.StabilityLevelBeta),
	)
}

func create(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
	c := cfg.(*Config)
	report, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{ReceiverID: set.ID, Transport: c.Transport, ReceiverCreateSettings: set})
	if err != nil {
		return nil, err
	}
	return &carbon{cfg: c, next: next, report: report, log: set.Logger, now: time.Now, conns: map[net.Conn]struct{}{}}, nil
}

type carbon struct {
	cfg    *Config
	next   consumer.Metrics
	report *receiverhelper.ObsReport
	log    *zap.Logger
	now    func() time.Time

	listener net.Listener   // tcp
	packets  net.PacketConn // udp
	serving  sync.WaitGroup
	cancel   context.CancelFunc

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once it is shut down
}

// Start implements component.Component.
func (c *carbon) Start(ctx context.Context, _ component.Host) error {
	var lc net.ListenConfig
	var run context.Context
	run, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if c.cfg.Transport == "udp" {
		if c.packets, err = lc.ListenPacket(ctx, "udp", c.cfg.Endpoint); err != nil {
			return fmt.Errorf("carbon over udp: %w", err)
		}
		c.serving.Go(func() { c.receive(run) })
		return nil
	}
	if c.listener, err = lc.Listen(ctx, "tcp", c.cfg.Endpoint); err != nil {
		return fmt.Errorf("carbon over tcp: %w", err)
	}
	c.serving.Go(func() { c.accept(run) })
	return nil
}

// Shutdown implements component.Component. What senders have written and was not
// read yet is lost, as the protocol has it.
func (c *carbon) Shutdown(context.Context) error {
	if c.cancel == nil {
		return nil
	}
	var err error
	if c.packets != nil {
		err = c.packets.Close()
	}
	if c.listener != nil {
		err = c.listener.Close()
	}
	c.mu.Lock()
	for conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
	c.mu.Unlock()
	c.serving.Wait()
	c.cancel()
	c.cancel = nil
	return err
}

func (c *carbon) accept(ctx context.Context) {
	for {
		conn, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			c.log.Warn("carbon: accepting a connection failed", zap.Error(err))
			continue
		}
		if !c.admit(conn) {
			_ = conn.Close()
			continue
		}
		c.serving.Go(func() {
			defer c.dismiss(conn)
			c.serve(ctx, conn)
		})
	}
}

func (c *carbon) admit(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns == nil {
		return false
	}
	if len(c.conns) >= c.cfg.MaxConnections {
		c.log.Warn("carbon: too many connections", zap.Int("limit", c.cfg.MaxConnections))
		return false
	}
	c.conns[conn] = struct{}{}
	return true
}

func (c *carbon) dismiss(conn net.Conn) {
	_ = conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, conn)
}

// serve passes on what a connection sends: lines that have arrived together go
// together.
func (c *carbon) serve(ctx context.Context, conn net.Conn) {
	in := bufio.NewReaderSize(conn, maxLine)
	b := newBatch()
	for {
		if err := conn.SetReadDeadline(c.now().Add(c.cfg.IdleTimeout)); err != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			c.log.Warn("carbon: a line is too long", zap.Stringer("sender", conn.RemoteAddr()), zap.Int("limit", maxLine))
			c.pass(ctx, b)
			return
		}
		c.take(ctx, b, line) // before an error: the last line may have no end
		if b.n >= maxBatch || err != nil || !lineWaits(in) {
			c.pass(ctx, b)
			b = newBatch()
		}
		if err != nil {
			return
		}
	}
}

// lineWaits reports whether a whole line is in the buffer already.
func lineWaits(in *bufio.Reader) bool {
	waiting, _ := in.Peek(in.Buffered())
	return bytes.IndexByte(waiting, '\n') >= 0
}

func (c *carbon) receive(ctx context.Context) {
	packet := make([]byte, maxPacket)
	for {
		n, _, err := c.packets.ReadFrom(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			c.log.Warn("carbon: reading a packet failed", zap.Error(err))
			continue
		}
		b := newBatch()
		for line := range bytes.Lines(packet[:n]) {
			c.take(ctx, b, line)
		}
		c.pass(ctx, b)
	}
}

// take adds a line to a batch, or counts it as refused.
func (c *carbon) take(ctx context.Context, b *batch, line []byte) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return
	}
	p, err := parseLine(string(line), c.now())
	if err != nil {
		c.report.EndMetricsOp(c.report.StartMetricsOp(ctx), format, 1, err)
		c.log.Debug("carbon: a line cannot be read", zap.Error(err), zap.ByteString("line", line))
		return
	}
	b.add(p)
}

func (c *carbon) pass(ctx context.Context, b *batch) {
	if b.n == 0 {
		return
	}
	ctx = c.report.StartMetricsOp(ctx)
	err := c.next.ConsumeMetrics(ctx, b.metrics)
	c.report.EndMetricsOp(ctx, format, b.n, err)
	if err != nil {
		c.log.Warn("carbon: points are lost", zap.Int("points", b.n), zap.Error(err))
	}
}
