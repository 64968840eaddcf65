package columnar

import (
	"fmt"
	"math"
	"testing"

	"belfry/internal/vfs"

	"github.com/stretchr/testify/require"
)

// TestMemoryIsNotTakenFromReaders: a memtable that is flushed while a query reads it keeps its
// memory until the query ends; one that nobody reads gives it back with the flush. What is given back is
// inaccessible in these tests, so that a query that reads it crashes.
func TestMemoryIsNotTakenFromReaders(t *testing.T) {
	db := openToy(t, toyOptions(vfs.NewMem()))
	const rows = 500
	add := func(round int) {
		batch := make([]toyRow, rows)
		for i := range batch {
			batch[i] = toyRow{Time: toyNow - int64(i), Stream: map[string]string{"s": "x"}, Fields: []toyField{
				field("body", String(fmt.Sprintf("round %d row %d", round, i))), field("status", Int(int64(1000*round+i))),
			}}
		}
		_, err := db.Append(t.Context(), "t", toyPayload(t, batch...))
		require.NoError(t, err)
	}
	read := func(round int, meanwhile func()) {
		seen := 0
		_, err := db.Scan(t.Context(), Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}, func() Worker {
			return WorkerFunc(func(b *Block) error {
				meanwhile()
				body, err := b.Column(ColumnKey{"body", KindString})
				require.NoError(t, err)
				for i := range b.Len() {
					require.Equal(t, fmt.Sprintf("round %d row %d", round, toyNow-b.Times()[i]), string(body.Bytes(i)))
				}
				seen += b.Len()
				return nil
			})
		})
		require.NoError(t, err)
		require.Equal(t, rows, seen)
	}
	used := func() int64 {
		used, _ := db.memory.Stats()
		return used
	}
	require.Zero(t, used())
	add(1)
	one := used()
	require.Positive(t, one)
	read(1, func() {
		require.NoError(t, db.Flush(t.Context()))
		add(2)
		require.Greater(t, used(), one, "the query reads what was flushed")
	})
	require.Equal(t, one, used(), "the query has ended")
	require.NoError(t, db.Flush(t.Context()))
	require.Zero(t, used(), "nobody reads what was flushed")
}

// TestMemtablesGrowUnderReaders: a query sees the rows of its moment, however much the
// memtable grows meanwhile and moves to larger memory.
func TestMemtablesGrowUnderReaders(t *testing.T) {
	db := openToy(t, toyOptions(vfs.NewMem()))
	next := 0
	add := func(rows int) {
		batch := make([]toyRow, rows)
		for i := range batch {
			batch[i] = toyRow{Time: toyNow + int64(next), Stream: map[string]string{"s": "x"}, Fields: []toyField{
				field("body", String(fmt.Sprintf("a body of some length, number %d", next))), field("status", Int(int64(next))),
			}}
			next++
		}
		_, err := db.Append(t.Context(), "t", toyPayload(t, batch...))
		require.NoError(t, err)
	}
	for range 4 {
		add(100)
		want, seen := next, 0
		_, err := db.Scan(t.Context(), Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}, func() Worker {
			return WorkerFunc(func(b *Block) error {
				add(3000)
				body, err := b.Column(ColumnKey{"body", KindString})
				require.NoError(t, err)
				status, err := b.Column(ColumnKey{"status", KindInt})
				require.NoError(t, err)
				for i := range b.Len() {
					n := b.Times()[i] - toyNow
					require.Equal(t, fmt.Sprintf("a body of some length, number %d", n), string(body.Bytes(i)))
					require.Equal(t, n, status.Int(i))
				}
				seen += b.Len()
				return nil
			})
		})
		require.NoError(t, err)
		require.Equal(t, want, seen)
	}
}

// TestMemtablesTakeTheMemoryOfThoseBefore: a column has room from the start for what a full block of it took.
func TestMemtablesTakeTheMemoryOfThoseBefore(t *testing.T) {
	o := toyOptions(vfs.NewMem())
	o.BlockRows = 100
	db := openToy(t, o)
	batch := make([]toyRow, 250)
	for i := range batch {
		batch[i] = toyRow{Time: toyNow + int64(i), Stream: map[string]string{"s": "x"}, Fields: []toyField{field("status", Int(int64(i)))}}
	}
	for range 2 {
		_, err := db.Append(t.Context(), "t", toyPayload(t, batch...))
		require.NoError(t, err)
		require.NoError(t, db.Flush(t.Context()))
	}
	status := ColumnKey{"status", KindInt}
	require.Equal(t, 100, db.active.shapes["t"][status].Count)
	_, err := db.Append(t.Context(), "t", toyPayload(t, batch[:1]...))
	require.NoError(t, err)
	b := db.active.tenants["t"].blocks[0]
	require.GreaterOrEqual(t, cap(b.times), 100)
	require.NoError(t, db.Flush(t.Context()))
	require.Empty(t, db.active.shapes, "the block was not full")
}
