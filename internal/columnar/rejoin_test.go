package columnar

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/internal/vfs"
)

// splitGroups appends the rows of groups in pieces, a flush after each, and returns
// how many rows each group has.
func splitGroups(t *testing.T, db *DB, r *rand.Rand, groups int) map[string]int64 {
	t.Helper()
	sizes := map[string]int64{}
	for range mergeFactor {
		var rows []toyRow
		for n := range groups {
			for range r.IntN(4) {
				id := make([]byte, 16)
				binary.BigEndian.PutUint64(id[8:], uint64(n+1))
				rows = append(rows, toyRow{
					Time: toyNow - dayNanos/2 + r.Int64N(1e12), Stream: map[string]string{"s": string(rune('a' + r.IntN(3)))},
					Fields: []toyField{field("trace", ID(id)), field("body", String("x"))},
				})
				sizes[string(id)]++
			}
		}
		_, err := db.Append(t.Context(), "t", toyPayload(t, rows...))
		require.NoError(t, err)
		require.NoError(t, db.Flush(t.Context()))
	}
	return sizes
}

// requireWhole checks what is derived from the groups that are shown as whole, and returns
// how many rows are not.
func requireWhole(t *testing.T, db *DB, sizes map[string]int64) (apart int) {
	t.Helper()
	whole, rest := viewRows(t, db)
	seen := map[string]int64{}
	ordinals := map[int64]string{}
	for _, row := range whole {
		seen[row.id]++
		require.Equal(t, sizes[row.id], row.size)
		if id, known := ordinals[row.ordinal]; known {
			require.Equal(t, id, row.id)
		}
		ordinals[row.ordinal] = row.id
	}
	for _, row := range rest {
		seen[row.id]++
	}
	require.Equal(t, sizes, seen)
	return len(rest)
}

func TestMergesJoinGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	db, err := Open(groupedOptions(vfs.NewMem()))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	sizes := splitGroups(t, db, r, 300)
	require.Positive(t, requireWhole(t, db, sizes), "groups are split by flushes")
	require.NoError(t, db.merge(t.Context(), db.parts["t"]))
	require.Zero(t, requireWhole(t, db, sizes))

	// A late row sets its group apart, until it is merged with the rest.
	var late []toyRow
	for id := range sizes {
		late = append(late, toyRow{Time: toyNow - dayNanos/2, Stream: map[string]string{"s": "late"}, Fields: []toyField{field("trace", ID([]byte(id)))}})
		if sizes[id]++; len(late) == 10 {
			break
		}
	}
	_, err = db.Append(t.Context(), "t", toyPayload(t, late...))
	require.NoError(t, err)
	require.Positive(t, requireWhole(t, db, sizes), "in memory")
	require.NoError(t, db.Flush(t.Context()))
	require.Positive(t, requireWhole(t, db, sizes), "in a part")
	require.NoError(t, db.merge(t.Context(), db.parts["t"]))
	require.Zero(t, requireWhole(t, db, sizes))
}

// TestMergesJoinWhatFits gives merges memory for a few of the groups only.
func TestMergesJoinWhatFits(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	o := groupedOptions(vfs.NewMem())
	db, err := Open(o)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	sizes := splitGroups(t, db, r, 300)
	total := int64(0)
	for _, n := range sizes {
		total += n
	}
	apart := requireWhole(t, db, sizes)
	db.o.MergeMemory = total / 2 * 4 * rejoinRowBytes
	require.NoError(t, db.merge(t.Context(), db.parts["t"]))
	left := requireWhole(t, db, sizes)
	require.Less(t, left, apart)
	require.Positive(t, left)
}
