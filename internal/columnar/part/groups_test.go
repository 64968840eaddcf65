package part

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzGroups reads what is known of groups from any bytes.
func FuzzGroups(f *testing.F) {
	for _, g := range []Groups{{}, {Joined: true}, {Joined: true, Apart: []uint64{1, 2, 1 << 40, 1<<64 - 1}}} {
		f.Add(g.append(nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := &Reader{}
		if err := r.parseGroups(raw); err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		require.True(t, slices.IsSorted(r.Groups.Apart))
		again := &Reader{}
		require.NoError(t, again.parseGroups(r.Groups.append(nil)))
		require.Equal(t, r.Groups.Joined, again.Groups.Joined)
		require.Len(t, again.Groups.Apart, len(r.Groups.Apart))
	})
}
