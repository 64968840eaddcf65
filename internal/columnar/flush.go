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
	db.active = newMemTable()
	last := db.frozen[len(db.frozen)-1]
	db.active.end, db.active.clean = last.end, last.clean
	select {
	case db.flushSignal <- struct{}{}:
	default:
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
		if db.active.rows > 0 && db.now().Sub(db.active.since) >= db.o.FlushAge {
			db.rotate()
		}
		db.mu.Unlock()
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
	tenants := make([]string, 0, len(m.tenants))
	for name := range m.tenants {
		tenants = append(tenants, name)
	}
	sort.Strings(tenants)
	for _, name := range tenants {
		byDay := db.sortedSources(m.tenants[name])
		groups, err := db.joinFlush(name, byDay)
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
			h, err := db.writePart(ctx, partInfo{tenant: name, day: day, seq: seq, clean: m.clean}, byDay[day], partOptions{level: encoding.Fast, groups: known})
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
	close(db.room)
	db.room = make(chan struct{})
	db.swapParts(added, nil)
	db.mu.Unlock()
	db.forgetJoined()
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
	level  encoding.Level
	pace   *pacer       // nil: as fast as it goes
	groups *part.Groups // nil: nothing is known of them
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
	w := part.NewWriter(f, db.codec, o.level, db.o.pageBytes())
	w.Pause = func() error { return o.pace.pace(ctx) }
	if o.groups != nil {
		w.SetGroups(*o.groups)
	}
	if err := newMerger(&db.o, w, sources).run(ctx); err != nil {
		return part.Meta{}, err
	}
	return w.Finish()
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

// sortedSources sorts a tenant's blocks, split by the days that their rows are filed under.
func (db *DB) sortedSources(t *memTenant) map[int64][]mergeSource {
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
	for i, b := range t.blocks {
		if dayOf(b.min) == dayOf(b.max) {
			sorted := b.permuted(sortRows(b, allRows(len(b.times)), rank, order))
			// Queries may as well read the sorted block; the other one can go.
			db.mu.Lock()
			t.blocks[i] = sorted
			db.mu.Unlock()
			day := filed.of(b.min)
			out[day] = append(out[day], newMemSource(t, sorted))
			continue
		}
		days := map[int64][]uint32{}
		for row, ts := range b.times {
			day := filed.of(int64(ts))
			days[day] = append(days[day], uint32(row))
		}
		for day, rows := range days {
			out[day] = append(out[day], newMemSource(t, b.permuted(sortRows(b, rows, rank, order))))
		}
	}
	return out
}

// sortRows orders rows by (stream rank, time), equal ones by arrival.
func sortRows(b *memBlock, rows []uint32, rank []uint32, order []int) []uint32 {
	starts := make([]uint32, len(order)+1)
	for _, r := range rows {
		starts[rank[b.stream[r]]+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	next := append([]uint32(nil), starts...)
	out := make([]uint32, len(rows))
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

// permuted returns a new block of the given rows in the given order.
func (b *memBlock) permuted(perm []uint32) *memBlock {
	out := &memBlock{min: 1<<63 - 1, max: -1 << 63, bytes: b.bytes, filters: b.filters}
	out.times = make([]uint64, len(perm))
	out.stream = make([]uint32, len(perm))
	for i, r := range perm {
		out.times[i], out.stream[i] = b.times[r], b.stream[r]
		out.min, out.max = min(out.min, int64(b.times[r])), max(out.max, int64(b.times[r]))
	}
	out.cols = make([]*column.Builder, len(b.cols))
	slots := make([]uint32, len(b.times))
	for i, c := range b.cols {
		if c != nil {
			out.cols[i] = column.NewBuilderLike(c)
			c.Gathered(out.cols[i], perm, slots)
		}
	}
	return out
}

// memSource is one sorted block as a merge source.
type memSource struct {
	t    *memTenant
	b    *memBlock
	done bool
	idx  []int // positions of the columns in the tenant
	vecs []*Vector

	derived []derivedColumn
}

func newMemSource(t *memTenant, b *memBlock) *memSource { return &memSource{t: t, b: b} }

func (s *memSource) next() (*mergeBlock, error) {
	if s.done {
		s.b, s.vecs, s.derived = nil, nil, nil
		return nil, nil
	}
	s.done = true
	out := &mergeBlock{times: s.b.times}
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
	start := 0
	for i := 1; i <= len(s.b.stream); i++ {
		if i == len(s.b.stream) || s.b.stream[i] != s.b.stream[start] {
			out.runs = append(out.runs, part.Run{Key: s.t.streams[s.b.stream[start]].def.key, Rows: i - start})
			start = i
		}
	}
	n := len(s.b.times)
	out.vector = func(i int) (*Vector, error) {
		if s.vecs[i] == nil {
			if i < len(s.idx) {
				s.vecs[i] = s.b.cols[s.idx[i]].Vector(n, nil)
			} else {
				s.vecs[i] = s.derived[i-len(s.idx)].b.Vector(n, nil)
			}
		}
		return s.vecs[i], nil
	}
	return out, nil
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
