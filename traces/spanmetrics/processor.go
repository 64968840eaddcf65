package spanmetrics

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"

	"belfry/traces"
)

// SeriesSink stores samples of series; the app wires it to the metrics store.
type SeriesSink interface {
	// AppendSamples stores samples of one time. The slice is the caller's again
	// when it returns.
	AppendSamples(ctx context.Context, tenant string, t time.Time, samples []Sample) error
}

// Sample is one value of a series, which has its name as a label.
type Sample struct {
	Labels   labels.Labels
	Value    float64
	Exemplar *Exemplar // nil if there is none
}

// Exemplar is a trace behind a sample.
type Exemplar struct {
	TraceID traces.TraceID
	Value   float64 // seconds
}

// Options are what code supplies. Next and Sink are required.
type Options struct {
	Next       traces.Appender
	Sink       SeriesSink
	Config     Config // start from DefaultConfig
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept but not registered
	Now        func() time.Time
}

// Processor is a traces.Appender that counts what passes through it. It is safe
// for concurrent use.
type Processor struct {
	o       Options
	dropped *prometheus.CounterVec

	mu         sync.Mutex
	tenants    map[string]*counters
	operations int // of all tenants
	edges      int
	unpaired   int
}

type counters struct {
	operations map[operationKey]*operation
	edges      map[edgeKey]*edge
	halves     map[callKey]half
	sides      map[edgeKey]*edgeKey // what halves refer to
}

// callKey is the client's span of a call.
type callKey struct {
	trace traces.TraceID
	span  traces.SpanID
}

// half is one side of a call.
type half struct {
	side    *edgeKey // whose it is, as the client; with a server, that is the edge to count if no other half turns up
	seconds float64
	since   int64 // nanoseconds
	client  bool
	failed  bool
}

// New returns a processor. Nothing is handed to the sink before Run.
func New(o Options) (*Processor, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Processor{
		o: o, tenants: map[string]*counters{},
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_spanmetrics_dropped_total",
			Help: "What span metrics left out because of a limit: spans of new operations, calls of new edges, halves of calls.",
		}, []string{"what"}),
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(p.dropped); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Append passes a request on, and counts its spans if it was kept.
func (p *Processor) Append(ctx context.Context, tenant string, request []byte) (traces.AppendResult, error) {
	result, err := p.o.Next.Append(ctx, tenant, request)
	if err != nil || result.Accepted == 0 {
		return result, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.tenants[tenant]
	if c == nil {
		c = &counters{operations: map[operationKey]*operation{}, edges: map[edgeKey]*edge{}, halves: map[callKey]half{}, sides: map[edgeKey]*edgeKey{}}
		p.tenants[tenant] = c
	}
	now := p.o.Now()
	if walkErr := walk(request, func(service string, s *span) { p.count(c, service, s, now) }); walkErr != nil {
		p.o.Logger.Warn("span metrics cannot read a request that was stored", "error", walkErr)
	}
	return result, nil
}

func (p *Processor) count(c *counters, service string, s *span, now time.Time) {
	if s.kind < 0 || s.kind > traces.SpanKindConsumer {
		s.kind = traces.SpanKindUnspecified
	}
	if s.status < 0 || s.status > traces.StatusError {
		s.status = traces.StatusUnset
	}
	op := c.operations[operationKey{service, string(s.name), s.kind, s.status}]
	if op == nil {
		key := operationKey{service, string(s.name), s.kind, s.status}
		if p.operations >= p.o.Config.MaxOperations {
			p.dropped.WithLabelValues("operation").Inc()
		} else {
			p.operations++
			op = newOperation(key, p.o.Config.Buckets)
			c.operations[key] = op
		}
	}
	if op != nil {
		op.latency.observe(s.seconds, s.traceID)
		op.updated = now
	}
	p.pair(c, service, s, now)
}

// pair finds the other half of a call: a client's span is known by its own ID,
// a server's by its parent's.
func (p *Processor) pair(c *counters, service string, s *span, now time.Time) {
	mine := half{failed: s.status == traces.StatusError, seconds: s.seconds, since: now.UnixNano()}
	var key callKey
	copy(key.trace[:], s.traceID)
	connection := ""
	side := edgeBytes{client: service}
	switch s.kind {
	case traces.SpanKindClient, traces.SpanKindProducer:
		mine.client = true
		side = s.peer.edge(service)
		copy(key.span[:], s.id)
	case traces.SpanKindServer, traces.SpanKindConsumer:
		if len(s.parentID) != 8 || (traces.SpanID)(s.parentID).IsZero() {
			p.call(c, edgeKey{"user", service, "virtual_node"}, nil, &mine, s.traceID, now)
			return
		}
		copy(key.span[:], s.parentID)
	default:
		return
	}
	if s.kind == traces.SpanKindProducer || s.kind == traces.SpanKindConsumer {
		connection = "messaging_system"
	}
	mine.side = p.sideOf(c, side)
	other, waiting := c.halves[key]
	switch {
	case waiting && other.client != mine.client:
		delete(c.halves, key)
		p.unpaired--
		client, server := &mine, &other
		if other.client {
			client, server = &other, &mine
		}
		p.call(c, edgeKey{client.side.client, server.side.client, connection}, client, server, s.traceID, now)
	case waiting:
	case p.unpaired >= p.o.Config.MaxUnpaired:
		p.dropped.WithLabelValues("half").Inc()
	default:
		p.unpaired++
		c.halves[key] = mine
	}
}

// sideOf returns the one copy of an edge that halves refer to.
func (p *Processor) sideOf(c *counters, e edgeBytes) *edgeKey {
	known := c.sides[edgeKey{e.client, string(e.server), e.connection}]
	if known == nil {
		if len(c.sides) >= p.o.Config.MaxEdges {
			clear(c.sides) // halves keep theirs
		}
		known = &edgeKey{e.client, string(e.server), e.connection}
		c.sides[*known] = known
	}
	return known
}

// edgeBytes is an edge of which the server's name belongs to the request.
type edgeBytes struct {
	client     string
	server     []byte
	connection string
}

// edge returns the edge to what a client's span says that it calls.
func (p *peer) edge(service string) edgeBytes {
	switch {
	case len(p.dbName) > 0:
		return edgeBytes{service, p.dbName, "database"}
	case len(p.dbSystem) > 0:
		return edgeBytes{service, p.dbSystem, "database"}
	case len(p.service) > 0:
		return edgeBytes{service, p.service, "virtual_node"}
	}
	return edgeBytes{client: service}
}

// call counts one call; the side that is nil was not seen.
func (p *Processor) call(c *counters, key edgeKey, client, server *half, traceID []byte, now time.Time) {
	e := c.edges[key]
	if e == nil {
		if p.edges >= p.o.Config.MaxEdges {
			p.dropped.WithLabelValues("edge").Inc()
			return
		}
		p.edges++
		e = newEdge(key, p.o.Config.GraphBuckets)
		c.edges[key] = e
	}
	e.n++
	e.updated = now
	failed := false
	if client != nil {
		failed = client.failed
		e.client.observe(client.seconds, traceID)
	}
	if server != nil {
		failed = failed || server.failed
		e.server.observe(server.seconds, traceID)
	}
	if failed {
		e.failed++
	}
}

// Run hands the series to the sink at the interval, until ctx ends; then once more.
func (p *Processor) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Duration(p.o.Config.Interval))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.flush(ctx)
		case <-ctx.Done():
			final, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			p.flush(final)
			cancel()
			return nil
		}
	}
}

