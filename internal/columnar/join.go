package columnar

import (
	"slices"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/part"
	"belfry/internal/columnar/slab"
)

// Grouping joins rows that belong together, such as the spans of a trace, when a
// flush writes them: what a group's rows say of each other becomes columns of
// their own, so that a query need not bring the group together again.
//
// Rows of a group may arrive at any time, so that a part may lack some. The
// engine keeps count: GroupView.Whole hands out the groups of which one part has
// all rows, whose derived columns are right; GroupView.Apart hands out the rest. Rows without
// an ID are groups of their own, from which nothing is derived.
type Grouping struct {
	ID      ColRef // an Indexed column; rows that share its value are a group
	Ordinal ColRef // an Int column, which numbers the groups of a part from 0 by their first rows' times; not to be set by the decoder

	// Derive sets the derived columns of whole groups of a part: of all when it is written
	// first, of those that it completes when it is merged. Several goroutines may run it at once.
	Derive func(rows *JoinRows)
	// Derived are the columns that Derive sets.
	Derived []ColRef
}

// NoGroup is the group of rows without an ID.
const NoGroup = ^uint32(0)

// JoinRows are the rows of a part that is about to be written.
type JoinRows struct {
	Blocks []JoinBlock
	Groups int // numbered from 0

	mem   *slab.Set
	apart []bool // by group
}

// Memory returns where Derive may take memory that it needs until it returns; nil is the heap.
func (j *JoinRows) Memory() *slab.Set { return j.mem }

// Apart says that the derived columns of a group must not be used.
func (j *JoinRows) Apart(group int) { j.apart[group] = true }

// JoinBlock is some of the rows, sorted by stream and time.
type JoinBlock struct {
	Times []uint64 // nanoseconds; read-only
	Group []uint32 // of each row, or NoGroup; read-only

	o       *Options
	mem     *slab.Set // for what is derived; nil: the heap
	from    joinSource
	derived []derivedColumn
}

// joinSource is where the rows of a JoinBlock are.
type joinSource interface {
	times() []uint64
	column(key ColumnKey) *Vector // nil if no row has it
	stream(row int) *streamDef
}

// Column returns a column of the rows, nil if none has it.
func (b *JoinBlock) Column(c ColRef) *Vector { return b.from.column(b.o.columnKey(c)) }

// Stream returns the stream of a row.
func (b *JoinBlock) Stream(row int) *Stream { return &b.from.stream(row).Stream }

// memJoin is rows in memory.
type memJoin struct {
	block   *memBlock
	rows    []uint32 // of the block, in the order of parts; nil: all as they are
	a       *column.Arena
	columns []ColumnKey
	streams []*memStream
}

func (m *memJoin) column(key ColumnKey) *Vector {
	i := slices.Index(m.columns, key)
	if i < 0 || i >= len(m.block.cols) || m.block.cols[i] == nil || m.block.cols[i].Count() == 0 {
		return nil
	}
	v := m.block.cols[i].Vector(len(m.block.times), m.a)
	if m.rows != nil {
		v = v.Gather(m.rows, m.a)
	}
	return v
}

func (m *memJoin) times() []uint64 {
	if m.rows == nil {
		return m.block.times
	}
	times := m.a.Words(len(m.rows))
	for i, row := range m.rows {
		times[i] = m.block.times[row]
	}
	return times
}

func (m *memJoin) stream(row int) *streamDef {
	if m.rows != nil {
		row = int(m.rows[row])
	}
	return m.streams[m.block.stream[row]].def
}

// SetInts sets an Int column of the given rows, ascending: that of rows[i] to value(i).
func (b *JoinBlock) SetInts(c ColRef, rows []uint32, value func(i int) uint64) {
	gaps := len(rows) > 0 && int(rows[len(rows)-1]) >= len(rows)
	out := column.NewBuilder(KindInt, column.Shape{Count: len(rows), Sparse: gaps}, b.mem)
	for i, row := range rows {
		out.AppendNum(row, value(i))
	}
	b.derive(c, out)
}

// SetStrings sets a String or Bytes column of the given rows, ascending.
func (b *JoinBlock) SetStrings(c ColRef, rows []uint32, values []string) {
	out := column.NewBuilder(b.o.Columns[c].Kind, column.Shape{}, b.mem)
	for i, v := range values {
		out.AppendBytes(rows[i], []byte(v))
	}
	b.derive(c, out)
}

