package columnar

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"belfry/internal/fault"
	"belfry/internal/vfs"

	"github.com/stretchr/testify/require"
)

func numbered(n int) toyRow {
	return toyRow{
		Time:   toyNow - int64(n%3)*dayNanos + int64(n),
		Stream: map[string]string{"app": fmt.Sprint("app", n%4)},
		Fields: []toyField{field("n", Int(int64(n))), field("body", String(fmt.Sprint("line number ", n)))},
	}
}

// numbers returns the n of all rows, sorted.
func numbers(t testing.TB, db *DB) []int {
	t.Helper()
	var mu sync.Mutex
	var out []int
	_, err := db.Scan(context.Background(), Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}, func() Worker {
		return WorkerFunc(func(b *Block) error {
			v, err := b.Column(ColumnKey{"n", KindInt})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range b.Len() {
				out = append(out, int(v.Int(i)))
			}
			return nil
		})
	})
	require.NoError(t, err)
	slices.Sort(out)
	return out
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// image is what a crash left.
type image struct {
	what    string
	fs      *vfs.Mem
	acked   int
	durable bool // a power failure
}

// TestCrashAtEveryStep takes a picture of the file system before each operation
// that changes it: as a killed process leaves it, in the middle of a write, and
// as a power failure leaves it. Whatever was acknowledged is there after each,
// once.
func TestCrashAtEveryStep(t *testing.T) {
	for _, durability := range []Durability{DurabilityWrite, DurabilityFsync} {
		t.Run(fmt.Sprint("durability ", durability), func(t *testing.T) {
			mem := vfs.NewMem()
			var images []image
			var acked atomic.Int64
			var mu sync.Mutex
			hooked := &vfs.Hooked{FS: mem}
			hooked.Hook = func(op vfs.Op, name string, p []byte) (int, error) {
				if op == vfs.OpReadAt || op == vfs.OpOpen {
					return 0, nil
				}
				mu.Lock()
				defer mu.Unlock()
				what := fmt.Sprintf("%d: op %d on %s", len(images), op, name)
				n := int(acked.Load())
				images = append(images, image{what, mem.CloneKilled(), n, false})
				if durability == DurabilityFsync {
					images = append(images, image{what + ", power lost", mem.ClonePowerLoss(), n, true})
				}
				if op == vfs.OpWrite && len(p) > 1 {
					torn := mem.CloneKilled()
					f, err := torn.OpenWrite(name)
					if errors.Is(err, fs.ErrNotExist) { // renamed since it was opened
						f, err = torn.OpenWrite(strings.TrimSuffix(name, ".tmp"))
					}
					if err == nil {
						_, err = f.Write(p[:len(p)/2])
					}
					if err != nil {
						return 0, err
					}
					images = append(images, image{what + ", torn", torn, n, false})
				}
				return 0, nil
			}
			o := toyOptions(hooked)
			o.Durability = durability
			o.SegmentBytes = 4 << 10
			db, err := Open(o)
			require.NoError(t, err)
			ctx := context.Background()
			n := 0
			for round := range 6 {
				for range 5 {
					_, err := db.Append(ctx, "t", toyPayload(t, numbered(n), numbered(n+1), numbered(n+2)))
					require.NoError(t, err)
					n += 3
					acked.Store(int64(n))
				}
				if round%2 == 1 {
					require.NoError(t, db.Flush(ctx))
				}
				if round == 3 {
					mergeAll(t, db)
				}
			}
			require.NoError(t, db.Close())
			require.Greater(t, len(images), 100)
			for _, img := range images {
				o.FS = img.fs
				db, err := Open(o)
				require.NoError(t, err, img.what)
				got := numbers(t, db)
				// The append under way may or may not have made it.
				if !slices.Equal(got, upTo(img.acked)) && !slices.Equal(got, upTo(img.acked+3)) {
					t.Fatalf("%s: %d rows acknowledged, found %v", img.what, img.acked, got)
				}
				_, err = db.Append(ctx, "t", toyPayload(t, numbered(len(got))))
				require.NoError(t, err, img.what)
				require.NoError(t, db.Close(), img.what)
				db, err = Open(o)
				require.NoError(t, err, img.what)
				require.Equal(t, upTo(len(got)+1), numbers(t, db), img.what)
				require.NoError(t, db.Close(), img.what)
			}
		})
	}
}

// mergeAll merges each day's parts into one.
func mergeAll(t testing.TB, db *DB) {
	t.Helper()
	for _, live := range db.parts {
		byDay := map[int64][]*partHandle{}
		for _, h := range live {
			byDay[h.day] = append(byDay[h.day], h)
		}
		for _, parts := range byDay {
			if len(parts) > 1 {
				require.NoError(t, db.merge(context.Background(), parts))
			}
		}
	}
}

