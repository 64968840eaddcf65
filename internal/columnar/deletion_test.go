package columnar

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"belfry/internal/columnar/encoding"
	"belfry/internal/fault"
	"belfry/internal/vfs"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func appendNumbers(t testing.TB, db *DB, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		_, err := db.Append(context.Background(), "t", toyPayload(t, numbered(n)))
		require.NoError(t, err)
	}
}

// below selects the rows whose number is below n.
func below(n int) Filter {
	return Range{Ref: RowRef("n"), Max: Int(int64(n)), ExcludeMax: true}
}

func ever(filter Filter) DeletionRequest {
	return DeletionRequest{Tenant: "t", From: math.MinInt64, To: math.MaxInt64, Filter: filter, Label: "of the test"}
}

// logHolds reports whether a file of the log has a text in it.
func logHolds(t testing.TB, mem *vfs.Mem, text string) bool {
	t.Helper()
	for _, name := range mem.Files() {
		if strings.Contains(name, "/wal/") {
			f, err := mem.Open(name)
			require.NoError(t, err)
			b, err := readFile(f)
			require.NoError(t, err)
			if bytes.Contains(b, []byte(text)) {
				return true
			}
		}
	}
	return false
}

func TestDeletionHidesThenErases(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	o := toyOptions(mem)
	db := openToy(t, o)
	appendNumbers(t, db, 0, 6)
	require.NoError(t, db.Flush(ctx))
	appendNumbers(t, db, 6, 12) // three days: parts, and rows in memory
	d, err := db.Delete(ctx, ever(below(9)))
	require.NoError(t, err)
	require.Equal(t, DeletionWaiting, d.State)
	require.Equal(t, []int{9, 10, 11}, numbers(t, db), "hidden at once")
	appendNumbers(t, db, 3, 5)
	require.Equal(t, []int{3, 4, 9, 10, 11}, numbers(t, db), "what comes later is not concerned")
	pending, _ := db.deletionTotals()
	require.Equal(t, 1, pending)

	require.NoError(t, db.erase(ctx))
	got, err := db.Deletion("t", d.ID)
	require.NoError(t, err)
	require.Equal(t, DeletionDone, got.State)
	require.EqualValues(t, 9, got.Rows)
	require.Equal(t, 6, got.Parts)
	require.Zero(t, got.Left)
	require.Equal(t, "of the test", got.Label)
	require.False(t, logHolds(t, mem, `line number 8`) || logHolds(t, mem, "bGluZSBudW1iZXIg"), "payloads are gone from the log")
	require.EqualValues(t, 9, testutil.ToFloat64(db.metrics.erasedRows.WithLabelValues("deletion")))

	// Nothing but the list of deletions could still hide them.
	left := mem.CloneKilled()
	require.NoError(t, left.Remove(path.Join("data", deletionsName)))
	o.FS = left
	again := openToy(t, o)
	require.Equal(t, []int{3, 4, 9, 10, 11}, numbers(t, again))
	require.Empty(t, again.Deletions("t"))
}

func TestDeletionByStreamAndTime(t *testing.T) {
	ctx := context.Background()
	db := openToy(t, toyOptions(vfs.NewMem()))
	appendNumbers(t, db, 0, 24)
	require.NoError(t, db.Flush(ctx))
	r := ever(Equal{Ref: StreamRef("app"), Value: String("app1")})
	_, err := db.Delete(ctx, r)
	require.NoError(t, err)
	streams, err := db.Streams(ctx, "t", math.MinInt64, math.MaxInt64, nil)
	require.NoError(t, err)
	require.Len(t, streams, 3, "a stream without rows is not listed")
	r = ever(nil)
	r.From, r.To = toyNow-2*dayNanos, toyNow-dayNanos
	_, err = db.Delete(ctx, r)
	require.NoError(t, err)
	var want []int
	for n := range 24 {
		if n%4 != 1 && n%3 != 2 {
			want = append(want, n)
		}
	}
	require.Equal(t, want, numbers(t, db))
	require.NoError(t, db.erase(ctx))
	require.Equal(t, want, numbers(t, db))
	require.Len(t, db.parts["t"], 2, "the part of the day is dropped, not rewritten")
	for _, d := range db.Deletions("t") {
		require.Equal(t, DeletionDone, d.State)
	}
}

