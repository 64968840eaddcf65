package columnar

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/internal/vfs"
)

// FuzzDamagedGroups flips bytes of the files of a merged part and of a younger one that has
// rows of the same groups, or cuts one of them short: what is left is shown right, or not at all.
func FuzzDamagedGroups(f *testing.F) {
	fs := vfs.NewMem()
	db, err := Open(groupedOptions(fs))
	require.NoError(f, err)
	r := rand.New(rand.NewPCG(1, 2))
	sizes := map[string]int64{}
	appendSome := func(groups int) {
		var rows []toyRow
		for range 60 {
			id := make([]byte, 16)
			binary.BigEndian.PutUint64(id[8:], uint64(r.IntN(groups)))
			sizes[string(id)]++
			rows = append(rows, toyRow{Time: toyNow - dayNanos/2 + r.Int64N(1e9), Stream: map[string]string{"s": "a"}, Fields: []toyField{field("trace", ID(id))}})
		}
		_, err := db.Append(f.Context(), "t", toyPayload(f, rows...))
		require.NoError(f, err)
		require.NoError(f, db.Flush(f.Context()))
	}
	appendSome(40)
	appendSome(40)
	mergeAll(f, db)
	appendSome(10)
	var parts []string
	for _, name := range fs.Files() {
		if strings.HasSuffix(name, ".part") {
			parts = append(parts, name)
		}
	}
	require.Len(f, parts, 2)
	f.Add(uint8(0), uint32(100), uint8(1), uint32(0))
	f.Add(uint8(1), uint32(300), uint8(0x80), uint32(0))
	f.Add(uint8(0), uint32(0), uint8(0), uint32(20))
	left := fs.CloneKilled()
	require.NoError(f, db.Close())
	f.Fuzz(func(t *testing.T, which uint8, at uint32, mask uint8, cut uint32) {
		mem := left.CloneKilled()
		require.NoError(t, mem.Corrupt(parts[which%2], func(b []byte) []byte {
			b[int(at)%len(b)] ^= mask
			return b[:len(b)-int(cut)%len(b)]
		}))
		db, err := Open(groupedOptions(mem))
		if err != nil {
			return
		}
		defer db.Close()
		whole, apart := viewRows(t, db)
		seen := map[string]int64{}
		for _, row := range append(whole, apart...) {
			seen[row.id]++
		}
		for id, n := range seen {
			require.LessOrEqual(t, n, sizes[id])
		}
		for _, row := range whole {
			require.GreaterOrEqual(t, row.size, seen[row.id])
			require.LessOrEqual(t, row.size, sizes[row.id])
		}
	})
}
