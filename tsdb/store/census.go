package store

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"

	metrics "belfry/tsdb"
)

// Churn is counted in slots that make an hour.
const (
	churnSlots = 6
	churnSlot  = 10 * time.Minute
)

// census counts a tenant's active series by metric and, where that is limited,
// the values of each label. It has an entry per metric and per value, so it is
// bounded by the series themselves.
type census struct {
	now func() time.Time

	mu      sync.Mutex
	metrics map[string]*metricCount

	// values counts the series of each value of each label, by the hash of
	// both; distinct how many values a label has. Nil if nobody limits them.
	values   map[uint64]uint32
	distinct map[string]int
	seed     maphash.Seed
}

// metricCount is one metric's.
type metricCount struct {
	active  int
	created [churnSlots]uint32 // series created in the slot, by slot modulo churnSlots
	slot    int64              // the newest that created speaks of
}

func newCensus(now func() time.Time, countValues bool) *census {
	c := &census{now: now, metrics: map[string]*metricCount{}, seed: maphash.MakeSeed()}
	if countValues {
		c.values, c.distinct = map[uint64]uint32{}, map[string]int{}
	}
	return c
}

// seriesOf is how many active series a metric has.
func (c *census) seriesOf(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.metrics[name]; m != nil {
		return m.active
	}
	return 0
}

// fullLabel returns a label of ls that has as many values as the limit allows,
// and not the one of ls.
func (c *census) fullLabel(ls labels.Labels, limit int) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	full, found := "", false
	ls.Range(func(l labels.Label) {
		if !found && l.Name != model.MetricNameLabel && c.distinct[l.Name] >= limit && c.values[c.hash(l)] == 0 {
			full, found = strings.Clone(l.Name), true
		}
	})
	return full, found
}

// add counts a new series. Series that the log brought back were created at
// some other time.
func (c *census) add(ls labels.Labels, created bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := ls.Get(model.MetricNameLabel)
	m := c.metrics[name]
	if m == nil {
		m = &metricCount{}
		c.metrics[strings.Clone(name)] = m
	}
	m.active++
	if created {
		m.advance(c.slot())
		m.created[m.slot%churnSlots]++
	}
	if c.values == nil {
		return
	}
	ls.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel {
			return
		}
		h := c.hash(l)
		if c.values[h]++; c.values[h] > 1 {
			return
		}
		if n, ok := c.distinct[l.Name]; ok {
			c.distinct[l.Name] = n + 1
		} else {
			c.distinct[strings.Clone(l.Name)] = 1
		}
	})
}

// remove forgets series that have left the head.
func (c *census) remove(gone map[chunks.HeadSeriesRef]labels.Labels) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ls := range gone {
		name := ls.Get(model.MetricNameLabel)
		if m := c.metrics[name]; m != nil {
			if m.active--; m.active == 0 {
				delete(c.metrics, name)
			}
		}
		if c.values == nil {
			continue
		}
		ls.Range(func(l labels.Label) {
			h := c.hash(l)
			switch c.values[h] {
			case 0:
				return
			case 1:
				delete(c.values, h)
				if c.distinct[l.Name]--; c.distinct[l.Name] == 0 {
					delete(c.distinct, l.Name)
				}
			default:
				c.values[h]--
			}
		})
	}
}

func (c *census) hash(l labels.Label) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.WriteString(l.Name)
	_ = h.WriteByte(0xff)
	_, _ = h.WriteString(l.Value)
	return h.Sum64()
}

func (c *census) slot() int64 { return c.now().UnixMilli() / churnSlot.Milliseconds() }

// advance empties the slots between the newest and now.
func (m *metricCount) advance(now int64) {
	for ; m.slot < now && now-m.slot <= churnSlots; m.slot++ {
		m.created[(m.slot+1)%churnSlots] = 0
	}
	if m.slot < now {
		m.created, m.slot = [churnSlots]uint32{}, now
	}
}

// counts returns all metrics, those with the most active series first.
func (c *census) counts() []metrics.MetricSeries {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]metrics.MetricSeries, 0, len(c.metrics))
	now := c.slot()
	for name, m := range c.metrics {
		m.advance(now)
		s := metrics.MetricSeries{Name: name, Active: m.active}
		for _, n := range m.created {
			s.Created += int(n)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b metrics.MetricSeries) int {
		return cmp.Or(b.Active-a.Active, strings.Compare(a.Name, b.Name))
	})
	return out
}
