package columnar

import (
	"context"
	"math"
	"slices"

	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/part"
)

// A group that was split over parts is joined again by the merge that brings its rows
// together: of the rows of such groups, and of no others, the columns are derived anew and put in
// place of those that are stored. A group of which another part has rows stays apart.
// Rows that are still in memory do not matter: the flush that writes them finds the group here.

// rejoinRowBytes is what a row takes while its group is joined again, about.
const rejoinRowBytes = 160

// rejoin joins the groups that the sources have together, and says what is known of the groups of
// the part that they are merged into.
func (db *DB) rejoin(ctx context.Context, group []*partHandle, sources []*partSource) (*part.Groups, error) {
	known := db.mergedGroups(group)
	if known == nil || !known.Joined || len(known.Apart) == 0 {
		return known, nil
	}
	slices.Sort(known.Apart)
	known.Apart = slices.Compact(known.Apart)
	r := &rejoining{db: db, limit: int(db.o.MergeMemory / 4 / rejoinRowBytes)}
	r.choose(known, group)
	if err := r.find(ctx, sources); err != nil || len(r.hashes) == 0 {
		return known, err
	}
	rows, err := r.rows(sources)
	if err != nil {
		return nil, err
	}
	for _, hash := range r.join(rows) {
		if i, found := slices.BinarySearch(r.hashes, hash); found {
			r.hashes = slices.Delete(r.hashes, i, i+1) // to be looked at as a whole, as before
		}
	}
	for _, p := range r.picked {
		if p.source.failed != nil {
			return nil, p.source.failed
		}
	}
	db.metrics.rejoined.Add(float64(len(r.hashes)))
	known.Apart = slices.DeleteFunc(known.Apart, func(h uint64) bool {
		_, joined := slices.BinarySearch(r.hashes, h)
		return joined
	})
	return known, nil
}

// rejoining is the groups that one merge joins again.
type rejoining struct {
	db     *DB
	limit  int      // rows
	hashes []uint64 // of the groups, ascending
	places [][]part.Place
	picked []*pickedRows
}

// choose finds the groups of which no other part has rows.
func (r *rejoining) choose(known *part.Groups, group []*partHandle) {
	live, release := r.db.liveParts(group[0].tenant)
	defer release()
	others := slices.DeleteFunc(slices.Clone(live), func(h *partHandle) bool { return slices.Contains(group, h) })
	io := part.IO{}
	for _, hash := range known.Apart {
		if !r.db.anyHas(&io, others, hash) {
			r.hashes = append(r.hashes, hash)
		}
	}
}

// find finds the groups' rows in each source. Groups are left out while there are more rows than
// may be held.
func (r *rejoining) find(ctx context.Context, sources []*partSource) error {
	for len(r.hashes) > 0 {
		rows := make([]int, len(r.hashes)) // of each group
		total := 0
		r.places = make([][]part.Place, len(sources))
		for i, s := range sources {
			if err := ctx.Err(); err != nil {
				return err
			}
			col := s.h.groupColumn()
			if col < 0 {
				continue
			}
			err := s.h.r.FindHashes(&part.IO{}, col, r.hashes, func(hash int, p part.Place) {
				rows[hash]++
				if total++; total <= r.limit {
					r.places[i] = append(r.places[i], p)
				}
			})
			if err != nil {
				s.failed = err
				return err
			}
		}
		if total <= r.limit {
			return nil
		}
		r.leaveOut(rows)
	}
	return nil
}

// leaveOut leaves out the groups that take a large share of the rows, or else half of all.
func (r *rejoining) leaveOut(rows []int) {
	var kept []uint64
	for i, hash := range r.hashes {
		if rows[i] <= r.limit/8 {
			kept = append(kept, hash)
		}
	}
	if len(kept) == len(r.hashes) {
		kept = kept[:len(kept)/2]
	}
	r.hashes = kept
}