// flush writes the samples of this moment. What the sink refuses is not tried
// again: the next samples of the same counters say it as well.
func (p *Processor) flush(ctx context.Context) {
	now := p.o.Now()
	p.mu.Lock()
	batches := make(map[string][]Sample, len(p.tenants))
	for tenant, c := range p.tenants {
		p.expire(c, now)
		var samples []Sample
		for _, op := range c.operations {
			samples = append(samples, Sample{Labels: op.calls, Value: float64(op.latency.n)})
			samples = op.latency.samples(samples)
		}
		for _, e := range c.edges {
			samples = e.samples(samples)
		}
		if len(samples) > 0 {
			batches[tenant] = samples
		}
		if len(c.operations) == 0 && len(c.edges) == 0 && len(c.halves) == 0 {
			delete(p.tenants, tenant)
		}
	}
	p.mu.Unlock()
	for tenant, samples := range batches {
		if err := p.o.Sink.AppendSamples(ctx, tenant, now, samples); err != nil {
			p.o.Logger.Error("span metrics cannot be stored", "tenant", tenant, "samples", len(samples), "error", err)
		}
	}
}

// expire forgets idle series, and settles calls of which one half never came.
func (p *Processor) expire(c *counters, now time.Time) {
	for key, h := range c.halves {
		if now.Sub(time.Unix(0, h.since)) < time.Duration(p.o.Config.PairTimeout) {
			continue
		}
		delete(c.halves, key)
		p.unpaired--
		if h.client && h.side.server != "" {
			p.call(c, *h.side, &h, nil, key.trace[:], now)
		}
	}
	idle := now.Add(-time.Duration(p.o.Config.IdleTimeout))
	for key, op := range c.operations {
		if op.updated.Before(idle) {
			delete(c.operations, key)
			p.operations--
		}
	}
	for key, e := range c.edges {
		if e.updated.Before(idle) {
			delete(c.edges, key)
			p.edges--
		}
	}
}
