package column

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/internal/columnar/encoding"
)

// keptPages keep what pages of the head unpack to when they are missed again.
type keptPages struct {
	memPages
	missed map[int]bool
	kept   map[int][]byte
	hits   int
}

func (k *keptPages) Unpacked(off int, dst []byte) (found, again bool) {
	if b := k.kept[off]; len(b) == len(dst) && b != nil {
		k.hits++
		copy(dst, b)
		return true, false
	}
	again, k.missed[off] = k.missed[off], true
	return false, again
}

func (k *keptPages) KeepUnpacked(off int, b []byte) { k.kept[off] = bytes.Clone(b) }

// TestPagesOfDictionariesAreUnpackedOnce picks rows of a dictionary of several pages time and again.
func TestPagesOfDictionariesAreUnpackedOnce(t *testing.T) {
	c := codec(t)
	const n = 8000
	value := func(row int) string { return fmt.Sprintf("%s %d", strings.Repeat("the same again ", 20), row%250) }
	b := Builder{Kind: String}
	for row := range n {
		b.AppendBytes(uint32(row), []byte(value(row)))
	}
	chunk, meta := NewEncoder(c).Append(nil, &b, n, encoding.Fast)
	require.EqualValues(t, chunkDict, chunk[0]&15)
	src := &keptPages{memPages: memPages{chunk, true}, missed: map[int]bool{}, kept: map[int][]byte{}}
	rows := []uint32{0, 7, 200, 4001, n - 1}
	for round := range 4 {
		hits := src.hits
		a := &Arena{}
		v, _, err := Pick(chunk[:meta.HeadLen], String, n, rows, src, c, a)
		require.NoError(t, err)
		for i, row := range rows {
			require.Equal(t, value(int(row)), string(v.Bytes(i)))
		}
		if round < 2 {
			require.Equal(t, hits, src.hits)
			continue
		}
		require.Greater(t, src.hits, hits+1, "of each page")
	}
	require.Greater(t, len(src.kept), 1)
}
