package columnar

import (
	"fmt"
	"math"
	"testing"
	"time"

	"belfry/internal/vfs"

	"github.com/stretchr/testify/require"
)

// TestMemoryIsNotTakenFromReaders: a memtable that is flushed while a query reads it keeps its
// memory; one that nobody reads gives it to those that follow.
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
	add(1)
	read(1, func() {
		require.NoError(t, db.Flush(t.Context()))
		add(2)
	})
	require.Empty(t, db.spare.blocks, "the query read what was flushed")
	require.NoError(t, db.Flush(t.Context()))
	require.Len(t, db.spare.blocks, 1)
	kept := db.spare.blocks[0].columns[ColumnKey{"status", KindInt}]
	add(3)
	require.Same(t, kept, db.active.tenants["t"].blocks[0].cols[1])
	require.Zero(t, db.spare.bytes)
	require.Empty(t, db.spare.blocks)
}

// TestSpareMemoryIsBounded: of more than is allowed, what was there first goes.
func TestSpareMemoryIsBounded(t *testing.T) {
	s := &spareMemory{}
	table := func(cap int) *memTable {
		b := &memBlock{times: make([]uint64, 0, cap)}
		return &memTable{tenants: map[string]*memTenant{"t": {blocks: []*memBlock{b}}}}
	}
	now := time.Unix(0, toyNow)
	for _, cap := range []int{100, 200, 300} {
		s.add(table(cap), 8*500, now)
	}
	require.Equal(t, 8*500, s.bytes)
	require.Equal(t, 300, cap(s.take().times))
	require.Equal(t, 200, cap(s.take().times))
	require.Zero(t, cap(s.take().times))
	require.Zero(t, s.bytes)
	s.add(table(1000), 8*500, now)
	require.Empty(t, s.blocks, "it is too large alone")
}