func (o *Options) columnKey(c ColRef) ColumnKey {
	return ColumnKey{o.Columns[c].Name, o.Columns[c].Kind}
}

// derive adds a derived column.
func (b *JoinBlock) derive(c ColRef, values *column.Builder) {
	if values.Count() > 0 {
		b.derived = append(b.derived, derivedColumn{b.o.columnKey(c), values})
	}
}

type derivedColumn struct {
	key ColumnKey
	b   *column.Builder
}

// join finds the groups of rows, numbers them, and derives their columns. It returns the
// hashes of the groups.
func (rows *JoinRows) join(g *Grouping) []uint64 {
	index, first := rows.find(g)
	hashes := index.number(first, rows.Blocks)
	rows.setOrdinals(g, func(group uint32) uint64 { return uint64(group) })
	g.Derive(rows)
	return hashes
}

// find numbers the groups as they are met, and returns the least time of each.
func (rows *JoinRows) find(g *Grouping) (index *groupIndex, first []uint64) {
	index = newGroupIndex()
	for i := range rows.Blocks {
		b := &rows.Blocks[i]
		b.Times = b.from.times()
		b.Group = slab.Make[uint32](b.mem, len(b.Times))[:len(b.Times)]
		ids := b.Column(g.ID)
		for i, t := range b.Times {
			b.Group[i] = NoGroup
			if ids == nil || !ids.Has(i) {
				continue
			}
			n := index.of(ids.Bytes(i))
			if int(n) == len(first) {
				first = append(first, t)
			}
			if int64(t) < int64(first[n]) {
				first[n] = t
			}
			b.Group[i] = n
		}
	}
	rows.Groups = len(first)
	rows.apart = make([]bool, rows.Groups)
	return index, first
}

// setOrdinals sets the rows' numbers of their groups.
func (rows *JoinRows) setOrdinals(g *Grouping, of func(group uint32) uint64) {
	for i := range rows.Blocks {
		b := &rows.Blocks[i]
		with := slab.Make[uint32](b.mem, len(b.Group))
		for row, n := range b.Group {
			if n != NoGroup {
				with = append(with, uint32(row))
			}
		}
		b.SetInts(g.Ordinal, with, func(i int) uint64 { return of(b.Group[with[i]]) })
		slab.Free(b.mem, with)
	}
}

// join derives the columns of the rows of a part, and returns the hashes of its
// groups, and those that must not be used.
func (db *DB) join(sources []mergeSource, mem *slab.Set) (hashes []uint64, apart []uint64) {
	rows := &JoinRows{mem: mem}
	var mems []*memSource
	for _, s := range sources {
		if mem, ok := s.(*memSource); ok {
			mems = append(mems, mem)
			rows.Blocks = append(rows.Blocks, JoinBlock{o: &db.o, mem: rows.mem, from: &memJoin{
				block: mem.b, rows: mem.rows, a: mem.a, columns: mem.t.columns, streams: mem.t.streams,
			}})
		}
	}
	hashes = rows.join(db.o.Grouping)
	for i, mem := range mems {
		mem.derived = rows.Blocks[i].derived
	}
	for n, is := range rows.apart {
		if is {
			apart = append(apart, hashes[n])
		}
	}
	return hashes, apart
}

// joinFlush derives the columns of all parts that a flush is about to write for
// a tenant, by day, and returns what is to be recorded of their groups.
func (db *DB) joinFlush(tenant string, byDay map[int64][]mergeSource, mem *slab.Set) (map[int64]part.Groups, error) {
	if db.o.Grouping == nil {
		return nil, nil
	}
	out := map[int64]part.Groups{}
	days := map[uint64]int64{} // of each group's first part, if there are several
	older, release := db.liveParts(tenant)
	defer release()
	twice := map[uint64]bool{}
	byDayHashes := map[int64][]uint64{}
	for day, sources := range byDay {
		hashes, apart := db.join(sources, mem)
		byDayHashes[day] = hashes
		out[day] = part.Groups{Joined: true, Apart: apart}
		if len(byDay) == 1 {
			break
		}
		for _, h := range hashes {
			if other, ok := days[h]; ok && other != day {
				twice[h] = true
			}
			days[h] = day
		}
	}
	io := part.IO{}
	for day, hashes := range byDayHashes {
		g := out[day]
		for _, h := range hashes {
			if twice[h] || db.anyHas(&io, older, h) {
				g.Apart = append(g.Apart, h)
			}
		}
		out[day] = g
	}
	return out, nil
}