func TestDiskFull(t *testing.T) {
	mem := vfs.NewMem()
	var full atomic.Bool
	hooked := &vfs.Hooked{FS: mem, Hook: func(op vfs.Op, _ string, p []byte) (int, error) {
		if full.Load() && (op == vfs.OpWrite || op == vfs.OpCreate) {
			return len(p) / 2, syscall.ENOSPC
		}
		return 0, nil
	}}
	o := toyOptions(hooked)
	db := openToy(t, o)
	ctx := context.Background()
	for i := range 10 {
		_, err := db.Append(ctx, "t", toyPayload(t, numbered(i)))
		require.NoError(t, err)
	}
	full.Store(true)
	for range 3 {
		_, err := db.Append(ctx, "t", toyPayload(t, numbered(99)))
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.Positive(t, fault.RetryAfter(err))
	}
	require.Error(t, db.Flush(ctx))
	require.Equal(t, upTo(10), numbers(t, db), "reads go on")
	full.Store(false)
	_, err := db.Append(ctx, "t", toyPayload(t, numbered(10)))
	require.NoError(t, err, "writes resume")
	require.NoError(t, db.Flush(ctx))
	require.Equal(t, upTo(11), numbers(t, db))

	_, err = db.Append(ctx, "t", toyPayload(t, numbered(11)))
	require.NoError(t, err)
	o.FS = mem.CloneKilled()
	again := openToy(t, o)
	require.Equal(t, upTo(12), numbers(t, again))
}

// TestManifestErrors: a flush whose edit fails, even beyond repair, loses nothing
// and doubles nothing, now or after a crash.
func TestManifestErrors(t *testing.T) {
	for name, ops := range map[string][]vfs.Op{
		"write":             {vfs.OpWrite},
		"sync":              {vfs.OpSync},
		"sync, cut":         {vfs.OpSync, vfs.OpTruncate},
		"sync, cut, create": {vfs.OpSync, vfs.OpTruncate, vfs.OpCreate},
		"sync, cut, rename": {vfs.OpSync, vfs.OpTruncate, vfs.OpRename},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			var broken atomic.Bool
			hooked := &vfs.Hooked{FS: mem, Hook: func(op vfs.Op, name string, p []byte) (int, error) {
				if broken.Load() && strings.Contains(name, manifestName) && slices.Contains(ops, op) {
					return len(p) / 2, syscall.EIO
				}
				return 0, nil
			}}
			o := toyOptions(hooked)
			db := openToy(t, o)
			ctx := context.Background()
			_, err := db.Append(ctx, "t", toyPayload(t, numbered(0), numbered(1), numbered(2)))
			require.NoError(t, err)
			broken.Store(true)
			require.ErrorIs(t, db.Flush(ctx), syscall.EIO)
			require.ErrorIs(t, db.Flush(ctx), syscall.EIO)
			require.Equal(t, upTo(3), numbers(t, db))
			crashed := o
			crashed.FS = mem.CloneKilled()
			require.Equal(t, upTo(3), numbers(t, openToy(t, crashed)))
			broken.Store(false)
			require.NoError(t, db.Flush(ctx))
			require.Equal(t, upTo(3), numbers(t, db))
			crashed.FS = mem.CloneKilled()
			require.Equal(t, upTo(3), numbers(t, openToy(t, crashed)))
		})
	}
}

// TestDamagedParts flips and cuts bytes all over a part: queries give rows that
// were written, or fewer and say so; never others.
func TestDamagedParts(t *testing.T) {
	mem := vfs.NewMem()
	o := toyOptions(mem)
	o.BlockRows = 80 // enough for templates
	db, err := Open(o)
	require.NoError(t, err)
	ctx := context.Background()
	rows := make([]toyRow, 200)
	for i := range rows {
		rows[i] = numbered(3 * i) // one day
		rows[i].Fields = append(rows[i].Fields, field("trace", ID([]byte{15: byte(i)})))
	}
	_, err = db.Append(ctx, "t", toyPayload(t, rows...))
	require.NoError(t, err)
	require.NoError(t, db.Close())
	var name string
	for _, f := range mem.Files() {
		if size, _ := mem.Size(f); len(f) > 5 && f[len(f)-5:] == ".part" && size > 0 {
			name = f
		}
	}
	require.NotEmpty(t, name)
	size, err := mem.Size(name)
	require.NoError(t, err)
	check := func(what string, damage func([]byte) []byte) {
		clone := mem.CloneKilled()
		require.NoError(t, clone.Corrupt(name, damage))
		o.FS = clone
		db, err := Open(o)
		require.NoError(t, err, what)
		defer func() { require.NoError(t, db.Close(), what) }()
		for _, filter := range []Filter{
			nil,
			Contains{Ref: RowRef("body"), Text: "line"},
			Contains{Ref: RowRef("body"), Text: "NE NUM", Fold: true},
			Words{Ref: RowRef("body"), Words: []string{"line"}},
			Equal{Ref: RowRef("trace"), Value: ID([]byte{15: 7})},
		} {
			found, stats, err := db.Select(ctx, SelectQuery{
				Query: Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64, Filter: filter},
				Limit: 1000, Order: OldestFirst,
			})
			require.NoError(t, err, what)
			want := len(rows)
			if _, one := filter.(Equal); one {
				want = 1
			}
			if len(found) != want && len(db.parts) > 0 {
				t.Fatalf("%s: %d rows of %d for %v, nothing said: %+v", what, len(found), want, filter, stats)
			}
			for i := range found {
				n, ok := found[i].Field("n")
				require.True(t, ok, what)
				r := rows[n.Int()/3]
				require.Equal(t, r.text(), rowText(&found[i]), what)
			}
		}
	}
	step := max(size/400, 1)
	for off := int64(0); off < size; off += step {
		check(fmt.Sprint("flip at ", off), func(b []byte) []byte { b[off] ^= 0x55; return b })
	}
	for cut := int64(0); cut < size; cut += size / 40 {
		check(fmt.Sprint("cut at ", cut), func(b []byte) []byte { return b[:cut] })
	}
}