func TestDeletionRequests(t *testing.T) {
	ctx := context.Background()
	db := openToy(t, toyOptions(vfs.NewMem()))
	for name, r := range map[string]DeletionRequest{
		"tenant": {Tenant: "no/tenant", To: 1},
		"range":  {Tenant: "t", From: 5, To: 5},
		"code":   {Tenant: "t", To: 1, Filter: Func{Match: func(Value) bool { return true }}},
		"regexp": {Tenant: "t", To: 1, Filter: Regexp{}},
	} {
		_, err := db.Delete(ctx, r)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %v", name, err)
	}
	_, err := db.Deletion("t", 1)
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	_, err = db.CancelDeletion(ctx, "t", 1, true)
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	d, err := db.Delete(ctx, ever(nil))
	require.NoError(t, err)
	_, err = db.Deletion("other", d.ID)
	require.Equal(t, fault.NotFound, fault.KindOf(err), "others' deletions are not seen")
	db.mu.Lock()
	for len(db.deletions.pending) < maxPendingDeletions {
		db.deletions.pending = append(db.deletions.pending, db.deletions.pending[0])
	}
	db.mu.Unlock()
	_, err = db.Delete(ctx, ever(nil))
	require.Equal(t, fault.Limited, fault.KindOf(err))
}

func TestDeletionIsCanceled(t *testing.T) {
	ctx := context.Background()
	now := atomic.Int64{}
	now.Store(toyNow)
	mem := vfs.NewMem()
	o := toyOptions(mem)
	o.Now = func() time.Time { return time.Unix(0, now.Load()) }
	db := openToy(t, o)
	appendNumbers(t, db, 0, 6)
	r := ever(below(3))
	r.Delay = time.Hour
	d, err := db.Delete(ctx, r)
	require.NoError(t, err)
	require.NoError(t, db.erase(ctx))
	require.Equal(t, []int{3, 4, 5}, numbers(t, db))
	d, err = db.CancelDeletion(ctx, "t", d.ID, false)
	require.NoError(t, err)
	require.Equal(t, DeletionCanceled, d.State)
	require.Equal(t, upTo(6), numbers(t, db), "all is back")
	_, err = db.CancelDeletion(ctx, "t", d.ID, true)
	require.Equal(t, fault.Conflict, fault.KindOf(err))

	// Another waits while a later one is due; a restart changes nothing.
	waits, err := db.Delete(ctx, r)
	require.NoError(t, err)
	_, err = db.Delete(ctx, ever(below(2)))
	require.NoError(t, err)
	require.NoError(t, db.erase(ctx))
	o.FS = mem.CloneKilled()
	again := openToy(t, o)
	require.Equal(t, []int{3, 4, 5}, numbers(t, again))
	_, err = again.CancelDeletion(ctx, "t", waits.ID, false)
	require.NoError(t, err)
	require.Equal(t, []int{2, 3, 4, 5}, numbers(t, again))

	now.Add(int64(time.Hour))
	require.NoError(t, db.erase(ctx))
	ended, err := db.WaitDeletion(ctx, "t", waits.ID)
	require.NoError(t, err)
	require.EqualValues(t, 1, ended.Rows)
	require.Equal(t, []int{3, 4, 5}, numbers(t, db))
	require.Len(t, db.Deletions("t"), 3)
}

// TestDeletionWaitsForReaders: it does not say done while a query has a file open that
// holds the rows.
func TestDeletionWaitsForReaders(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	db := openToy(t, toyOptions(mem))
	appendNumbers(t, db, 0, 1)
	require.NoError(t, db.Flush(ctx))
	h := db.parts["t"][0]
	name := path.Join("data", h.name())
	h.acquire()
	d, err := db.Delete(ctx, ever(nil))
	require.NoError(t, err)
	short, cancel := context.WithTimeout(ctx, 5*eraseWait)
	defer cancel()
	require.ErrorIs(t, db.erase(short), context.DeadlineExceeded)
	got, err := db.Deletion("t", d.ID)
	require.NoError(t, err)
	require.Equal(t, DeletionRunning, got.State)
	require.Contains(t, mem.Files(), name)
	_, err = db.CancelDeletion(ctx, "t", d.ID, false)
	require.Equal(t, fault.Conflict, fault.KindOf(err))
	h.release()
	require.NoError(t, db.erase(ctx))
	require.NotContains(t, mem.Files(), name)
}

