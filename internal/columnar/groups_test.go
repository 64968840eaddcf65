package columnar

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/internal/vfs"
)

// groupedOptions are those of a toy signal whose rows know how many rows their
// group has in the part.
func groupedOptions(fs vfs.FS) Options {
	o := toyOptions(fs)
	size := ColRef(len(o.Columns))
	o.Columns = append(o.Columns, ColumnDef{Name: "size", Kind: KindInt}, ColumnDef{Name: "ordinal", Kind: KindInt}, ColumnDef{Name: "head", Kind: KindInt, Head: true})
	head := size + 2
	o.Grouping = &Grouping{ID: colTrace, Ordinal: size + 1, Derived: []ColRef{size, head}, Derive: func(rows *JoinRows) {
		sizes := make([]uint64, rows.Groups)
		headed := make([]bool, rows.Groups)
		for i := range rows.Blocks {
			for _, g := range rows.Blocks[i].Group {
				if g != NoGroup {
					sizes[g]++
				}
			}
		}
		for i := range rows.Blocks {
			b := &rows.Blocks[i]
			var with []uint32
			for row, g := range b.Group {
				if g != NoGroup {
					with = append(with, uint32(row))
				}
			}
			b.SetInts(size, with, func(i int) uint64 { return sizes[b.Group[with[i]]] })
			first := slices.DeleteFunc(slices.Clone(with), func(row uint32) bool {
				was := headed[b.Group[row]]
				headed[b.Group[row]] = true
				return was
			})
			b.SetInts(head, first, func(i int) uint64 { return sizes[b.Group[first[i]]] })
		}
	}}
	return o
}

// seenRow is a row as a GroupView shows it.
type seenRow struct {
	id      string
	size    int64
	ordinal int64
	part    int32
}

func viewRows(t *testing.T, db *DB) (whole, apart []seenRow) {
	t.Helper()
	v, err := db.Groups("t")
	require.NoError(t, err)
	defer v.Close()
	var mu sync.Mutex
	collect := func(dst *[]seenRow) func() Worker {
		return func() Worker {
			return WorkerFunc(func(b *Block) error {
				mu.Lock()
				defer mu.Unlock()
				ids, err := b.Column(ColumnKey{"trace", KindID})
				if err != nil {
					return err // of a damaged part
				}
				sizes, err := b.Column(ColumnKey{"size", KindInt})
				if err != nil {
					return err // of a damaged part
				}
				ordinals, err := b.Column(ColumnKey{"ordinal", KindInt})
				if err != nil {
					return err // of a damaged part
				}
				for i := range b.Len() {
					r := seenRow{part: b.Place(i).Part}
					if ids != nil && ids.Has(i) {
						r.id = string(ids.Bytes(i))
					}
					if sizes != nil && ordinals != nil {
						r.size, r.ordinal = sizes.Int(i), ordinals.Int(i)
					}
					*dst = append(*dst, r)
				}
				return nil
			})
		}
	}
	q := Query{Tenant: "t", From: -1 << 62, To: 1 << 62}
	for _, p := range v.Parts() {
		_, err := v.Whole(t.Context(), p, q, collect(&whole))
		require.NoError(t, err)
	}
	_, err = v.Apart(t.Context(), q, collect(&apart))
	require.NoError(t, err)
	return whole, apart
}

// heads returns what the heads of groups say of their size, by ID.
func heads(t *testing.T, db *DB, ids ...string) map[string]int64 {
	t.Helper()
	q := HeadQuery{Tenant: "t"}
	for _, id := range ids {
		q.IDs = append(q.IDs, []byte(id))
	}
	var mu sync.Mutex
	out := map[string]int64{}
	_, err := db.Heads(t.Context(), q, func() Worker {
		return WorkerFunc(func(b *Block) error {
			ids, err := b.Column(ColumnKey{"trace", KindID})
			if err != nil {
				return err
			}
			sizes, err := b.Column(ColumnKey{"head", KindInt})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range b.Len() {
				require.NotContains(t, out, string(ids.Bytes(i)))
				out[string(ids.Bytes(i))] = sizes.Int(i)
			}
			return nil
		})
	})
	require.NoError(t, err)
	return out
}

// TestGroupsAreWholeOrApart appends rows of groups in any order, flushes, merges,
// deletes and reopens, and checks that every row is shown once, that what was derived
// from a group that is shown as whole is true of all its rows, and that those of files tell it by their heads.
func TestGroupsAreWholeOrApart(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	fs := vfs.NewMem()
	db, err := Open(groupedOptions(fs))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	type kept struct{ id, stream string }
	var all []kept
	wholeSeen, headsSeen, merged := 0, 0, 0
	for step := range 120 {
		var rows []toyRow
		for range r.IntN(40) {
			row := toyRow{Time: r.Int64N(3) * dayNanos / 2, Stream: map[string]string{"s": string(rune('a' + r.IntN(3)))}}
			id := make([]byte, 16)
			binary.BigEndian.PutUint64(id[8:], uint64(step/12*20+r.IntN(30)+1))
			if r.IntN(10) > 0 {
				row.Fields = append(row.Fields, field("trace", ID(id)))
			} else {
				id = nil
			}
			all = append(all, kept{string(id), row.Stream["s"]})
			rows = append(rows, row)
		}
		_, err := db.Append(t.Context(), "t", toyPayload(t, rows...))
		require.NoError(t, err)
		switch r.IntN(8) {
		case 3:
			if step%3 == 0 {
				_, err := db.Delete(t.Context(), DeletionRequest{Tenant: "t", From: -1 << 62, To: 1 << 62, Filter: Equal{Ref: StreamRef("s"), Value: String("b")}})
				require.NoError(t, err)
				if r.IntN(2) == 0 {
					require.NoError(t, db.erase(t.Context()))
				}
				all = slices.DeleteFunc(all, func(k kept) bool { return k.stream == "b" })
			}
		case 4:
			for group := db.pickMerge(); group != nil; group = db.pickMerge() {
				require.NoError(t, db.merge(t.Context(), group))
				merged++
			}
		case 0, 1:
			require.NoError(t, db.Flush(t.Context()))
		case 2:
			require.NoError(t, db.Close())
			db, err = Open(groupedOptions(fs))
			require.NoError(t, err)
		}
		want := map[string]int64{}
		for _, k := range all {
			want[k.id]++
		}
		whole, apart := viewRows(t, db)
		inFiles := int32(len(db.parts["t"]))
		got := map[string]int64{}
		ordinals := map[[2]int64]string{}
		for _, row := range whole {
			got[row.id]++
			if row.id == "" {
				continue
			}
			require.Equal(t, want[row.id], row.size, "rows of group %x", row.id)
			key := [2]int64{int64(row.part), row.ordinal}
			if id, ok := ordinals[key]; ok {
				require.Equal(t, id, row.id, "two groups of one number")
			}
			ordinals[key] = row.id
		}
		wholeSeen += len(whole)
		told := map[string]int64{}
		for _, row := range whole {
			if row.id != "" && row.part < inFiles {
				told[row.id] = want[row.id]
			}
		}
		headsSeen += len(told)
		require.Equal(t, told, heads(t, db, slices.Sorted(maps.Keys(want))...))
		for _, row := range apart {
			got[row.id]++
		}
		require.Equal(t, want, got)
	}
	require.Greater(t, wholeSeen, 1000)
	require.Greater(t, headsSeen, 200)
	require.Positive(t, merged)
}