func TestBackPressure(t *testing.T) {
	mem := vfs.NewMem()
	var broken atomic.Bool
	hooked := &vfs.Hooked{FS: mem, Hook: func(op vfs.Op, name string, _ []byte) (int, error) {
		if broken.Load() && op == vfs.OpCreate && len(name) > 5 && name[len(name)-5:] == ".part" {
			return 0, syscall.EIO
		}
		return 0, nil
	}}
	o := toyOptions(hooked)
	o.FlushBytes = 1
	broken.Store(true)
	db := openToy(t, o)
	ctx := context.Background()
	for i := range 2 {
		_, err := db.Append(ctx, "t", toyPayload(t, numbered(i)))
		require.NoError(t, err)
	}
	_, err := db.Append(ctx, "t", toyPayload(t, numbered(2)))
	require.Equal(t, fault.Limited, fault.KindOf(err))
	broken.Store(false)
	require.NoError(t, db.Flush(ctx))
	_, err = db.Append(ctx, "t", toyPayload(t, numbered(2)))
	require.NoError(t, err)
	require.Equal(t, upTo(3), numbers(t, db))
}

func TestRetention(t *testing.T) {
	ctx := context.Background()
	t.Run("age", func(t *testing.T) {
		now := atomic.Int64{}
		now.Store(toyNow)
		o := toyOptions(vfs.NewMem())
		o.Now = func() time.Time { return time.Unix(0, now.Load()) }
		o.Retention.MaxAge = 48 * time.Hour
		db := openToy(t, o)
		old := numbered(0)
		old.Time = toyNow - 3*dayNanos
		res, err := db.Append(ctx, "t", toyPayload(t, numbered(0), numbered(1), old))
		require.NoError(t, err)
		require.Equal(t, AppendResult{Rows: 2, Rejected: 1, Reason: "older than the retention time"}, res)
		require.NoError(t, db.Flush(ctx))
		require.Len(t, db.parts["t"], 2)
		now.Add(36 * int64(time.Hour))
		require.Equal(t, []int{0}, numbers(t, db), "not seen any more, though the part is still there")
		require.NoError(t, db.retain())
		require.Len(t, db.parts["t"], 1)
	})
	t.Run("size", func(t *testing.T) {
		mem := vfs.NewMem()
		o := toyOptions(mem)
		o.Retention.MaxBytes = 1
		db := openToy(t, o)
		_, err := db.Append(ctx, "t", toyPayload(t, numbered(0), numbered(1)))
		require.NoError(t, err)
		require.NoError(t, db.Flush(ctx))
		require.NoError(t, db.retain())
		require.Empty(t, numbers(t, db))
		for _, f := range mem.Files() {
			require.NotContains(t, f, ".part")
		}
	})
}

