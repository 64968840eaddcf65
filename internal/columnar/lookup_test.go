package columnar

import (
	"context"
	"encoding/binary"
	"math"
	"testing"

	"belfry/internal/vfs"

	"github.com/stretchr/testify/require"
)

func lookupID(part, row int) []byte {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(part)*1_000_003+uint64(row))
	return id[:]
}

// lookupDB returns a DB of so many parts of 100 rows, each with an ID of its own.
func lookupDB(t *testing.T, o Options, parts int) *DB {
	t.Helper()
	db := openToy(t, o)
	for p := range parts {
		rows := make([]toyRow, 100)
		for i := range rows {
			rows[i] = toyRow{Time: toyNow + int64(i), Fields: []toyField{field("trace", ID(lookupID(p, i))), field("status", Int(int64(i)))}}
		}
		_, err := db.Append(context.Background(), "t", toyPayload(t, rows...))
		require.NoError(t, err)
		require.NoError(t, db.Flush(context.Background()))
	}
	return db
}

func lookup(t *testing.T, db *DB, id []byte) ([]Row, Stats) {
	t.Helper()
	rows, stats, err := db.Lookup(context.Background(), LookupQuery{Tenant: "t", Column: "trace", ID: id, From: math.MinInt64, To: math.MaxInt64})
	require.NoError(t, err)
	return rows, stats
}

func TestLookupTouchesOnlyPartsWithTheID(t *testing.T) {
	const parts = 50
	for name, memory := range map[string]int64{"in memory": 0, "some in memory": 20 * 200, "on disk": -1} {
		t.Run(name, func(t *testing.T) {
			o := toyOptions(vfs.NewMem())
			o.FilterMemory = memory
			db := lookupDB(t, o, parts)
			require.LessOrEqual(t, db.filterBytes.Load(), max(0, db.o.FilterMemory))
			read := int64(0)
			for i := range 20 {
				rows, stats := lookup(t, db, lookupID(parts+1, i))
				require.Empty(t, rows)
				require.Equal(t, parts, stats.Blocks)
				require.Equal(t, parts, stats.BlocksPruned)
				read += stats.BytesRead
			}
			if memory == 0 {
				require.NotZero(t, db.filterBytes.Load())
				require.Less(t, read, int64(20*parts*10), "only what the filters' false positives read")
			}
			rows, stats := lookup(t, db, lookupID(7, 13))
			require.Len(t, rows, 1)
			require.Equal(t, toyNow+13, rows[0].Time)
			require.Equal(t, 1, stats.BlocksRead)
			for _, h := range db.parts["t"] {
				h.drop.Store(true)
			}
			require.NoError(t, db.Close())
			require.Zero(t, db.filterBytes.Load(), "parts that are closed hold no filters")
		})
	}
}
