package columnar

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
)

// streamDef is a stream as the engine keeps it. It is read-only.
type streamDef struct {
	Stream
	key string // canonical fields; parts order streams by it
}

// newStreamDef makes a stream of fields, which it sorts.
func newStreamDef(fields []Field) *streamDef {
	slices.SortStableFunc(fields, func(a, b Field) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value.Kind(), b.Value.Kind()))
	})
	var key []byte
	for _, f := range fields {
		key = encoding.AppendBytes(key, f.Name)
		key = appendValue(key, f.Value)
	}
	sum := sha256.Sum256(key)
	d := &streamDef{key: string(key)}
	d.Fields = fields
	copy(d.ID[:], sum[:])
	return d
}

// parseStreamDef reads a canonical key.
func parseStreamDef(key string) (*streamDef, error) {
	r := encoding.Reader{B: []byte(key)}
	var fields []Field
	for len(r.B) > 0 && !r.Bad() {
		name := string(r.Bytes())
		fields = append(fields, Field{name, readValue(&r)})
	}
	if r.Bad() {
		return nil, encoding.ErrCorrupt
	}
	sum := sha256.Sum256([]byte(key))
	d := &streamDef{key: key}
	d.Fields = fields
	copy(d.ID[:], sum[:])
	return d, nil
}

// appendValue appends a kind and a value.
func appendValue(dst []byte, v Value) []byte {
	dst = append(dst, byte(v.Kind()))
	if v.Kind().VarWidth() {
		return encoding.AppendBytes(dst, v.Str())
	}
	return binary.LittleEndian.AppendUint64(dst, v.Bits())
}

func readValue(r *encoding.Reader) Value {
	k := Kind(r.Byte())
	switch {
	case !k.Valid():
		r.Fail()
		return Value{}
	case k.VarWidth():
		return column.VarValue(k, string(r.Bytes()))
	}
	return column.NumValue(k, r.Uint64())
}

// streamCache interns streams: by the raw bytes that decoders show, and by key.
// It forgets everything when it is full; streams in use live on.
type streamCache struct {
	seed1, seed2 maphash.Seed

	mu    sync.RWMutex
	byRaw map[rawKey]*streamDef
	byKey map[string]*streamDef
}

type rawKey struct{ a, b uint64 }

const maxCachedStreams = 64 << 10

func newStreamCache() *streamCache {
	return &streamCache{
		seed1: maphash.MakeSeed(),
		seed2: maphash.MakeSeed(),
		byRaw: map[rawKey]*streamDef{},
		byKey: map[string]*streamDef{},
	}
}

func (c *streamCache) hash(raw [][]byte) rawKey {
	var h1, h2 maphash.Hash
	h1.SetSeed(c.seed1)
	h2.SetSeed(c.seed2)
	var n [8]byte
	for _, b := range raw {
		binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
		h1.Write(n[:])
		h1.Write(b)
		h2.Write(n[:])
		h2.Write(b)
	}
	return rawKey{h1.Sum64(), h2.Sum64()}
}

func (c *streamCache) get(k rawKey) *streamDef {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byRaw[k]
}

// define interns the stream of fields under a raw key.
func (c *streamCache) define(k rawKey, fields []Field) *streamDef {
	d := newStreamDef(fields)
	c.mu.Lock()
	defer c.mu.Unlock()
	d = c.intern(d)
	if len(c.byRaw) >= maxCachedStreams {
		clear(c.byRaw)
	}
	c.byRaw[k] = d
	return d
}

func (c *streamCache) intern(d *streamDef) *streamDef {
	if have := c.byKey[d.key]; have != nil {
		return have
	}
	if len(c.byKey) >= maxCachedStreams {
		clear(c.byKey)
	}
	c.byKey[d.key] = d
	return d
}

// parse returns the stream with a key.
func (c *streamCache) parse(key string) (*streamDef, error) {
	c.mu.RLock()
	d := c.byKey[key]
	c.mu.RUnlock()
	if d != nil {
		return d, nil
	}
	d, err := parseStreamDef(key)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.intern(d), nil
}
