package columnar

import (
	"fmt"
	"math"
	"testing"

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
	require.Empty(t, db.spare.columns, "the query read what was flushed")
	require.NoError(t, db.Flush(t.Context()))
	require.Len(t, db.spare.columns, 2)
	kept := db.spare.columns[ColumnKey{"status", KindInt}][0]
	add(3)
	require.Same(t, kept, db.active.tenants["t"].blocks[0].cols[1])
	require.Empty(t, db.spare.column(ColumnKey{"status", KindInt}))
}