// TestDeletionFailures: what cannot be done now is tried again, and seen.
func TestDeletionFailures(t *testing.T) {
	ctx := context.Background()
	var broken atomic.Value
	broken.Store("")
	mem := vfs.NewMem()
	hooked := &vfs.Hooked{FS: mem, Hook: func(_ vfs.Op, name string, p []byte) (int, error) {
		if b, _ := broken.Load().(string); b != "" && strings.Contains(name, b) {
			return len(p) / 2, syscall.EIO
		}
		return 0, nil
	}}
	db := openToy(t, toyOptions(hooked))
	appendNumbers(t, db, 0, 4)
	broken.Store(deletionsName)
	_, err := db.Delete(ctx, ever(below(2)))
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.Equal(t, upTo(4), numbers(t, db), "what was not accepted hides nothing")
	broken.Store("")
	d, err := db.Delete(ctx, ever(below(2)))
	require.NoError(t, err)
	for _, what := range []string{"/wal", manifestName, ".part", deletionsName} {
		broken.Store(what)
		require.ErrorIs(t, db.erase(ctx), syscall.EIO, what)
		got, err := db.Deletion("t", d.ID)
		require.NoError(t, err)
		require.Equal(t, DeletionRunning, got.State)
		require.Contains(t, got.Error, syscall.EIO.Error())
		broken.Store("")
		require.Equal(t, []int{2, 3}, numbers(t, db))
	}
	require.NoError(t, db.erase(ctx))
	got, err := db.Deletion("t", d.ID)
	require.NoError(t, err)
	require.Equal(t, DeletionDone, got.State)
	require.Empty(t, got.Error)
	require.EqualValues(t, 2, got.Rows)
	require.Equal(t, []int{2, 3}, numbers(t, db))
}

func TestDeletionListIsVerified(t *testing.T) {
	mem := vfs.NewMem()
	o := toyOptions(mem)
	db := openToy(t, o)
	_, err := db.Delete(context.Background(), ever(below(2)))
	require.NoError(t, err)
	for i := range 3 {
		clone := mem.CloneKilled()
		require.NoError(t, clone.Corrupt(path.Join("data", deletionsName), func(b []byte) []byte {
			b[i*len(b)/3+9] ^= 1
			return b
		}))
		o.FS = clone
		_, err := Open(o)
		require.ErrorContains(t, err, deletionsName)
	}
}

// TestDeletionSurvivesEveryCrash takes a picture before each change of a file
// while rows are appended, deleted and merged: an accepted deletion hides its rows
// after each, and is carried out.
func TestDeletionSurvivesEveryCrash(t *testing.T) {
	mem := vfs.NewMem()
	type picture struct {
		what     string
		fs       *vfs.Mem
		acked    int
		accepted bool
		done     bool
	}
	var pictures []picture
	var mu sync.Mutex
	var acked int
	var accepted, done bool
	hooked := &vfs.Hooked{FS: mem}
	hooked.Hook = func(op vfs.Op, name string, _ []byte) (int, error) {
		if op == vfs.OpReadAt || op == vfs.OpOpen {
			return 0, nil
		}
		mu.Lock()
		defer mu.Unlock()
		pictures = append(pictures, picture{fmt.Sprintf("%d: op %d on %s", len(pictures), op, name), mem.CloneKilled(), acked, accepted, done})
		return 0, nil
	}
	note := func(n int, a, d bool) {
		mu.Lock()
		defer mu.Unlock()
		acked, accepted, done = n, a, d
	}
	ctx := context.Background()
	o := toyOptions(hooked)
	db, err := Open(o)
	require.NoError(t, err)
	add := func(n int, a bool) {
		appendNumbers(t, db, n, n+1)
		note(n+1, a, false)
	}
	for n := range 8 {
		add(n, false)
		if n%3 == 2 {
			require.NoError(t, db.Flush(ctx))
		}
	}
	mergeAll(t, db)
	_, err = db.Delete(ctx, ever(below(6)))
	require.NoError(t, err)
	note(8, true, false)
	for n := 8; n < 10; n++ {
		add(n, true)
	}
	require.NoError(t, db.erase(ctx))
	note(10, true, true)
	require.NoError(t, db.Close())
	require.Greater(t, len(pictures), 50)
	for _, p := range pictures {
		o.FS = p.fs
		db, err := Open(o)
		require.NoError(t, err, p.what)
		all := upTo(p.acked)
		if p.accepted {
			all = all[min(6, p.acked):]
		}
		got := numbers(t, db)
		more := append(slices.Clone(all), p.acked) // the append under way may have made it
		after := upTo(p.acked)[min(6, p.acked):]   // and so may the deletion under way
		if !slices.Equal(got, all) && !slices.Equal(got, more) && (p.accepted || !slices.Equal(got, after)) {
			t.Fatalf("%s: %d rows acknowledged, deletion accepted: %t; found %v", p.what, p.acked, p.accepted, got)
		}
		require.NoError(t, db.erase(ctx), p.what)
		require.Equal(t, got, numbers(t, db), p.what)
		list := db.Deletions("t")
		require.False(t, p.accepted && len(list) == 0, p.what)
		for _, d := range list {
			require.Equal(t, DeletionDone, d.State, p.what)
			require.False(t, logHolds(t, p.fs, `"Num":5}`) && !slices.Contains(got, 5), p.what)
		}
		require.NoError(t, db.Close(), p.what)
	}
}