// liveParts returns a tenant's parts, referenced until release is called.
func (db *DB) liveParts(tenant string) (held []*partHandle, release func()) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	held = append(held, db.parts[tenant]...)
	for _, h := range held {
		h.acquire()
	}
	return held, func() {
		for _, h := range held {
			h.release()
		}
	}
}

// anyHas reports whether one of the parts may have rows of a group: parts that
// cannot be read may.
func (db *DB) anyHas(io *part.IO, parts []*partHandle, hash uint64) bool {
	for _, h := range parts {
		if places, err := h.groupPlaces(io, hash); err != nil || len(places) > 0 {
			return true
		}
	}
	return false
}

// groupPlaces returns where the part may have rows of a group, the head first.
func (h *partHandle) groupPlaces(io *part.IO, hash uint64) ([]part.Place, error) {
	col := h.groupColumn()
	if col < 0 {
		return nil, nil
	}
	if may, err := h.r.MayHaveHash(io, col, hash); err != nil || !may {
		return nil, err
	}
	return h.r.FindHash(io, col, hash, nil)
}

// groupColumn returns the part's column of group IDs, -1 if it has none.
func (h *partHandle) groupColumn() int {
	return h.r.FindColumn(h.db.o.Columns[h.db.o.Grouping.ID].Name, column.ID)
}

// mergedGroups says what is known of the groups of the part that others are put into as they are.
// A group that lies in several of them is in the list of the youngest.
func (db *DB) mergedGroups(group []*partHandle) *part.Groups {
	if db.o.Grouping == nil {
		return nil
	}
	g := &part.Groups{Joined: true}
	for _, h := range group {
		g.Joined = g.Joined && h.r.Groups.Joined
		g.Apart = append(g.Apart, h.r.Groups.Apart...)
	}
	return g
}

// erasedGroups says what is known of the groups of a part that loses the rows of a search.
func (db *DB) erasedGroups(h *partHandle, s *search) *part.Groups {
	g := db.mergedGroups([]*partHandle{h})
	if g != nil {
		g.Apart = append(g.Apart, s.apart...)
	}
	return g
}

// groupsOf adds the hashes of the groups of rows (nil: all) to dst.
func (db *DB) groupsOf(v *blockView, sel []uint32, dst []uint64) ([]uint64, error) {
	slot := v.find(db.o.columnKey(db.o.Grouping.ID))
	if slot < 0 {
		return dst, nil
	}
	ids, err := v.vector(slot, sel)
	if err != nil {
		return nil, err
	}
	return groupHashes(ids, sel, dst), nil
}

// shiftOrdinals makes the sources number their groups one behind the other.
func (db *DB) shiftOrdinals(sources []*partSource) {
	if db.o.Grouping == nil {
		return
	}
	key := db.o.columnKey(db.o.Grouping.Ordinal)
	base := uint64(0)
	for _, s := range sources {
		s.ordinal, s.base = key, base
		col := s.h.r.FindColumn(key.Name, key.Kind)
		for i := range s.h.r.Blocks {
			if c := s.h.r.Blocks[i].Column(col); c != nil && c.Bounded {
				base = max(base, s.base+c.Max+1)
			}
		}
	}
}

// groupHashes gathers the hashes of the groups of some rows as they come.
func groupHashes(v *Vector, sel []uint32, dst []uint64) []uint64 {
	if v == nil {
		return dst
	}
	add := func(i int) {
		if !v.Has(i) {
			return
		}
		if h := encoding.HashValue(v.Bytes(i)); len(dst) == 0 || dst[len(dst)-1] != h {
			dst = append(dst, h)
		}
	}
	if sel == nil {
		for i := range v.Len() {
			add(i)
		}
		return dst
	}
	for _, i := range sel {
		add(int(i))
	}
	return dst
}
