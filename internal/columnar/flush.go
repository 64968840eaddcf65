package columnar

import (
	"context"
	"errors"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/part"
	"belfry/internal/vfs"
)

// rotate freezes the active memtable. DB.mu is held.
func (db *DB) rotate() {
	if db.active.rows == 0 {
		return
	}
	db.frozen = append(db.frozen, db.active)
	last := db.active
	db.active = newMemTable(db.memory.NewSet(), last.fullShapes())
	db.active.end, db.active.clean = last.end, last.clean
	select {
	case db.flushSignal <- struct{}{}:
	default:
	}
}

// mayRotate reports whether one more memtable may wait for its flush. DB.mu is held.
func (db *DB) mayRotate() bool { return len(db.frozen) < db.o.MaxFrozen }

// rotateIfFull freezes the active memtable when it is full, and goes on filling it when too many wait:
// appends are held back then. DB.mu is held.
func (db *DB) rotateIfFull() {
	if db.active.bytes >= db.o.FlushBytes && db.mayRotate() {
		db.rotate()
	}
}

// flusher writes frozen memtables to parts, oldest first.
func (db *DB) flusher() {
	defer db.tasks.Done()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	backoff := time.Duration(0)
	for {
		select {
		case <-db.closing:
			return
		case <-db.flushSignal:
		case <-t.C:
		}
		db.mu.Lock()
		if db.due(db.active) && db.mayRotate() {
			db.rotate()
		}
		db.mu.Unlock()
		db.trimMemory()
		if err := db.flushFrozen(db.ctx); err != nil && db.ctx.Err() == nil {
			backoff = min(max(2*backoff, time.Second), 30*time.Second)
			db.log.Error("columnar: flush failed, trying again", "after", backoff, "error", err)
			select {
			case <-db.closing:
				return
			case <-time.After(backoff):
			}
			continue
		}
		backoff = 0
	}
}

// A memtable that holds a flush's worth in so many parts and got nothing for so
// long is flushed: searches look at each of its rows.
const (
	idleShare = 8
	idleAfter = 2 * time.Second
)

// idleMemory is how long memory is kept that nobody fills again.
const idleMemory = 10 * time.Second

// due reports whether it is time to flush a memtable that is not full. DB.mu is held.
func (db *DB) due(m *memTable) bool {
	if m.rows == 0 {
		return false
	}
	now := db.now()
	return now.Sub(m.since) >= db.o.FlushAge || m.bytes >= db.o.FlushBytes/idleShare && now.Sub(m.last) >= idleAfter
}

// flushFrozen flushes all frozen memtables.
func (db *DB) flushFrozen(ctx context.Context) error {
	db.flushMu.Lock()
	defer db.flushMu.Unlock()
	for {
		db.mu.RLock()
		var m *memTable
		if len(db.frozen) > 0 {
			m = db.frozen[0]
		}
		db.mu.RUnlock()
		if m == nil {
			return nil
		}
		begin := time.Now()
		err := db.flush(ctx, m)
		db.metrics.flushSeconds.Add(time.Since(begin).Seconds())
		if err != nil {
			db.metrics.flushes.WithLabelValues("error").Inc()
			return err
		}
		db.metrics.flushes.WithLabelValues("ok").Inc()
		db.metrics.flushedRows.Add(float64(m.rows))
	}
}

// flush writes one memtable into a part per tenant and day, and forgets it.
func (db *DB) flush(ctx context.Context, m *memTable) error {
	var added []*partHandle
	fail := func(err error) error {
		for _, h := range added {
			h.drop.Store(!errors.Is(err, errEditUnknown))
			h.release()
		}
		return err
	}
	seq := db.nextSeq()
	mem, tmp := db.memory.NewSet(), db.memory.NewSet() // of what is derived from the rows to write them
	defer mem.Release()
	defer tmp.Release()
	tenants := make([]string, 0, len(m.tenants))
	for name := range m.tenants {
		tenants = append(tenants, name)
	}
	sort.Strings(tenants)
	for _, name := range tenants {
		byDay := m.tenants[name].sortedSources(column.NewArena(mem), column.NewArena(tmp))
		groups, err := db.joinFlush(name, byDay, mem)
		if err != nil {
			return fail(err)
		}
		days := make([]int64, 0, len(byDay))
		for day := range byDay {
			days = append(days, day)
		}
		slices.Sort(days)
		for _, day := range days {
			var known *part.Groups
			if g, ok := groups[day]; ok {
				known = &g
			}
			info := partInfo{tenant: name, day: day, seq: seq, clean: m.clean}
			h, err := db.writePart(ctx, info, byDay[day], partOptions{
				level: encoding.Fast, blockRows: db.o.freshBlockRows(), groups: known, rows: m.rows,
			})
			if err != nil {
				return fail(err)
			}
			added = append(added, h)
		}
	}
	db.partMu.Lock()
	defer db.partMu.Unlock()
	e := edit{end: &m.end}
	for _, h := range added {
		e.add = append(e.add, h.partInfo)
	}
	if err := db.manifest.commit(e); err != nil {
		return fail(err)
	}
	db.mu.Lock()
	db.frozen = append(db.frozen[:0:0], db.frozen[1:]...)
	db.rotateIfFull()
	close(db.room)
	db.room = make(chan struct{})
	db.swapParts(added, nil)
	db.mu.Unlock()
	db.forgetJoined()
	m.release()
	if db.wal != nil {
		if err := db.wal.Free(m.end); err != nil {
			db.log.Warn("columnar: removing log segments", "error", err)
		}
	}
	select {
	case db.mergeSignal <- struct{}{}:
	default:
	}
	return nil
}

