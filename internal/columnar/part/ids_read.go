package part

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"

	"belfry/internal/columnar/encoding"
)

// Place is where a row is.
type Place struct {
	Block int
	Row   int
}

// idIndex is the ID index of a column.
type idIndex struct {
	section section
	filter  section // n is 0 if there is none

	mu     sync.Mutex
	top    *idTop // once read
	loaded []byte // the filter, if it is in memory
}

// idTop is the top of an ID index.
type idTop struct {
	count int
	first []uint64
	pages []section
}

func (r *Reader) idIndex(col int) *idIndex {
	x := r.ids[col]
	if x == nil {
		x = &idIndex{}
		r.ids[col] = x
	}
	return x
}

// readTop returns the top, which it reads when it is first asked for.
func (r *Reader) readTop(x *idIndex) (*idTop, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.top != nil {
		return x.top, nil
	}
	b, err := r.read(&IO{}, x.section.off, x.section.n, x.section.crc, true)
	if err != nil {
		return nil, err
	}
	raw, err := r.section(b, x.section)
	if err != nil {
		return nil, err
	}
	d := encoding.Reader{B: raw}
	t := &idTop{count: d.Count(MaxBlocks * encoding.MaxRows)}
	off, prev := int64(d.Uvarint()), uint64(0)
	for n := (t.count + idPageEntries - 1) / idPageEntries; n > 0 && !d.Bad(); n-- {
		prev += d.Uvarint()
		p := section{off: off, n: d.Count(math.MaxInt32), crc: d.Uint32()}
		off += int64(p.n)
		t.first = append(t.first, prev)
		t.pages = append(t.pages, p)
	}
	if d.Bad() {
		return nil, corrupt("ID index")
	}
	x.top = t
	return t, nil
}

// HasIDs reports whether a column has an ID index.
func (r *Reader) HasIDs(col int) bool { return r.ids[col] != nil }

// IDFilterSize returns the bytes that LoadIDFilters will hold in memory.
func (r *Reader) IDFilterSize() int64 {
	size := int64(0)
	for _, x := range r.ids {
		size += int64(x.filter.n)
	}
	return size
}

// LoadIDFilters reads the filters of the ID indexes into memory. It must come
// before the first use by another goroutine. Without it MayHaveID reads a page.
func (r *Reader) LoadIDFilters() error {
	for _, x := range r.ids {
		if x.filter.n == 0 {
			continue
		}
		b, err := r.read(&IO{}, x.filter.off, x.filter.n, x.filter.crc, true)
		if err != nil {
			return fmt.Errorf("ID filter: %w", err)
		}
		x.loaded = b
	}
	return nil
}

// MayHaveID reports whether an indexed column may hold the ID; a wrong yes is
// one in about 250.
func (r *Reader) MayHaveID(io *IO, col int, id []byte) (bool, error) {
	return r.MayHaveHash(io, col, encoding.HashValue(id))
}

// MayHaveHash is MayHaveID for the hash of an ID.
func (r *Reader) MayHaveHash(io *IO, col int, hash uint64) (bool, error) {
	x := r.ids[col]
	switch {
	case x == nil || x.filter.n == 0:
		return true, nil
	case x.loaded != nil:
		return encoding.ProbeBloom(x.loaded, hash), nil
	}
	return r.probe(io, x.filter.off, x.filter.n, hash)
}

// FindID appends the places of rows that may have the ID in an indexed column: heads (FlagHead), then
// the others, in order. Hashes collide: the caller compares the values.
func (r *Reader) FindID(io *IO, col int, id []byte, dst []Place) ([]Place, error) {
	return r.FindHash(io, col, encoding.HashValue(id), dst)
}