// TestDeletionsBesideEverything: while rows are appended, flushed, merged and
// queried, what a deletion took is never seen again.
func TestDeletionsBesideEverything(t *testing.T) {
	ctx := context.Background()
	o := toyOptions(vfs.NewMem())
	o.MergeConcurrency, o.FlushBytes, o.MaxFrozen, o.MaxWait = 1, 3000, 4, time.Minute
	db := openToy(t, o)
	const rows = 1500
	var floor atomic.Int64 // numbers below are deleted
	var limit atomic.Int64 // numbers below may be
	var top atomic.Int64
	var others sync.WaitGroup
	others.Go(func() {
		for n := 0; n < rows; n += 3 {
			_, err := db.Append(ctx, "t", toyPayload(t, numbered(n), numbered(n+1), numbered(n+2)))
			require.NoError(t, err)
			top.Store(int64(n + 3))
		}
	})
	others.Go(func() {
		for top.Load() < rows {
			low, high := floor.Load(), top.Load()
			got := numbers(t, db)
			require.False(t, len(got) > 0 && int64(got[0]) < low, "row %v is seen, all below %d are deleted", got[:min(1, len(got))], low)
			for want := limit.Load(); want < high; want++ {
				_, there := slices.BinarySearch(got, int(want))
				require.True(t, there, "row %d is lost", want)
			}
		}
	})
	others.Go(func() {
		for top.Load() < rows {
			n := int(top.Load()) / 2
			if n <= int(floor.Load()) {
				continue
			}
			limit.Store(int64(n))
			d, err := db.Delete(ctx, ever(below(n)))
			require.NoError(t, err)
			floor.Store(int64(n))
			d, err = db.WaitDeletion(ctx, "t", d.ID)
			require.NoError(t, err)
			require.Equal(t, DeletionDone, d.State)
		}
	})
	others.Wait()
	got := numbers(t, db)
	require.Equal(t, upTo(rows)[floor.Load():], got)
}

func TestFiltersInFiles(t *testing.T) {
	m := &model{t: t, rnd: rand.New(rand.NewPCG(7, 7))}
	for range 3000 {
		f := m.filter(4)
		text, err := encodeFilter(f)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			continue
		}
		again, err := decodeFilter(text)
		require.NoError(t, err, string(text))
		second, err := encodeFilter(again)
		require.NoError(t, err)
		require.Equal(t, string(text), string(second))
		_, err = compile(again)
		require.NoError(t, err)
		for range 5 {
			r := m.row()
			require.Equal(t, modelMatch(f, &r), modelMatch(again, &r), string(text))
		}
	}
	for _, bad := range []string{`{}`, `{"op":"equal"}`, `{"op":"not"}`, `{"op":"regexp","ref":{},"texts":["("]}`, `{"op":"streams","texts":["x"]}`, `[]`} {
		_, err := decodeFilter([]byte(bad))
		require.Error(t, err, bad)
	}
}

// TestManifestVersion1 reads a manifest of the first version, whose parts know of no deletions.
func TestManifestVersion1(t *testing.T) {
	mem := vfs.NewMem()
	o := toyOptions(mem)
	db, err := Open(o)
	require.NoError(t, err)
	appendNumbers(t, db, 0, 3)
	require.NoError(t, db.Close())
	name := path.Join("data", manifestName)
	require.NoError(t, mem.Corrupt(name, func([]byte) []byte {
		b := binary.LittleEndian.AppendUint32([]byte(manifestMagic), 1)
		b = binary.LittleEndian.AppendUint32(b, 0)
		for _, p := range db.manifest.parts {
			body := appendEdit(nil, edit{add: []partInfo{p}})[8:]
			body = append(body[:len(body)-2:len(body)-2], 0) // without the number, which is 0 and one byte
			b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
			b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(body, encoding.Castagnoli))
			b = append(b, body...)
		}
		return b
	}))
	for range 2 { // the second time it is of today's version
		db, err = Open(o)
		require.NoError(t, err)
		require.Equal(t, upTo(3), numbers(t, db))
		require.NoError(t, db.Close())
	}
	require.NoError(t, mem.Corrupt(name, func(b []byte) []byte { b[8] = manifestVersion + 1; return b }))
	_, err = Open(o)
	require.ErrorContains(t, err, "format version")
}
