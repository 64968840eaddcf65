package column

import (
	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/slab"
)

// Codes says which entry of a builder each entry of a vector's dictionary is. The zero
// value is ready; Reset it when the vector is another one.
type Codes struct {
	of  *codes // of the builder
	gen int
	to  []uint32
}

// Reset forgets the vector.
func (c *Codes) Reset() { c.of = nil }

const noCode = ^uint32(0)

// codes make the values of a builder entries of a dictionary: offs and data of the
// Builder hold each distinct value once.
type codes struct {
	on    bool
	gen   int
	ids   []uint32 // entry of each value
	raw   int      // bytes of all values
	table []uint32 // entry plus one, by hash
}

// AppendCoded is AppendVector for a vector that may have a dictionary: as long as all vectors
// have one, values are not taken from it to be looked up again by the Encoder.
func (b *Builder) AppendCoded(at uint32, v *Vector, from, to int, c *Codes) {
	if !v.dict || !b.isCoded() && b.count > 0 {
		b.AppendVector(at, v, from, to)
		return
	}
	if b.codes == nil {
		b.codes = &codes{}
	}
	k := b.codes
	if !k.on {
		k.begin()
		b.offs = append(slab.Grow(b.mem, b.offs[:0], 1), 0)
	}
	if c.of != k || c.gen != k.gen {
		c.of, c.gen, c.to = k, k.gen, c.to[:0]
		for range v.DictLen() {
			c.to = append(c.to, noCode)
		}
	}
	dense := v.present == nil && !b.sparse && int(at) == b.count
	k.ids = slab.Grow(b.mem, k.ids, to-from)
	for i, id := range v.ids[from:to] {
		if !dense && !v.Has(from+i) {
			continue
		}
		code := c.to[id]
		if code == noCode {
			code = b.code(v.DictBytes(int(id)))
			c.to[id] = code
		}
		if !dense {
			b.addRow(at + uint32(i))
		}
		k.ids = append(k.ids, code)
		k.raw += int(b.offs[code+1] - b.offs[code])
	}
	if dense {
		b.count += to - from
	}
}

func (b *Builder) isCoded() bool { return b.codes != nil && b.codes.on }

func (k *codes) begin() {
	k.on, k.raw, k.ids = true, 0, k.ids[:0]
	k.gen++
	clear(k.table)
}

// code returns the entry of a value, a new one if need be.
func (b *Builder) code(v []byte) uint32 {
	k := b.codes
	if 2*len(b.offs) >= len(k.table) {
		b.growTable()
	}
	mask := uint64(len(k.table) - 1)
	for p := encoding.HashValue(v) & mask; ; p = (p + 1) & mask {
		id := k.table[p]
		if id == 0 {
			b.data = append(slab.Grow(b.mem, b.data, len(v)), v...)
			b.offs = append(slab.Grow(b.mem, b.offs, 1), uint32(len(b.data)))
			k.table[p] = uint32(len(b.offs) - 1)
			return k.table[p] - 1
		}
		if id--; string(v) == string(b.entry(id)) {
			return id
		}
	}
}

func (b *Builder) entry(id uint32) []byte { return b.data[b.offs[id]:b.offs[id+1]] }

func (b *Builder) growTable() {
	k := b.codes
	k.table = make([]uint32, max(2*len(k.table), 64))
	mask := uint64(len(k.table) - 1)
	for id := range len(b.offs) - 1 {
		p := encoding.HashValue(b.entry(uint32(id))) & mask
		for k.table[p] != 0 {
			p = (p + 1) & mask
		}
		k.table[p] = uint32(id + 1)
	}
}

// expand gives each value its bytes again.
func (b *Builder) expand() {
	if !b.isCoded() {
		return
	}
	k := b.codes
	offs, data := append(slab.Make[uint32](b.mem, len(k.ids)+1), 0), slab.Make[byte](b.mem, k.raw)
	for _, id := range k.ids {
		data = append(data, b.entry(id)...)
		offs = append(offs, uint32(len(data)))
	}
	slab.Free(b.mem, b.offs)
	slab.Free(b.mem, b.data)
	b.offs, b.data = offs, data
	k.on = false
}