// FindHash is FindID for the hash of an ID, of which the index knows the upper 40 bits.
func (r *Reader) FindHash(io *IO, col int, hash uint64, dst []Place) ([]Place, error) {
	x := r.ids[col]
	if x == nil {
		return dst, nil
	}
	t, err := r.readTop(x)
	if err != nil {
		return dst, err
	}
	h := hash >> idHashShift
	p := max(sort.Search(len(t.first), func(i int) bool { return t.first[i] >= h })-1, 0)
	for ; p < len(t.pages) && t.first[p] <= h; p++ {
		if dst, err = r.findInPage(io, t, p, h, dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// findInPage appends the places that page p has of a hash, as far as the index stores it.
func (r *Reader) findInPage(io *IO, t *idTop, p int, h uint64, dst []Place) ([]Place, error) {
	var hashes [idPageEntries]uint64
	n, raw, err := r.readHashes(io, t, p, &hashes)
	if err != nil {
		return dst, err
	}
	var entries []uint32
	for i, _ := slices.BinarySearch(hashes[:n], h); i < n && hashes[i] == h; i++ {
		entries = append(entries, uint32(i))
	}
	blocks, rows := make([]uint64, len(entries)), make([]uint64, len(entries))
	if err = encoding.PickInts(blocks, raw, n, entries); err == nil {
		if raw, err = encoding.SkipInts(raw, n); err == nil {
			err = encoding.PickInts(rows, raw, n, entries)
		}
	}
	if err != nil {
		return dst, corrupt("ID index page")
	}
	for i := range entries {
		place, err := r.place(blocks[i], rows[i])
		if err != nil {
			return dst, err
		}
		dst = append(dst, place)
	}
	return dst, nil
}

// place is what an index has stored, if the part has it.
func (r *Reader) place(block, row uint64) (Place, error) {
	if block >= uint64(len(r.Blocks)) || row >= uint64(r.Blocks[block].Rows) {
		return Place{}, corrupt("ID index page")
	}
	return Place{int(block), int(row)}, nil
}

// FindHashes is FindHash for many hashes, ascending: found is called with the position of each
// in hashes and the places of its rows.
func (r *Reader) FindHashes(io *IO, col int, hashes []uint64, found func(hash int, p Place)) error {
	x := r.ids[col]
	if x == nil {
		return nil
	}
	t, err := r.readTop(x)
	if err != nil {
		return err
	}
	var page idPage
	next := 0 // hashes before are below what the pages from here on have
	for p := range t.pages {
		for next < len(hashes) && hashes[next]>>idHashShift < t.first[p] {
			next++
		}
		last := uint64(math.MaxUint64) // a page ends where the next one begins, or in the midst of its first hash
		if p+1 < len(t.pages) {
			last = t.first[p+1]
		}
		read := false
		for i := next; i < len(hashes) && hashes[i]>>idHashShift <= last; i++ {
			if !read {
				if err := r.readIDPage(io, t, p, &page); err != nil {
					return err
				}
				read = true
			}
			if err := page.find(r, hashes[i]>>idHashShift, func(place Place) { found(i, place) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// idPage is a page of an ID index, decoded.
type idPage struct {
	n                    int
	hashes, blocks, rows [idPageEntries]uint64
}

// readHashes reads page p and decodes its n hashes; rest is what follows them.
func (r *Reader) readHashes(io *IO, t *idTop, p int, hashes *[idPageEntries]uint64) (n int, rest []byte, err error) {
	n = min(t.count-p*idPageEntries, idPageEntries)
	raw, err := r.readFew(io, t.pages[p].off, t.pages[p].n, t.pages[p].crc, false)
	if err != nil {
		return 0, nil, err
	}
	if rest, err = r.decodeHashes(hashes[:n], raw); err != nil {
		return 0, nil, corrupt("ID index page")
	}
	return n, rest, nil
}

func (r *Reader) readIDPage(io *IO, t *idTop, p int, page *idPage) error {
	n, raw, err := r.readHashes(io, t, p, &page.hashes)
	if err != nil {
		return err
	}
	page.n = n
	if raw, err = encoding.DecodeInts(page.blocks[:n], raw); err == nil {
		_, err = encoding.DecodeInts(page.rows[:n], raw)
	}
	if err != nil {
		return corrupt("ID index page")
	}
	return nil
}

// find calls found with the places of a hash, as far as the index stores it.
func (p *idPage) find(r *Reader, h uint64, found func(Place)) error {
	i := sort.Search(p.n, func(i int) bool { return p.hashes[i] >= h })
	for ; i < p.n && p.hashes[i] == h; i++ {
		place, err := r.place(p.blocks[i], p.rows[i])
		if err != nil {
			return err
		}
		found(place)
	}
	return nil
}

// decodeHashes decodes the hashes of a page: each once with the length of its run
// since version 4, one for each entry before.
func (r *Reader) decodeHashes(dst []uint64, raw []byte) ([]byte, error) {
	if r.version < 4 {
		return encoding.DecodeInts(dst, raw)
	}
	d := encoding.Reader{B: raw}
	runs := d.Count(len(dst))
	if d.Bad() || runs == 0 {
		return nil, encoding.ErrCorrupt
	}
	var hashes, lengths [idPageEntries]uint64
	rest, err := encoding.DecodeInts(hashes[:runs], d.B)
	if err == nil {
		rest, err = encoding.DecodeInts(lengths[:runs], rest)
	}
	if err != nil {
		return nil, err
	}
	at := 0
	for i, h := range hashes[:runs] {
		n := lengths[i]
		if n > uint64(len(dst)-at) {
			return nil, encoding.ErrCorrupt
		}
		for range n {
			dst[at] = h
			at++
		}
	}
	if at != len(dst) {
		return nil, encoding.ErrCorrupt
	}
	return rest, nil
}
