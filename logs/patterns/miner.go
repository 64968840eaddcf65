package patterns

import (
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"time"

	"belfry/internal/vfs"
	"belfry/logs"

	"github.com/prometheus/client_golang/prometheus"
)

// ServiceName is the service of the stream that tells of new patterns. Its own lines have none.
const ServiceName = "belfry.patterns"

// Bounds on what is held, per tenant unless it says otherwise.
const (
	maxTenants    = 256
	maxServices   = 1000
	maxClusters   = 300   // of a service
	maxSignatures = 32768 // known
	maxCounts     = 20000 // until they are written
	maxStreams    = 8192  // of all tenants, cached
	maxNews       = 100   // told in one round
	// similar is the share of words that a line must have in common with its cluster.
	similar = 0.6
	// A cluster that had no line for so long may make room for a new one.
	forgetAfter = 24 * time.Hour
)

// Options configure a Miner. Store and Dir are required.
type Options struct {
	Store logs.Store // keeps the counts
	Dir   string     // the clusters are kept there
	FS    vfs.FS     // default: the operating system's
	// Learn is how long a new service's patterns are not told as new.
	Learn      time.Duration
	Logger     *slog.Logger          // default: discard
	Registerer prometheus.Registerer // nil: metrics are kept but not registered
	Now        func() time.Time      // default: time.Now
}

// Miner finds patterns. It is safe for concurrent use.
type Miner struct {
	o       Options
	classes *classes
	seed    maphash.Seed
	metrics *metrics

	streamMu sync.RWMutex
	streams  map[uint64]*stream // by hash of what the sender says of them

	mu      sync.Mutex
	tenants map[string]*tenantClusters
	changed bool // since the file was written
}

type tenantClusters struct {
	services map[string]*service
	known    map[signatureKey]*cluster
	counts   map[countKey]int64
	news     []news
}

type signatureKey struct {
	service   string
	signature uint64
}

// service is the clusters of one service.
type service struct {
	since   time.Time
	byShape map[uint64][]*cluster
	size    int
}

// cluster is a pattern with the lines that made it.
type cluster struct {
	line
	first, last time.Time
	gone        bool // forgotten to make room
}

type countKey struct {
	cluster *cluster
	labels  *stream
	level   string
	at      int64
}

// news is a pattern that was never seen before.
type news struct {
	cluster *cluster
	service string
	level   string
}

// New returns a Miner that knows the patterns in its file.
func New(o Options) (*Miner, error) {
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Miner{
		o: o, classes: newClasses(), seed: maphash.MakeSeed(), metrics: newMetrics(),
		streams: map[uint64]*stream{}, tenants: map[string]*tenantClusters{},
	}
	if err := m.load(); err != nil {
		return nil, err
	}
	return m, m.metrics.register(m, o.Registerer)
}

// streamOf returns the stream that raw bytes of a request stand for; nil for lines that are not to be counted.
func (m *Miner) streamOf(raw []byte, labels func() ([]logs.Label, error)) (*stream, error) {
	h := maphash.Bytes(m.seed, raw)
	m.streamMu.RLock()
	s, ok := m.streams[h]
	m.streamMu.RUnlock()
	if ok {
		return s, nil
	}
	list, err := labels()
	if err != nil {
		return nil, err
	}
	s = &stream{labels: list, service: logs.Lookup(list, logs.LabelServiceName)}
	if s.service == ServiceName {
		s = nil
	}
	m.streamMu.Lock()
	defer m.streamMu.Unlock()
	if len(m.streams) >= maxStreams {
		clear(m.streams)
	}
	m.streams[h] = s
	return s, nil
}

// Take adds a batch of a tenant's lines and empties it.
func (m *Miner) Take(tenant string, b *Batch) {
	defer b.Reset()
	if len(b.counts) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tenants[tenant]
	if t == nil {
		if len(m.tenants) >= maxTenants {
			m.metrics.skipped.Add(float64(b.thin[0].seen + b.thin[1].seen))
			return
		}
		t = newTenant()
		m.tenants[tenant] = t
	}
	now := m.o.Now()
	for key, n := range b.counts {
		s := b.streams[key.stream]
		c := m.clusterOf(t, s, key, n.sample, now)
		if c == nil {
			m.metrics.skipped.Add(float64(n.lines))
			continue
		}
		c.last = now
		k := countKey{c, s, key.level, key.at}
		if _, ok := t.counts[k]; !ok && len(t.counts) >= maxCounts {
			m.metrics.skipped.Add(float64(n.lines))
			continue
		}
		t.counts[k] += n.lines
	}
}

func newTenant() *tenantClusters {
	return &tenantClusters{services: map[string]*service{}, known: map[signatureKey]*cluster{}, counts: map[countKey]int64{}}
}

// clusterOf returns the cluster of a line, a new one if need be; nil if there is no room.
func (m *Miner) clusterOf(t *tenantClusters, s *stream, key batchKey, sample []byte, now time.Time) *cluster {
	sig := signatureKey{s.service, key.signature}
	if c := t.known[sig]; c != nil && !c.gone {
		return c
	}
	svc := t.services[s.service]
	if svc == nil {
		if len(t.services) >= maxServices {
			return nil
		}
		svc = &service{since: now, byShape: map[uint64][]*cluster{}}
		t.services[s.service] = svc
	}
	l := m.classes.split(sample)
	c := svc.nearest(&l)
	if c == nil {
		if c = svc.add(l, now); c == nil {
			return nil
		}
		m.changed = true
		m.metrics.found.Inc()
		if now.Sub(svc.since) >= m.o.Learn && len(t.news) < maxNews {
			t.news = append(t.news, news{c, s.service, key.level})
		}
	} else if c.generalize(&l) {
		m.changed = true
	}
	if len(t.known) >= maxSignatures {
		clear(t.known)
	}
	t.known[sig] = c
	return c
}

// nearest returns the cluster that a line belongs to, nil if there is none.
func (s *service) nearest(l *line) *cluster {
	var best *cluster
	most := -1
	for _, c := range s.byShape[l.shape()] {
		if n := c.common(l); n > most {
			best, most = c, n
		}
	}
	if best == nil || float64(most) < similar*float64(len(l.words)) {
		return nil
	}
	return best
}

// add makes a cluster of a line; nil if there are too many.
func (s *service) add(l line, now time.Time) *cluster {
	if s.size >= maxClusters && !s.forget(now.Add(-forgetAfter)) {
		return nil
	}
	c := &cluster{line: l, first: now, last: now}
	shape := l.shape()
	s.byShape[shape] = append(s.byShape[shape], c)
	s.size++
	return c
}

// forget drops the cluster that was seen longest ago, if that was before a time.
func (s *service) forget(before time.Time) bool {
	var oldest *cluster
	for _, list := range s.byShape {
		for _, c := range list {
			if c.last.Before(before) && (oldest == nil || c.last.Before(oldest.last)) {
				oldest = c
			}
		}
	}
	if oldest == nil {
		return false
	}
	shape := oldest.shape()
	s.byShape[shape] = slices.DeleteFunc(s.byShape[shape], func(c *cluster) bool { return c == oldest })
	oldest.gone = true
	s.size--
	return true
}