func TestBounds(t *testing.T) {
	o := toyOptions(vfs.NewMem())
	o.BlockRows = 10
	db := openToy(t, o)
	ctx := context.Background()
	rows := make([]toyRow, 100)
	for i := range rows {
		rows[i] = numbered(i)
	}
	_, err := db.Append(ctx, "t", toyPayload(t, rows...))
	require.NoError(t, err)
	require.NoError(t, db.Flush(ctx))
	q := Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}
	count := func(q Query) (int64, Stats) {
		var n atomic.Int64
		stats, err := db.Scan(ctx, q, func() Worker {
			return WorkerFunc(func(b *Block) error { n.Add(int64(b.Len())); return nil })
		})
		require.NoError(t, err)
		return n.Load(), stats
	}
	q.Limits.Rows = 25
	n, stats := count(q)
	require.EqualValues(t, 25, n)
	require.Equal(t, CutRows, stats.Cut)
	q.Limits = Limits{BytesScanned: 100}
	n, stats = count(q)
	require.Less(t, n, int64(100))
	require.Equal(t, CutBytes, stats.Cut)
	q.Limits = Limits{}
	_, stats = count(q)
	require.Equal(t, CutNone, stats.Cut)

	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = db.Scan(canceled, q, func() Worker { return WorkerFunc(func(*Block) error { return nil }) })
	require.ErrorIs(t, err, context.Canceled)
	stop, err := db.Scan(ctx, q, func() Worker { return WorkerFunc(func(*Block) error { return ErrStop }) })
	require.NoError(t, err)
	require.Less(t, stop.BlocksRead, 10)
	boom := errors.New("boom")
	_, err = db.Scan(ctx, q, func() Worker { return WorkerFunc(func(*Block) error { return boom }) })
	require.ErrorIs(t, err, boom)
}

func TestAppendRefusals(t *testing.T) {
	o := toyOptions(vfs.NewMem())
	o.MaxPayloadBytes = 1000
	db := openToy(t, o)
	ctx := context.Background()
	_, err := db.Append(ctx, "t", []byte("{nonsense"))
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	_, err = db.Append(ctx, "t", make([]byte, 1001))
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	_, err = db.Append(ctx, "no/tenant", []byte("[]"))
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	bad := numbered(1)
	bad.Reject = "bad"
	res, err := db.Append(ctx, "t", toyPayload(t, numbered(0), bad, bad))
	require.NoError(t, err)
	require.Equal(t, AppendResult{Rows: 1, Rejected: 2, Reason: "bad (2 times)"}, res)
	require.Equal(t, []int{0}, numbers(t, db))
	require.NoError(t, db.Close())
	_, err = db.Append(ctx, "t", toyPayload(t, numbered(0)))
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
}

// TestTenants: tenants see their own rows only.
func TestTenants(t *testing.T) {
	db := openToy(t, toyOptions(vfs.NewMem()))
	ctx := context.Background()
	_, err := db.Append(ctx, "t", toyPayload(t, numbered(0)))
	require.NoError(t, err)
	_, err = db.Append(ctx, "other", toyPayload(t, numbered(1), numbered(2)))
	require.NoError(t, err)
	require.Equal(t, []int{0}, numbers(t, db))
	require.NoError(t, db.Flush(ctx))
	require.Equal(t, []int{0}, numbers(t, db))
}

// TestConcurrent runs everything at once, for the race detector.
func TestConcurrent(t *testing.T) {
	o := toyOptions(vfs.NewMem())
	o.FlushBytes, o.MaxFrozen = 30<<10, 50
	o.MergeConcurrency = 1
	o.BlockRows = 200
	o.SegmentBytes = 32 << 10
	o.SyncInterval = time.Millisecond
	db := openToy(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	var writers, others sync.WaitGroup
	const perWriter, batch, nWriters = 40, 25, 3
	for w := range nWriters {
		writers.Go(func() {
			for i := range perWriter {
				var rows []toyRow
				for j := range batch {
					rows = append(rows, numbered((w*perWriter+i)*batch+j))
				}
				for {
					_, err := db.Append(ctx, "t", toyPayload(t, rows...))
					if err == nil {
						break
					}
					if !fault.Retryable(err) {
						t.Errorf("append: %v", err)
						return
					}
				}
			}
		})
	}
	loop := func(f func() error) {
		others.Go(func() {
			for ctx.Err() == nil {
				if err := f(); err != nil && ctx.Err() == nil {
					t.Errorf("%v", err)
					return
				}
			}
		})
	}
	q := Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64, Filter: Contains{Ref: RowRef("body"), Text: "line"}}
	loop(func() error {
		_, _, err := db.Select(ctx, SelectQuery{Query: q, Limit: 50})
		return err
	})
	loop(func() error {
		var n atomic.Int64
		_, err := db.Scan(ctx, q, func() Worker {
			return WorkerFunc(func(b *Block) error {
				v, err := b.Column(ColumnKey{"body", KindString})
				if err == nil {
					n.Add(int64(len(v.Bytes(0))))
				}
				return err
			})
		})
		return err
	})
	loop(func() error {
		_, err := db.Streams(ctx, "t", q.From, q.To, nil)
		if err == nil {
			_, err = db.Columns(ctx, "t", q.From, q.To)
		}
		return err
	})
	loop(func() error { return db.retain() })
	writers.Wait()
	cancel()
	others.Wait()
	require.Equal(t, upTo(perWriter*batch*nWriters), numbers(t, db))
}