// partOptions say how a part is written.
type partOptions struct {
	level     encoding.Level
	blockRows int
	pace      *pacer       // nil: as fast as it goes
	groups    *part.Groups // nil: nothing is known of them
	rows      int          // at most
}

// writePart merges sources into a new part and opens it.
func (db *DB) writePart(ctx context.Context, info partInfo, sources []mergeSource, o partOptions) (*partHandle, error) {
	info.id = db.nextPartID()
	dir := path.Join(db.o.Dir, info.dir())
	if err := db.fs.MkdirAll(dir); err != nil {
		return nil, err
	}
	name := path.Join(db.o.Dir, info.name())
	f, err := db.fs.Create(name)
	if err != nil {
		return nil, err
	}
	meta, err := db.fillPart(ctx, f, sources, o)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = db.syncDirs(info)
	}
	var h *partHandle
	if err == nil {
		info.rows, info.size, info.min, info.max = meta.Rows, meta.Size, meta.MinTime, meta.MaxTime
		h, err = db.openPart(info)
	}
	if err != nil {
		if rerr := db.fs.Remove(name); rerr != nil {
			err = errors.Join(err, rerr)
		}
		return nil, err
	}
	return h, nil
}

func (db *DB) fillPart(ctx context.Context, f vfs.File, sources []mergeSource, o partOptions) (part.Meta, error) {
	w := db.partWriter(f, o.level)
	defer db.putPartWriter(w)
	w.Pause = func() error { return o.pace.pace(ctx) }
	if o.groups != nil {
		w.SetGroups(*o.groups)
	}
	mem := db.memory.NewSet()
	defer mem.Release()
	w.Use(mem, o.rows)
	if err := newMerger(&db.o, mem, w, o.blockRows, sources).run(ctx); err != nil {
		return part.Meta{}, err
	}
	return w.Finish()
}

// partWriter returns a writer with the scratch memory of an earlier one.
func (db *DB) partWriter(f vfs.File, level encoding.Level) *part.Writer {
	select {
	case w := <-db.partWriters:
		w.Reset(f, level, db.o.pageBytes())
		return w
	default:
		return part.NewWriter(f, db.codec, level, db.o.pageBytes())
	}
}

func (db *DB) putPartWriter(w *part.Writer) {
	w.Reset(nil, 0, 0)
	db.lastWrite.Store(db.now().UnixNano())
	select {
	case db.partWriters <- w:
	default: // as many as there may be wait already
	}
}

// trimMemory gives memory back that nobody used for a while.
func (db *DB) trimMemory() {
	db.memory.Trim(idleMemory)
	if db.now().UnixNano()-db.lastWrite.Load() < int64(idleMemory) {
		return
	}
	for {
		select {
		case <-db.partWriters:
		default:
			return
		}
	}
}

// syncDirs makes the entries of a part's file and of the directories above it durable.
func (db *DB) syncDirs(info partInfo) error {
	for dir := info.dir(); ; dir = path.Dir(dir) {
		if err := db.fs.SyncDir(path.Join(db.o.Dir, dir)); err != nil {
			return err
		}
		if dir == "parts" || !strings.Contains(dir, "/") {
			return nil
		}
	}
}

