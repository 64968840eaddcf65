package wal

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"belfry/internal/vfs"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func record(i int) *Record {
	return &Record{Kind: 1, Codec: 2, Tenant: fmt.Sprint("tenant", i%3), Time: time.Unix(0, int64(i)).UTC(), Payload: fmt.Appendf(nil, "payload %d", i)}
}

func newMem(t testing.TB) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	require.NoError(t, m.MkdirAll("w"))
	return m
}

// open opens the log and returns the payloads replayed.
func open(t testing.TB, o Options, from Position) (*Log, []string, Replayed) {
	t.Helper()
	if o.SyncInterval == 0 {
		o.SyncInterval = time.Hour
	}
	o.Dir = "w"
	var got []string
	l, st, err := Open(o, from, func(r Record, _ Position) error {
		got = append(got, string(r.Payload))
		return nil
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l, got, st
}

func payloads(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, string(record(i).Payload))
	}
	return out
}

func TestAppendAndReplay(t *testing.T) {
	mem := newMem(t)
	var order []string
	var ends []Position
	o := Options{FS: mem, SegmentBytes: 500, Committed: func(r *Record, end Position) {
		order = append(order, string(r.Payload))
		ends = append(ends, end)
	}}
	l, got, _ := open(t, o, Position{})
	require.Empty(t, got)
	for i := range 50 {
		require.NoError(t, l.Append(context.Background(), record(i)))
	}
	require.Equal(t, payloads(0, 50), order)
	require.Equal(t, ends[49], l.End())
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Append(context.Background(), record(0)), ErrClosed)

	l, got, st := open(t, Options{FS: mem}, Position{})
	require.Equal(t, payloads(0, 50), got)
	require.Greater(t, st.Segments, 3)
	require.Zero(t, st.Dropped)
	require.NoError(t, l.Close())

	l, got, _ = open(t, Options{FS: mem}, ends[29])
	require.Equal(t, payloads(30, 50), got, "replay begins behind the position")
	before := len(mem.Files())
	require.NoError(t, l.Free(ends[39]))
	require.Less(t, len(mem.Files()), before)
	require.NoError(t, l.Close())
	_, got, _ = open(t, Options{FS: mem}, ends[39])
	require.Equal(t, payloads(40, 50), got)
}

func TestRecordFields(t *testing.T) {
	mem := newMem(t)
	l, _, _ := open(t, Options{FS: mem}, Position{})
	want := record(5)
	require.NoError(t, l.Append(context.Background(), want))
	require.NoError(t, l.Close())
	_, _, err := Open(Options{FS: mem, Dir: "w"}, Position{}, func(r Record, _ Position) error {
		require.Equal(t, *want, r)
		return context.Canceled
	})
	require.ErrorIs(t, err, context.Canceled)
}

func TestGroups(t *testing.T) {
	mem := newMem(t)
	var writes atomic.Int64
	writing, gate := make(chan struct{}), make(chan struct{})
	hooked := &vfs.Hooked{FS: mem, Hook: func(op vfs.Op, _ string, p []byte) (int, error) {
		if op == vfs.OpWrite && len(p) > segmentHeader && writes.Add(1) == 1 {
			close(writing)
			<-gate // while the first is being written, the others queue up
		}
		return 0, nil
	}}
	l, _, _ := open(t, Options{FS: hooked}, Position{})
	var wg sync.WaitGroup
	appendOne := func(i int) {
		wg.Go(func() { assert.NoError(t, l.Append(context.Background(), record(i))) })
	}
	appendOne(0)
	<-writing
	for i := range 100 {
		appendOne(i + 1)
	}
	queued := assert.Eventually(t, func() bool { return l.Queued() == 100 }, time.Minute, time.Millisecond)
	close(gate)
	wg.Wait()
	require.True(t, queued)
	require.EqualValues(t, 2, writes.Load())
	require.NoError(t, l.Close())
	_, got, _ := open(t, Options{FS: mem}, Position{})
	require.Len(t, got, 101)
}

func TestTornTail(t *testing.T) {
	mem := newMem(t)
	l, _, _ := open(t, Options{FS: mem}, Position{})
	for i := range 3 {
		require.NoError(t, l.Append(context.Background(), record(i)))
	}
	require.NoError(t, l.Close())
	name := mem.Files()[0]
	size, err := mem.Size(name)
	require.NoError(t, err)
	recordLen := (size - segmentHeader) / 3
	for cut := range size {
		clone := mem.CloneKilled()
		require.NoError(t, clone.Corrupt(name, func(b []byte) []byte { return b[:cut] }))
		l, got, st := open(t, Options{FS: clone}, Position{})
		whole := max(0, int(cut-segmentHeader)/int(recordLen))
		require.Equal(t, payloads(0, whole), got, "cut at %d", cut)
		if cut >= segmentHeader {
			require.Equal(t, cut-segmentHeader-int64(whole)*recordLen, st.Dropped)
		}
		require.NoError(t, l.Append(context.Background(), record(9)))
		require.NoError(t, l.Close())
		_, got, _ = open(t, Options{FS: clone}, Position{})
		require.Equal(t, append(payloads(0, whole), payloads(9, 10)...), got)
	}
}

