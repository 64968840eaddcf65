package seriescache

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	shards = 16

	// blockSize is how much memory a shard takes at a time, bytes. An entry does
	// not reach over the end of a block; one that is longer has its own.
	blockSize = 8 << 10

	// idle is how long an entry that is not used stays for certain.
	idle = 10 * time.Minute
)

// Owner is what an appender implements whose store has a cache for its series.
type Owner interface {
	// SeriesCache returns the cache, whose references are those of the store that
	// is appended to.
	SeriesCache() *Cache
}

// Of returns the cache of an appender's store, nil if it has none.
func Of(appender any) *Cache {
	if owner, ok := appender.(Owner); ok {
		return owner.SeriesCache()
	}
	return nil
}

// Cache maps keys to references. It is safe for concurrent use.
type Cache struct {
	seeds  seeds
	ids    atomic.Uint64
	shards [shards]shard
}

// New returns a cache that takes at most about so many bytes.
func New(maxBytes int) *Cache {
	return newCache(maxBytes, time.Now)
}

func newCache(maxBytes int, now func() time.Time) *Cache {
	c := &Cache{seeds: newSeeds()}
	for i := range c.shards {
		c.shards[i].max = max(maxBytes/shards, 2*blockSize)
		c.shards[i].now = now
		c.shards[i].swept = now()
	}
	return c
}

// NextID returns a number that no earlier call has returned: a short name for a
// part of keys that is long and repeats.
func (c *Cache) NextID() uint64 { return c.ids.Add(1) }

// Get appends the references of a key to refs, and reports whether the key is
// known.
func (c *Cache) Get(key []byte, refs []uint64) ([]uint64, bool) {
	id := c.seeds.id(key)
	s := &c.shards[id.a%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	e, _ := s.find(id)
	if e == nil {
		return refs, false
	}
	e.setUsed(true)
	for i := range e.refs() {
		refs = append(refs, e.ref(i))
	}
	return refs, true
}

// Put remembers the references of a key; of a key that has more than MaxRefs
// nothing. It keeps no reference to its arguments.
func (c *Cache) Put(key []byte, refs []uint64) {
	if len(refs) > MaxRefs {
		return
	}
	id := c.seeds.id(key)
	s := &c.shards[id.a%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	e, place := s.find(id)
	if e != nil && e.refs() == len(refs) {
		e.setUsed(true)
		e.setRefs(refs)
		return
	}
	if e != nil {
		s.index[place] = forgotten // another number of references is rare
		e.remove()
	}
	s.add(id, refs)
}

// Stats is what a cache holds.
type Stats struct {
	Entries int
	Bytes   int
}

// Stats returns what the cache holds.
func (c *Cache) Stats() (sum Stats) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		sum.Entries += s.entries
		sum.Bytes += s.taken + 8*len(s.index)
		s.mu.Unlock()
	}
	return sum
}

// shard is a hash table whose entries lie behind each other in blocks of memory
// without pointers, so that a collection of garbage passes over them at once.
type shard struct {
	mu      sync.Mutex
	index   []uint64 // by hash, open addressing; see slot
	blocks  [][]byte
	taken   int // bytes of the blocks' memory
	entries int // places of the index that are taken
	max     int // bytes of blocks
	now     func() time.Time
	swept   time.Time
}

// slot is what the index says of an entry: the upper half of its first hash, the
// block, one more than where in the block the entry is.
func slot(key id, block, at int) uint64 {
	return key.a&^(1<<32-1) | uint64(block)<<offsetBits | uint64(at+1) //nolint:gosec // both are small
}

const (
	offsetBits = 14 // blockSize, and one more
	maxBlocks  = 1 << (32 - offsetBits)

	// forgotten is a place in the index whose entry is not to be found any more.
	// It stays taken, so that what is behind it can be found.
	forgotten = 1<<offsetBits - 1
)

// find returns a key's entry and its place in the index, nil if there is none.
func (s *shard) find(key id) (e entry, place uint64) {
	if len(s.index) == 0 {
		return nil, 0
	}
	mask := uint64(len(s.index) - 1)
	for i := (key.a / shards) & mask; ; i = (i + 1) & mask {
		v := s.index[i]
		if v == 0 {
			return nil, 0
		}
		if v>>32 == key.a>>32 && v&forgotten != forgotten {
			if e := entry(s.blocks[v&(1<<32-1)>>offsetBits][v&(1<<offsetBits-1)-1:]); e.id() == key {
				return e, i
			}
		}
	}
}

// add appends an entry and makes room for it first if need be.
func (s *shard) add(key id, refs []uint64) {
	size := entrySize(len(refs))
	if !s.fits(size) {
		s.makeRoom(size)
	}
	if 4*(s.entries+1) > 3*len(s.index) {
		s.reindex()
	}
	block := len(s.blocks) - 1
	at := len(s.blocks[block])
	s.blocks[block] = s.blocks[block][:at+size]
	entry(s.blocks[block][at:]).write(key, refs)
	s.place(key, block, at)
}

// fits reports whether the last block has room.
func (s *shard) fits(size int) bool {
	if len(s.blocks) == 0 {
		return false
	}
	last := s.blocks[len(s.blocks)-1]
	return len(last)+size <= cap(last)
}

func (s *shard) place(key id, block, at int) {
	mask := uint64(len(s.index) - 1)
	i := (key.a / shards) & mask
	for s.index[i] != 0 {
		i = (i + 1) & mask
	}
	s.index[i] = slot(key, block, at)
	s.entries++
}

// makeRoom begins a block. It first drops what was not used for a while, and all
// if there is no other way.
func (s *shard) makeRoom(size int) {
	now := s.now()
	full := func() bool { return s.taken+max(size, blockSize) > s.max || len(s.blocks) >= maxBlocks }
	if now.Sub(s.swept) >= idle || full() {
		s.swept = now
		s.sweep()
		if s.fits(size) {
			return
		}
	}
	if full() {
		s.blocks, s.taken = nil, 0
		s.reindex()
	}
	s.begin(size)
}

// begin adds a block in which an entry of the size fits.
func (s *shard) begin(size int) {
	size = max(size, blockSize)
	s.blocks = append(s.blocks, make([]byte, 0, size))
	s.taken += size
}

// sweep drops the entries that were not used since the last time.
func (s *shard) sweep() {
	old := s.blocks
	s.blocks, s.taken = nil, 0
	for i, block := range old {
		for at := 0; at < len(block); {
			e := entry(block[at:])
			size := e.size()
			at += size
			if !e.used() {
				continue
			}
			e.setUsed(false)
			if !s.fits(size) {
				s.begin(size)
			}
			last := len(s.blocks) - 1
			s.blocks[last] = append(s.blocks[last], e[:size]...)
		}
		old[i] = nil
	}
	s.reindex()
}

// reindex makes the index again, at least half of it free.
func (s *shard) reindex() {
	n := 0
	s.each(func(entry, int, int) { n++ })
	places := 64
	for places < 2*(n+1) {
		places *= 2
	}
	s.index, s.entries = make([]uint64, places), 0
	s.each(func(e entry, block, at int) {
		s.place(e.id(), block, at)
	})
}

// each calls f for each entry that has not been removed.
func (s *shard) each(f func(e entry, block, at int)) {
	for i, block := range s.blocks {
		for at := 0; at < len(block); {
			e := entry(block[at:])
			if !e.removed() {
				f(e, i, at)
			}
			at += e.size()
		}
	}
}
