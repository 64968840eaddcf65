package traces_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
)

// TestSelfTimesAgainstCounting counts, nanosecond by nanosecond, when a span ran and none of its children did.
func TestSelfTimesAgainstCounting(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	for range 300 {
		n := 1 + r.IntN(40)
		spans := make([]traces.Span, n)
		for i := range spans {
			s := &spans[i]
			binary.BigEndian.PutUint64(s.ID[:], uint64(i+1))
			binary.BigEndian.PutUint64(s.ParentID[:], uint64(r.IntN(n+2))) // cycles and missing parents, too
			s.Start, s.Duration = r.Int64N(100), r.Int64N(60)-3
		}
		tree := traces.NewTree(slices.Clone(spans))
		for i := range tree.Spans {
			s := &tree.Spans[i]
			want := min(s.Duration, 0)
			for at := s.Start; at < s.End(); at++ {
				covered := false
				for c := range tree.Spans {
					child := &tree.Spans[c]
					covered = covered || tree.Parent[c] == int32(i) && child.Start <= at && at < child.End()
				}
				if !covered {
					want++
				}
			}
			require.Equal(t, want, tree.SelfTime[i])
		}
	}
}