// TestDamage: a flipped byte costs the record it is in, no other.
func TestDamage(t *testing.T) {
	mem := newMem(t)
	l, _, _ := open(t, Options{FS: mem}, Position{})
	for i := range 4 {
		require.NoError(t, l.Append(context.Background(), record(i)))
	}
	require.NoError(t, l.Close())
	name := mem.Files()[0]
	size, err := mem.Size(name)
	require.NoError(t, err)
	recordLen := int((size - segmentHeader) / 4)
	for off := segmentHeader; off < int(size); off++ {
		clone := mem.CloneKilled()
		require.NoError(t, clone.Corrupt(name, func(b []byte) []byte { b[off] ^= 0x10; return b }))
		_, got, st := open(t, Options{FS: clone}, Position{})
		hit := (off - segmentHeader) / recordLen
		require.Equal(t, append(payloads(0, hit), payloads(hit+1, 4)...), got, "flip at %d", off)
		require.EqualValues(t, recordLen, st.Dropped)
	}
}

func TestWriteErrors(t *testing.T) {
	mem := newMem(t)
	var broken atomic.Uint32 // the operations that fail, as a bit set
	hooked := &vfs.Hooked{FS: mem, Hook: func(op vfs.Op, _ string, p []byte) (int, error) {
		if broken.Load()>>op&1 != 0 {
			return len(p) / 2, syscall.ENOSPC
		}
		return 0, nil
	}}
	l, _, _ := open(t, Options{FS: hooked, SyncEach: true}, Position{})
	ctx := context.Background()
	n := 0
	ok := func() {
		t.Helper()
		broken.Store(0)
		require.NoError(t, l.Append(ctx, record(n)))
		n++
	}
	ok()
	for _, ops := range []uint32{1 << vfs.OpWrite, 1<<vfs.OpWrite | 1<<vfs.OpTruncate, 1 << vfs.OpSync, 1<<vfs.OpWrite | 1<<vfs.OpTruncate | 1<<vfs.OpCreate} {
		broken.Store(ops)
		for range 3 {
			require.ErrorIs(t, l.Append(ctx, record(1000)), syscall.ENOSPC)
		}
		ok()
	}
	require.NoError(t, l.Close())
	_, got, _ := open(t, Options{FS: mem}, Position{})
	require.Equal(t, payloads(0, n), got)
}

func TestPeriodicSync(t *testing.T) {
	mem := newMem(t)
	synced := make(chan struct{}, 100)
	l, _, _ := open(t, Options{FS: mem, SyncInterval: time.Millisecond, Synced: func(time.Duration, error) { synced <- struct{}{} }}, Position{})
	require.NoError(t, l.Append(context.Background(), record(0)))
	<-synced
	_, got, _ := open(t, Options{FS: mem.ClonePowerLoss()}, Position{})
	require.Equal(t, payloads(0, 1), got)
}

func TestCanceledBeforeQueued(t *testing.T) {
	l, _, _ := open(t, Options{FS: newMem(t)}, Position{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	// The queue has room, so that either outcome is right; a refusal must say why.
	if err := l.Append(ctx, record(0)); err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
}

// FuzzReplay: whatever happens to a segment's bytes, what is replayed was written.
func FuzzReplay(f *testing.F) {
	f.Add(uint16(40), byte(1), uint16(200), []byte("junk"))
	f.Add(uint16(0), byte(0), uint16(1), []byte{})
	mem := newMem(f)
	l, _, _ := open(f, Options{FS: mem}, Position{})
	written := map[string]bool{}
	for i := range 10 {
		r := record(i)
		if i == 5 { // a record within a record must not come alive
			inner := record(99)
			r.Payload = append(inner.appendHeader(nil), inner.Payload...)
		}
		written[string(r.Payload)] = true
		require.NoError(f, l.Append(context.Background(), r))
	}
	require.NoError(f, l.Close())
	name := mem.Files()[0]
	f.Fuzz(func(t *testing.T, at uint16, flip byte, cut uint16, junk []byte) {
		clone := mem.CloneKilled()
		require.NoError(t, clone.Corrupt(name, func(b []byte) []byte {
			b = b[:len(b)-int(cut)%len(b)]
			if len(b) > 0 {
				b[int(at)%len(b)] ^= flip
			}
			return append(bytes.Clone(b), junk...)
		}))
		_, got, _ := open(t, Options{FS: clone}, Position{})
		for _, p := range got {
			require.True(t, written[p], "%q was never written", p)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	dir := b.TempDir()
	l, _, err := Open(Options{FS: vfs.OS{}, Dir: dir}, Position{}, nil)
	require.NoError(b, err)
	defer l.Close()
	r := record(0)
	r.Payload = make([]byte, 64<<10)
	b.SetBytes(int64(len(r.Payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Append(context.Background(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRotate: what lies in a segment that was ended can be freed while the log goes on.
func TestRotate(t *testing.T) {
	mem := newMem(t)
	l, _, _ := open(t, Options{FS: mem}, Position{})
	require.NoError(t, l.Rotate(), "nothing to end yet")
	require.False(t, l.Holds(l.End()))
	require.NoError(t, l.Append(context.Background(), record(0)))
	first := l.End()
	require.NoError(t, l.Free(first))
	require.True(t, l.Holds(first), "it is being written to")
	require.NoError(t, l.Rotate())
	require.NoError(t, l.Rotate())
	require.NoError(t, l.Append(context.Background(), record(1)))
	require.NoError(t, l.Free(Position{first.Segment, first.Offset - 1}))
	require.True(t, l.Holds(first))
	require.NoError(t, l.Free(first))
	require.False(t, l.Holds(first))
	require.NoError(t, l.Close())
	_, got, _ := open(t, Options{FS: mem}, first)
	require.Equal(t, payloads(1, 2), got)
}
