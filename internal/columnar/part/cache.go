package part

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// Cache keeps bytes of parts that were read for a few rows and verified: filter pages, heads and pages
// of columns. Of what is full the pieces go that were not asked for the longest. What reads
// whole blocks passes it by, and what is read for the first time is not kept, so that reading
// what nobody asks for again costs nothing. It is safe for concurrent use; nil keeps nothing.
type Cache struct {
	seed   maphash.Seed
	shards [cacheShards]cacheShard

	hits, misses atomic.Uint64
}

const (
	cacheShards = 16
	// maxCached is the size of the largest piece that is kept.
	maxCached = 64 << 10
	// missedSets of missedWays pieces are remembered by each shard, to tell what is read again.
	missedSets = 1 << 7
	missedWays = 4
	// pieceOverhead is what a piece takes beside its bytes, about.
	pieceOverhead = 128
)

type pieceKey struct {
	r        *Reader
	off      int64
	unpacked bool // not as in the file
}

// piece is a link of its shard's ring, in the order of use.
type piece struct {
	key        pieceKey
	hash       uint64
	bytes      []byte
	at         uint32 // of the shard's clock, when it came to the front
	next, prev *piece
}

type cacheShard struct {
	mu      sync.Mutex
	pieces  map[uint64]*piece              // by hash; of two with one, there is one
	clock   uint32                         // counts what comes to the front
	ring    piece                          // the newest comes next, the oldest is before
	missed  [missedSets][missedWays]uint64 // hashes of what was read and not kept, the last ones first
	size    int64
	maxSize int64
}

// NewCache returns a cache of so many bytes at most, nil for none.
func NewCache(size int64) *Cache {
	if size <= 0 {
		return nil
	}
	c := &Cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.pieces, s.maxSize = map[uint64]*piece{}, size/cacheShards
		s.ring.next, s.ring.prev = &s.ring, &s.ring
	}
	return c
}

func (c *Cache) shard(key pieceKey) (s *cacheShard, hash uint64) {
	hash = maphash.Comparable(c.seed, key)
	return &c.shards[hash%cacheShards], hash
}

// get returns the n bytes of a piece, nil if they are not here; they are read-only.
// again says that they are missed not for the first time: they should be put.
func (c *Cache) get(key pieceKey, n int) (b []byte, again bool) {
	s, hash := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pieces[hash]
	if p == nil || p.key != key || len(p.bytes) != n {
		c.misses.Add(1)
		missed := &s.missed[hash/cacheShards%missedSets]
		if slices.Contains(missed[:], hash) {
			return nil, true
		}
		copy(missed[1:], missed[:])
		missed[0] = hash
		return nil, false
	}
	c.hits.Add(1)
	if s.clock-p.at > uint32(len(s.pieces)/4) { // not among those in front already
		p.unlink()
		s.push(p)
	}
	return p.bytes, false
}

// put keeps bytes that nobody writes to any more.
func (c *Cache) put(key pieceKey, b []byte) {
	s, hash := c.shard(key)
	p := &piece{key: key, hash: hash, bytes: b}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.pieces[hash]; have != nil {
		s.remove(have)
	}
	s.pieces[hash] = p
	s.size += p.size()
	s.push(p)
	for s.size > s.maxSize {
		s.remove(s.ring.prev)
	}
}

// Forget drops what is kept of a part. Nobody reads it any more.
func (c *Cache) Forget(r *Reader) {
	if c == nil {
		return
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, p := range s.pieces {
			if p.key.r == r {
				s.remove(p)
			}
		}
		s.mu.Unlock()
	}
}

// Size returns the bytes that the cache takes, about.
func (c *Cache) Size() (n int64) {
	if c == nil {
		return 0
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.size
		s.mu.Unlock()
	}
	return n
}

// Counts returns how often a piece was there, and how often not.
func (c *Cache) Counts() (hits, misses uint64) {
	if c == nil {
		return 0, 0
	}
	return c.hits.Load(), c.misses.Load()
}

func (p *piece) size() int64 { return int64(len(p.bytes)) + pieceOverhead }

func (p *piece) unlink() { p.prev.next, p.next.prev = p.next, p.prev }

func (s *cacheShard) push(p *piece) {
	p.prev, p.next = &s.ring, s.ring.next
	p.prev.next, p.next.prev = p, p
	s.clock++
	p.at = s.clock
}

func (s *cacheShard) remove(p *piece) {
	p.unlink()
	delete(s.pieces, p.hash)
	s.size -= p.size()
}