// rows reads the groups' rows, block by block.
func (r *rejoining) rows(sources []*partSource) (*JoinRows, error) {
	rows := &JoinRows{}
	for i, s := range sources {
		byBlock := map[int][]uint32{}
		for _, p := range r.places[i] {
			byBlock[p.Block] = append(byBlock[p.Block], uint32(p.Row))
		}
		for block := range s.h.r.Blocks {
			if len(byBlock[block]) == 0 {
				continue
			}
			p := &pickedRows{source: s, block: block, rows: byBlock[block]}
			slices.Sort(p.rows)
			p.rows = slices.Compact(p.rows)
			if err := p.read(r.db, r.hashes); err != nil {
				s.failed = err
				return nil, err
			}
			if len(p.rows) > 0 {
				r.picked = append(r.picked, p)
				rows.Blocks = append(rows.Blocks, JoinBlock{o: &r.db.o, from: p})
			}
		}
	}
	r.places = nil
	return rows, nil
}

// join derives the columns of the rows and hands them to the sources. It returns the hashes of groups
// that must not be used.
func (r *rejoining) join(rows *JoinRows) (apart []uint64) {
	g := r.db.o.Grouping
	index, first := rows.find(g)
	hashes := index.number(first, rows.Blocks)
	// The group is numbered by the least of the numbers that its pieces had: those
	// of neighbors in time are near by.
	ordinals := make([]uint64, rows.Groups)
	for i := range ordinals {
		ordinals[i] = math.MaxUint64
	}
	for i, p := range r.picked {
		v := rows.Blocks[i].Column(g.Ordinal)
		for row, n := range rows.Blocks[i].Group {
			if v != nil && n != NoGroup {
				ordinals[n] = min(ordinals[n], v.Nums()[row]+p.source.base)
			}
		}
	}
	rows.setOrdinals(g, func(group uint32) uint64 { return ordinals[group] })
	g.Derive(rows)
	keys := []ColumnKey{r.db.o.columnKey(g.Ordinal)}
	for _, c := range g.Derived {
		keys = append(keys, r.db.o.columnKey(c))
	}
	for i, p := range r.picked {
		if p.source.patches == nil {
			p.source.patches = map[int]*blockPatch{}
		}
		p.source.patches[p.block] = &blockPatch{keys: keys, rows: p.rows, derived: rows.Blocks[i].derived}
	}
	for n, is := range rows.apart {
		if is {
			apart = append(apart, hashes[n])
		}
	}
	return apart
}

// pickedRows are some rows of a block of a part, as a joinSource.
type pickedRows struct {
	source  *partSource
	block   int
	rows    []uint32 // ascending
	at      []uint64
	streams []*streamDef
}

// read reads what there is of every row, and leaves out those that are of other groups
// than the hashes say: the index knows only a part of each.
func (p *pickedRows) read(db *DB, hashes []uint64) error {
	ids, err := p.copied(db.o.columnKey(db.o.Grouping.ID))
	if err != nil {
		return err
	}
	kept := p.rows[:0:0]
	for i, row := range p.rows {
		if ids == nil || !ids.Has(i) {
			continue
		}
		if _, found := slices.BinarySearch(hashes, encoding.HashValue(ids.Bytes(i))); found {
			kept = append(kept, row)
		}
	}
	p.rows = kept
	v := p.source.view
	if err := v.headOf(p.rows); err != nil {
		return err
	}
	run := 0
	for _, row := range p.rows {
		for int(row) >= v.runs[run].end {
			run++
		}
		p.at, p.streams = append(p.at, v.times[row]), append(p.streams, v.stream(v.runs[run].stream))
	}
	return nil
}

// copied reads a column of the rows into memory of its own, nil if none has it.
func (p *pickedRows) copied(key ColumnKey) (*Vector, error) {
	v := p.source.view
	v.openPart(p.source.h, &p.source.h.r.Blocks[p.block])
	vec, err := v.gathered(key, p.rows)
	if err != nil || vec == nil || vec.Count() == 0 {
		return nil, err
	}
	b := newBuilder(key.Kind)
	b.AppendVector(0, vec, 0, len(p.rows))
	return b.Vector(len(p.rows), nil), nil
}

func (p *pickedRows) times() []uint64 { return p.at }

func (p *pickedRows) stream(row int) *streamDef { return p.streams[row] }

// column is copied for Derive, which knows no errors: they are kept by the source.
func (p *pickedRows) column(key ColumnKey) *Vector {
	v, err := p.copied(key)
	if err != nil && p.source.failed == nil {
		p.source.failed = err
	}
	return v
}
