package part

import (
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/vfs"
)

// TestHeadsComeFirst writes rows of 200 IDs over 20 blocks, of which one row each is the head.
func TestHeadsComeFirst(t *testing.T) {
	codec, err := encoding.NewCodec(1)
	require.NoError(t, err)
	t.Cleanup(codec.Close)
	mem := vfs.NewMem()
	f, err := mem.Create("p")
	require.NoError(t, err)
	w := NewWriter(f, codec, encoding.Fast, column.DefaultPageBytes)
	id, head := w.Column("id", column.ID, FlagIndexed), w.Column("head", column.Int, FlagHead)
	want := make([][]Place, 200)
	for block := range 20 {
		ids, heads := &column.Builder{Kind: column.ID}, &column.Builder{Kind: column.Int}
		times := make([]uint64, 100)
		for row := range times {
			n := (block*7 + row) % 200
			ids.AppendBytes(uint32(row), testID(n))
			place := Place{block, row}
			if n%20 == block && block%3 > 0 {
				heads.AppendNum(uint32(row), 1)
				want[n] = append([]Place{place}, want[n]...)
			} else {
				want[n] = append(want[n], place)
			}
		}
		require.NoError(t, w.WriteBlock(times, []Run{{"s", 100}}, []Values{{id, ids}, {head, heads}}))
	}
	_, err = w.Finish()
	require.NoError(t, err)
	r := open(t, mem, codec)
	for n := range want {
		places, err := r.FindID(&IO{}, r.FindColumn("id", column.ID), testID(n), nil)
		require.NoError(t, err)
		require.Equal(t, want[n], places)
	}
}
