package seriescache

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	shards = 16

	// minShard is the size from which a shard grows, bytes.
	minShard = 4 << 10

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
	seed   maphash.Seed
	ids    atomic.Uint64
	shards [shards]shard
}

// New returns a cache that takes at most about so many bytes.
func New(maxBytes int) *Cache {
	return newCache(maxBytes, time.Now)
}

func newCache(maxBytes int, now func() time.Time) *Cache {
	c := &Cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].max = max(maxBytes/shards, minShard)
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
	hash := maphash.Bytes(c.seed, key)
	s := &c.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.find(hash, key)
	if at < 0 {
		return refs, false
	}
	e := s.entry(at)
	e.setUsed(true)
	for i := range e.refs() {
		refs = append(refs, e.ref(i))
	}
	return refs, true
}

// Put remembers the references of a key, at most MaxRefs. It keeps no reference
// to its arguments. A key that is too long is not remembered.
func (c *Cache) Put(key []byte, refs []uint64) {
	if len(key) > MaxKey || len(refs) > MaxRefs {
		return
	}
	hash := maphash.Bytes(c.seed, key)
	s := &c.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.find(hash, key); at >= 0 {
		if e := s.entry(at); e.refs() == len(refs) {
			e.setUsed(true)
			e.setRefs(refs)
			return
		}
		s.forget(at) // a key's number of references is part of what it says: this is rare
	}
	s.add(hash, key, refs)
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
		sum.Bytes += cap(s.slab) + 8*len(s.index)
		s.mu.Unlock()
	}
	return sum
}

// shard is a hash table whose entries lie behind each other in one piece of
// memory without pointers, so that a collection of garbage passes over it at
// once.
type shard struct {
	mu      sync.Mutex
	index   []uint64 // by hash, open addressing: the upper half of the hash, and where in slab the entry is, plus one
	slab    []byte
	entries int // in the index
	max     int // bytes of slab
	now     func() time.Time
	swept   time.Time
}

// slot packs a place in the index.
func slot(hash uint64, at int) uint64 { return hash&^(1<<32-1) | uint64(at/alignment+1) }

// find returns where a key's entry is, -1 if there is none.
func (s *shard) find(hash uint64, key []byte) int {
	if len(s.index) == 0 {
		return -1
	}
	mask := uint64(len(s.index) - 1)
	for i := (hash / shards) & mask; ; i = (i + 1) & mask {
		v := s.index[i]
		if v == 0 {
			return -1
		}
		if v>>32 == hash>>32 {
			at := int(v&(1<<32-1)-1) * alignment
			if e := s.entry(at); e.hash() == hash && e.is(key) {
				return at
			}
		}
	}
}

// add appends an entry and makes room for it first if need be.
func (s *shard) add(hash uint64, key []byte, refs []uint64) {
	size := entrySize(len(key), len(refs))
	if len(s.slab)+size > cap(s.slab) {
		s.makeRoom(size)
	}
	if 4*(s.entries+1) > 3*len(s.index) {
		s.reindex(max(2*len(s.index), 64))
	}
	at := len(s.slab)
	s.slab = s.slab[:at+size]
	s.entry(at).write(hash, key, refs)
	s.place(hash, at)
	s.entries++
}

func (s *shard) place(hash uint64, at int) {
	mask := uint64(len(s.index) - 1)
	i := (hash / shards) & mask
	for s.index[i] != 0 {
		i = (i + 1) & mask
	}
	s.index[i] = slot(hash, at)
}

// forget makes an entry unfindable. Its place in the index stays taken, so that
// what is behind it can be found.
func (s *shard) forget(at int) { s.entry(at).clearHash() }

// makeRoom drops what was not used for a while, and lets the shard grow if that
// is not enough.
func (s *shard) makeRoom(size int) {
	now := s.now()
	grown := len(s.slab)
	if now.Sub(s.swept) >= idle || len(s.slab)+size > s.max {
		s.swept = now
		grown = s.keep(func(e entry) bool { return e.used() })
	}
	if grown+size > s.max {
		grown = s.keep(func(entry) bool { return false })
	}
	room := max(grown+grown/4+size, minShard)
	slab := make([]byte, grown, room)
	copy(slab, s.slab)
	s.slab = slab
	s.reindex(len(s.index))
}

// keep moves the entries that are to stay to the front, marks them as not used,
// and returns how many bytes they take. The index is wrong until it is made
// again.
func (s *shard) keep(stays func(entry) bool) int {
	to := 0
	for at := 0; at < len(s.slab); {
		e := s.entry(at)
		size := e.size()
		if stays(e) && e.hash() != 0 {
			e.setUsed(false)
			copy(s.slab[to:], s.slab[at:at+size])
			to += size
		}
		at += size
	}
	s.slab = s.slab[:to]
	return to
}

// reindex makes the index again, with so many places or as few as are enough.
func (s *shard) reindex(places int) {
	s.entries = 0
	for at := 0; at < len(s.slab); at += s.entry(at).size() {
		if s.entry(at).hash() != 0 {
			s.entries++
		}
	}
	for places > 64 && 4*s.entries < places {
		places /= 2
	}
	for 4*(s.entries+1) > 3*places {
		places = max(2*places, 64)
	}
	s.index = make([]uint64, places)
	for at := 0; at < len(s.slab); at += s.entry(at).size() {
		if hash := s.entry(at).hash(); hash != 0 {
			s.place(hash, at)
		}
	}
}