// sortedSources sorts a tenant's blocks, split by the days that their rows are
// filed under. The rows stay where they are, for queries and because a copy of
// all would double the memtable.
func (t *memTenant) sortedSources(a, tmp *column.Arena) map[int64][]mergeSource {
	order := make([]int, len(t.streams))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(i, j int) bool { return t.streams[order[i]].def.key < t.streams[order[j]].def.key })
	rank := make([]uint32, len(order))
	for r, i := range order {
		rank[i] = uint32(r)
	}
	out := map[int64][]mergeSource{}
	filed := t.days()
	for _, b := range t.blocks {
		days := map[int64][]uint32{}
		if dayOf(b.min) == dayOf(b.max) {
			days[filed.of(b.min)] = allRows(len(b.times))
		} else {
			for row, ts := range b.times {
				day := filed.of(int64(ts))
				days[day] = append(days[day], uint32(row))
			}
		}
		for day, rows := range days {
			out[day] = append(out[day], newMemSource(t, b, sortRows(b, rows, rank, order, a), a, tmp))
		}
	}
	return out
}

// sortRows orders rows by (stream rank, time), equal ones by arrival.
func sortRows(b *memBlock, rows []uint32, rank []uint32, order []int, a *column.Arena) []uint32 {
	starts := make([]uint32, len(order)+1)
	for _, r := range rows {
		starts[rank[b.stream[r]]+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	next := append([]uint32(nil), starts...)
	out := a.Uint32s(len(rows))
	for _, r := range rows {
		k := rank[b.stream[r]]
		out[next[k]] = r
		next[k]++
	}
	for i := range order {
		run := out[starts[i]:starts[i+1]]
		byTime := func(x, y uint32) int {
			tx, ty := int64(b.times[x]), int64(b.times[y])
			switch {
			case tx < ty:
				return -1
			case tx > ty:
				return 1
			}
			return 0
		}
		if !slices.IsSortedFunc(run, byTime) {
			slices.SortStableFunc(run, byTime)
		}
	}
	return out
}

// memSource is rows of one block, in the order of parts, as a merge source.
type memSource struct {
	t    *memTenant
	b    *memBlock
	rows []uint32 // of the block
	a    *column.Arena
	tmp  *column.Arena // of all sources: what only the making of one column takes
	done bool
	idx  []int // positions of the columns in the tenant
	vecs []*Vector
	few  []*column.Builder // columns with few values, by position like vecs
	to   []uint32          // row of the block to place in rows plus one

	derived []derivedColumn // of the rows in their order
}

func newMemSource(t *memTenant, b *memBlock, rows []uint32, a, tmp *column.Arena) *memSource {
	return &memSource{t: t, b: b, rows: rows, a: a, tmp: tmp}
}

func (s *memSource) next() (*mergeBlock, error) {
	if s.done {
		*s = memSource{done: true}
		return nil, nil
	}
	s.done = true
	out := &mergeBlock{times: s.a.Words(len(s.rows)), vector: s.vector}
	for i, c := range s.b.cols {
		if c != nil && c.Count() > 0 {
			out.columns = append(out.columns, s.t.columns[i])
			s.idx = append(s.idx, i)
		}
	}
	for _, d := range s.derived {
		out.columns = append(out.columns, d.key)
	}
	s.vecs = make([]*Vector, len(out.columns))
	s.few = make([]*column.Builder, len(out.columns))
	out.sparse = s.sparse
	start := 0
	for i, row := range s.rows {
		out.times[i] = s.b.times[row]
		if next := i + 1; next == len(s.rows) || s.b.stream[s.rows[next]] != s.b.stream[row] {
			out.runs = append(out.runs, part.Run{Key: s.t.streams[s.b.stream[row]].def.key, Rows: next - start})
			start = next
		}
	}
	return out, nil
}

// sparse returns a column with few values in the order of rows: a vector of each of thousands of
// such columns would take many times the memtable.
func (s *memSource) sparse(i int) *column.Builder {
	if i >= len(s.idx) || !s.b.cols[s.idx[i]].Sparse(len(s.b.times)) {
		return nil
	}
	if s.few[i] == nil {
		if s.to == nil {
			s.to = make([]uint32, len(s.b.times))
			for place, row := range s.rows {
				s.to[row] = uint32(place) + 1
			}
		}
		s.few[i] = s.b.cols[s.idx[i]].Permuted(s.to)
	}
	return s.few[i]
}

func (s *memSource) vector(i int) (*Vector, error) {
	switch {
	case s.vecs[i] != nil:
	case i < len(s.idx):
		s.vecs[i] = s.b.cols[s.idx[i]].Vector(len(s.b.times), s.tmp).Gather(s.rows, s.a)
		s.tmp.Reset()
	default:
		s.vecs[i] = s.derived[i-len(s.idx)].b.Vector(len(s.rows), s.a)
	}
	return s.vecs[i], nil
}

// Flush writes what is in memory to parts, and returns when it is there.
func (db *DB) Flush(ctx context.Context) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	db.mu.Lock()
	db.rotate()
	db.mu.Unlock()
	return db.flushFrozen(ctx)
}
