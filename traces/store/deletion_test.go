package store_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/store"
	"belfry/traces/tracestest"
)

// TestDeletionsInJoinedTraces deletes spans out of the middle of traces that are
// joined: what is left has to look as if the others had never been, while they
// are only hidden, when they are gone, and after a restart.
func TestDeletionsInJoinedTraces(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 3 {
		dir := t.TempDir()
		s := open(t, dir)
		spans := brokenTraces(r, 40)
		for part := range slices.Chunk(spans, 1+r.IntN(200)) {
			_, err := s.Append(t.Context(), "t", traces.AppendTracesData(nil, part))
			require.NoError(t, err)
			if r.IntN(3) > 0 {
				require.NoError(t, s.Flush(t.Context()))
			}
		}
		doomed := traces.Compare{Field: traces.Intrinsic(traces.Name), Value: traces.String(spans[r.IntN(len(spans))].Name)}
		left := slices.DeleteFunc(slices.Clone(spans), func(span traces.Span) bool { return traces.Match(doomed, &span) })
		require.NotEmpty(t, left)
		require.Less(t, len(left), len(spans))
		memory := tracestest.NewMemory()
		_, err := memory.Append(t.Context(), "t", traces.AppendTracesData(nil, left))
		require.NoError(t, err)

		request := traces.DeleteRequest{Tenant: "t", From: 0, To: tracestest.Epoch * 2, Filter: doomed, Delay: time.Hour}
		hidden, err := s.Delete(t.Context(), request)
		require.NoError(t, err)
		compareStores(t, r, s, memory)
		_, err = s.CancelDeletion(t.Context(), "t", hidden.ID, false)
		require.NoError(t, err)

		request.Delay = 0
		accepted, err := s.Delete(t.Context(), request)
		require.NoError(t, err)
		waitForDeletion(t, s, accepted.ID)
		compareStores(t, r, s, memory)
		require.NoError(t, s.Close())
		compareStores(t, r, open(t, dir), memory)
	}
}

func waitForDeletion(t *testing.T, s *store.Store, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		d, err := s.Deletion(t.Context(), "t", id)
		return err == nil && !d.Ended.IsZero()
	}, 30*time.Second, time.Millisecond)
}
