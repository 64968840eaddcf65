package columnar

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
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

// TestPointReads compares rows that were read one by one with the same rows of
// columns that were decoded.
func TestPointReads(t *testing.T) {
	const n = 6000
	db := openToy(t, toyOptions(vfs.NewMem()))
	rnd := rand.New(rand.NewPCG(5, 5))
	for from := 0; from < n; from += 1000 {
		var rows []toyRow
		for i := from; i < from+1000; i++ {
			r := toyRow{Time: toyNow + rnd.Int64N(1e12), Stream: map[string]string{"service": []string{"a", "b", "c"}[rnd.IntN(3)]}}
			maybe := func(share int, f toyField) {
				if rnd.IntN(100) < share {
					r.Fields = append(r.Fields, f)
				}
			}
			r.Fields = append(r.Fields, field("trace", ID(lookupID(0, i/2))))
			maybe(90, field("status", Int(200+rnd.Int64N(4))))
			maybe(70, field("latency", Float(float64(rnd.IntN(1e6))/1000)))
			maybe(50, field("noise", Float(rnd.NormFloat64())))
			maybe(60, field("ok", Bool(rnd.IntN(2) == 0)))
			maybe(95, field("body", String(strings.Repeat("word ", rnd.IntN(40))+string(lookupID(1, i)))))
			maybe(80, field("route", String("/route/"+strings.Repeat("x", rnd.IntN(9)))))
			maybe(30, field("wide", String(strings.Repeat(string(rune('a'+rnd.IntN(26))), 500+rnd.IntN(8)))))
			maybe(2, field("rare", Bytes([]byte{byte(i)})))
			maybe(40, field("const", String("always")))
			rows = append(rows, r)
		}
		_, err := db.Append(context.Background(), "t", toyPayload(t, rows...))
		require.NoError(t, err)
	}
	require.NoError(t, db.Flush(context.Background()))
	all, _, err := db.Select(context.Background(), SelectQuery{
		Query: Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}, Order: OldestFirst, Limit: n,
	})
	require.NoError(t, err)
	require.Len(t, all, n)
	want := map[string][]Row{}
	for _, r := range all {
		id, _ := r.Field("trace")
		want[id.Str()] = append(want[id.Str()], r)
	}
	for i := 0; i < n/2; i += 17 {
		rows, _ := lookup(t, db, lookupID(0, i))
		expected := want[string(lookupID(0, i))]
		require.Len(t, rows, len(expected))
		for j := range rows {
			require.Equal(t, expected[j].Time, rows[j].Time)
			require.Equal(t, expected[j].Stream, rows[j].Stream)
			require.Equal(t, expected[j].Fields, rows[j].Fields)
		}
	}
	// Many rows decode, few do not: that shows in what was scanned.
	_, few := lookup(t, db, lookupID(0, 1))
	_, many, err := db.Select(context.Background(), SelectQuery{
		Query: Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64, Filter: Equal{Ref: RowRef("status"), Value: Int(200)}}, Limit: n,
	})
	require.NoError(t, err)
	require.Less(t, 4*few.BytesScanned, many.BytesScanned)
}
