package part

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"belfry/internal/columnar/slab"
)

// Cache keeps bytes of parts that were read for a few rows and verified: filter pages, heads and pages
// of columns. Of what is full the pieces go that were not asked for, the oldest first. What reads
// whole blocks passes it by, and what is read for the first time is not kept, so that reading
// what nobody asks for again costs nothing. The bytes are outside of the Go heap: a query that
// is the second to read something makes no garbage of it. It is safe for concurrent use; nil keeps nothing.
type Cache struct {
	seed   maphash.Seed
	shards [cacheShards]cacheShard

	hits, misses atomic.Uint64
}

const (
	cacheShards = 16
	// maxCached is the size of the largest piece that is kept.
	maxCached = 64 << 10
	// A shard takes so much memory at a time, a share of all that it may have at most.
	maxChunk   = 128 << 10
	chunkShare = 4
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

// piece is n bytes of a chunk.
type piece struct {
	key    pieceKey
	chunk  *cacheChunk
	off, n int
	asked  bool // since the chunk was the newest
}

// cacheChunk is memory that is filled with pieces from front to back.
type cacheChunk struct {
	b    []byte
	put  []placed // what was put there, in order
	live int      // pieces of it that are there
}

type placed struct {
	hash uint64
	off  int
}

type cacheShard struct {
	mu     sync.Mutex
	mem    *slab.Set
	pieces map[uint64]*piece              // by hash; of two with one, there is one
	chunks []*cacheChunk                  // the oldest first; the last one is filled up
	most   int                            // chunks
	chunk  int                            // bytes of each
	missed [missedSets][missedWays]uint64 // hashes of what was read and not kept, the last ones first
	size   int64
}

// NewCache returns a cache of so many bytes of a pool at most, nil for none.
func NewCache(size int64, pool *slab.Pool) *Cache {
	if size <= 0 {
		return nil
	}
	c := &Cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.pieces, s.mem = map[uint64]*piece{}, pool.NewSet()
		s.chunk = int(min(size/cacheShards/chunkShare, maxChunk))
		s.most = int(size / cacheShards / int64(max(s.chunk, 1)))
	}
	return c
}

// Close gives back the memory. Nobody uses the cache any more, but to Forget.
func (c *Cache) Close() {
	if c == nil {
		return
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		clear(s.pieces)
		s.chunks, s.most, s.size = nil, 0, 0
		s.mem.Release()
		s.mu.Unlock()
	}
}

func (c *Cache) shard(key pieceKey) (s *cacheShard, hash uint64) {
	hash = maphash.Comparable(c.seed, key)
	return &c.shards[hash%cacheShards], hash
}

// get hands the n bytes of a piece to use, if they are here; they must not be written to, nor be kept.
// again says that they are missed not for the first time: they should be put.
func (c *Cache) get(key pieceKey, n int, use func(b []byte)) (found, again bool) {
	s, hash := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pieces[hash]
	if p == nil || p.key != key || p.n != n {
		c.misses.Add(1)
		missed := &s.missed[hash/cacheShards%missedSets]
		if slices.Contains(missed[:], hash) {
			return false, true
		}
		copy(missed[1:], missed[:])
		missed[0] = hash
		return false, false
	}
	c.hits.Add(1)
	p.asked = true
	use(p.chunk.b[p.off : p.off+n : p.off+n])
	return true, false
}

// put keeps a copy of bytes.
func (c *Cache) put(key pieceKey, b []byte) {
	s, hash := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(b) > s.chunk || s.most == 0 {
		return
	}
	if have := s.pieces[hash]; have != nil {
		s.remove(hash, have)
	}
	chunk := s.room(len(b))
	p := &piece{key: key, chunk: chunk, off: len(chunk.b), n: len(b)}
	chunk.b, chunk.put = append(chunk.b, b...), append(chunk.put, placed{hash, p.off})
	chunk.live++
	s.pieces[hash] = p
	s.size += p.size()
}

// room returns the newest chunk, with room for n bytes.
func (s *cacheShard) room(n int) *cacheChunk {
	if last := len(s.chunks) - 1; last >= 0 && len(s.chunks[last].b)+n <= s.chunk {
		return s.chunks[last]
	}
	at := slices.IndexFunc(s.chunks, func(c *cacheChunk) bool { return c.live == 0 })
	if at < 0 && len(s.chunks) < s.most {
		c := &cacheChunk{b: slab.Make[byte](s.mem, s.chunk)}
		s.chunks = append(s.chunks, c)
		return c
	}
	c := s.chunks[max(at, 0)] // the oldest makes room if none is empty
	s.chunks = append(slices.Delete(s.chunks, max(at, 0), max(at, 0)+1), c)
	s.thin(c, min(s.chunk/2, s.chunk-n))
	return c
}

// thin leaves those pieces of a chunk that were asked for, at its front, as far as they have room in so many bytes.
func (s *cacheShard) thin(c *cacheChunk, most int) {
	put := c.put
	c.b, c.put = c.b[:0], c.put[:0]
	for _, was := range put {
		p := s.pieces[was.hash]
		if p == nil || p.chunk != c || p.off != was.off {
			continue
		}
		if !p.asked || len(c.b)+p.n > most {
			s.remove(was.hash, p)
			continue
		}
		at := len(c.b)
		c.b, c.put = append(c.b, c.b[p.off:p.off+p.n:s.chunk]...), append(c.put, placed{was.hash, at})
		p.off, p.asked = at, false
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
		for hash, p := range s.pieces {
			if p.key.r == r {
				s.remove(hash, p)
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

func (p *piece) size() int64 { return int64(p.n) + pieceOverhead }

func (s *cacheShard) remove(hash uint64, p *piece) {
	delete(s.pieces, hash)
	p.chunk.live--
	s.size -= p.size()
}
