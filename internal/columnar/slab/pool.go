package slab

import (
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// A slab is at least so large: the system's tables grow with their number.
	minSlab = 256 << 10
	// What is smaller than this shares a slab.
	minOwn = 64 << 10
	// Sizes are multiples of a power of two that is their sixteenth at most, and of a page: so a column
	// that is a little larger than the one before finds its memory.
	pageSize    = 4 << 10
	sizeClasses = 16
	// One in so many of the bytes that were asked for may be handed out beside them.
	looseness = 8

	guardVariable = "BELFRY_SLAB_GUARD"
	// So many slabs that were given back stay inaccessible.
	guardSlabs = 4 << 10
	poison     = 0xdb
)

// Pool maps slabs, and keeps those given back for a while. It is safe for concurrent use.
type Pool struct {
	maxIdle int64
	now     func() time.Time
	guard   bool

	mu     sync.Mutex
	idle   []idleSlab // the oldest first
	dead   []slab     // inaccessible, if the pool is guarded
	bytes  int64      // of idle
	used   int64
	closed bool
}

// slab is a piece of memory that belongs to one owner.
type slab struct {
	b      []byte
	mapped bool // else it is of the Go heap
}

type idleSlab struct {
	slab
	since time.Time
}

// Options of a Pool.
type Options struct {
	MaxIdle int64            // bytes that are kept for others at most
	Now     func() time.Time // time.Now
	Guard   bool             // make what is given back inaccessible, for tests
}

// NewPool returns an empty pool.
func NewPool(o Options) *Pool {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Pool{maxIdle: o.MaxIdle, now: o.Now, guard: o.Guard || os.Getenv(guardVariable) == "1"}
}

// NewSet returns an owner without memory.
func (p *Pool) NewSet() *Set { return &Set{pool: p} }

// Stats returns the bytes that owners have, and those kept for others.
func (p *Pool) Stats() (used, idle int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used, p.bytes
}

// Trim returns to the system what nobody took for so long.
func (p *Pool) Trim(after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, now := 0, p.now()
	for old < len(p.idle) && now.Sub(p.idle[old].since) >= after {
		old++
	}
	p.drop(old)
}

// Close returns all that is kept to the system, and so what owners give back later.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.drop(len(p.idle))
	for _, s := range p.dead {
		s.unmap()
	}
	p.dead = nil
}

// size returns how large a slab for n bytes is.
func size(n int) int {
	step := pageSize
	for step*2*sizeClasses <= n {
		step *= 2
	}
	return (n + step - 1) / step * step
}

// take returns a slab of n bytes or a little more.
func (p *Pool) take(n int) slab {
	n = size(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for i := range p.idle {
		if have := len(p.idle[i].b); have >= n && have <= n+n/looseness && (best < 0 || have < len(p.idle[best].b)) {
			best = i
		}
	}
	var s slab
	if best >= 0 {
		s = p.idle[best].slab
		p.idle = slices.Delete(p.idle, best, best+1)
		p.bytes -= int64(len(s.b))
	} else if b := mapMemory(n); b != nil {
		s = slab{b, true}
	} else {
		s = slab{make([]byte, n), false}
	}
	p.used += int64(len(s.b))
	return s
}

// give takes slabs back.
func (p *Pool) give(slabs ...slab) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for _, s := range slabs {
		p.used -= int64(len(s.b))
		switch {
		case p.guard:
			p.bury(s)
		case p.closed:
			s.unmap()
		default:
			p.idle, p.bytes = append(p.idle, idleSlab{s, now}), p.bytes+int64(len(s.b))
		}
	}
	n := 0
	for left := p.bytes; left > p.maxIdle; n++ {
		left -= int64(len(p.idle[n].b))
	}
	p.drop(n)
}

// drop returns the oldest n idle slabs to the system.
func (p *Pool) drop(n int) {
	for _, s := range p.idle[:n] {
		p.bytes -= int64(len(s.b))
		s.unmap()
	}
	p.idle = slices.Delete(p.idle, 0, n)
}

// bury makes a slab inaccessible.
func (p *Pool) bury(s slab) {
	if !s.mapped {
		for i := range s.b {
			s.b[i] = poison
		}
		return
	}
	if err := protectMemory(s.b); err != nil || p.closed {
		s.unmap()
		return
	}
	if p.dead = append(p.dead, s); len(p.dead) > guardSlabs {
		p.dead[0].unmap()
		p.dead = slices.Delete(p.dead, 0, 1)
	}
}

func (s slab) unmap() {
	if s.mapped {
		_ = unmapMemory(s.b) // it fails for addresses that are not mapped, which ours are
	}
}
