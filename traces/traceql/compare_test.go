package traceql

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
)

// TestRareValuesMakeRoom: of too many values the half that was seen the least goes, of those seen
// as often the ones that came last.
func TestRareValuesMakeRoom(t *testing.T) {
	c := newComparison(1)
	f := c.field(traces.Field{Scope: traces.ScopeSpan, Name: "x"})
	value := func(i int) traces.Value { return traces.String(strconv.Itoa(i)) }
	for i := range maxCompareValues {
		f.count(value(i), 0)
	}
	for i := maxCompareValues - 100; i < maxCompareValues; i++ {
		f.count(value(i), 1) // frequent, and late
	}
	f.count(value(maxCompareValues), 0) // does not fit any more, but for the next there is room
	require.Len(t, f.values, maxCompareValues/2)
	require.Equal(t, maxCompareValues, c.cells)
	for i := maxCompareValues - 100; i < maxCompareValues; i++ {
		require.Contains(t, f.values, strconv.Itoa(i))
	}
	require.Contains(t, f.values, "0")
	require.NotContains(t, f.values, strconv.Itoa(maxCompareValues-101))
	require.Equal(t, []int64{maxCompareValues + 1, 100}, f.totals)

	other := c.field(traces.Field{Scope: traces.ScopeSpan, Name: "y"})
	c.cells = maxCompareCells // by other fields
	other.count(value(1), 0)
	other.count(value(2), 0)
	require.Empty(t, other.values)
	require.Equal(t, []int64{2, 0}, other.totals)
}

func TestRanksAreSelected(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		ranks := make([]uint64, 1+r.IntN(50))
		for i := range ranks {
			ranks[i] = r.Uint64() >> r.IntN(64)
		}
		sorted := slices.Sorted(slices.Values(ranks))
		n := r.IntN(len(ranks))
		require.Equal(t, sorted[n], selectRank(ranks, n))
	}
}

// TestNumbersAreNumbered: whatever integers lie in a column, each row has the number of its value.
func TestNumbersAreNumbered(t *testing.T) {
	for name, nums := range map[string][]int64{
		"near": {5, 3, 5, 4, -2, 3}, "at the ends": {-1 << 63, 1<<63 - 1, -1 << 63, 0}, "far": {1, 1 << 40, 1, 7},
		"as far as may be": {100, 100 + mostSmall - 1, 100}, "one more": {100, 100 + mostSmall, 100}, "none": {},
	} {
		t.Run(name, func(t *testing.T) {
			words := make([]uint64, len(nums))
			for i, n := range nums {
				words[i] = uint64(n)
			}
			var k groupKeys
			for range 2 { // the room of the first time is used again
				k.read(&traces.Column{Kind: traces.KindInt, Nums: words}, len(words))
				require.Len(t, k.ids, len(nums))
				for i, n := range nums {
					require.Equal(t, traces.Int(n), k.values[k.ids[i]])
				}
			}
			k.read(nil, 3)
			require.Equal(t, []uint32{0, 0, 0}, k.ids)
		})
	}
}
