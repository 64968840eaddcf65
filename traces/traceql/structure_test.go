package traceql

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
)

// slowRelation follows parents one by one.
func slowRelation(t *traces.Tree, op string, l, r int32) bool {
	above := func(a, b int32) bool {
		for b = t.Parent[b]; b >= 0; b = t.Parent[b] {
			if b == a {
				return true
			}
		}
		return false
	}
	switch op {
	case ">":
		return t.Parent[r] == l
	case "<":
		return t.Parent[l] == r
	case ">>":
		return above(l, r)
	case "<<":
		return above(r, l)
	}
	return l != r && t.Parent[l] >= 0 && t.Parent[l] == t.Parent[r]
}

func slowRelate(t *traces.Tree, op string, left, right positions) positions {
	var out positions
	some := func(list positions, related func(q int32) bool) bool {
		return slices.ContainsFunc(list, related)
	}
	plain := op[len(op)-1:]
	if len(op) > 1 && op[len(op)-2] == op[len(op)-1] {
		plain = op[len(op)-2:]
	}
	for _, r := range right {
		if some(left, func(l int32) bool { return slowRelation(t, plain, l, r) }) != (op[0] == '!') {
			out = append(out, r)
		}
	}
	if op[0] == '&' {
		for _, l := range left {
			if some(right, func(r int32) bool { return slowRelation(t, plain, l, r) }) && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
		slices.Sort(out)
	}
	return out
}

// randomTree may have cycles, missing parents and several roots.
func randomTree(r *rand.Rand, n int) *traces.Tree {
	resource := &traces.Resource{}
	spans := make([]traces.Span, n)
	for i := range spans {
		spans[i] = traces.Span{Start: r.Int64N(50), Duration: r.Int64N(50), Resource: resource}
		binary.BigEndian.PutUint64(spans[i].ID[:], uint64(i+1))
		if r.IntN(8) > 0 {
			binary.BigEndian.PutUint64(spans[i].ParentID[:], uint64(1+r.IntN(n+1)))
		}
	}
	return traces.NewTree(spans)
}

func TestStructureAgainstSlowEvaluator(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		tree := randomTree(r, 1+r.IntN(20))
		var left, right positions
		for i := range tree.Spans {
			if r.IntN(3) == 0 {
				left = append(left, int32(i))
			}
			if r.IntN(3) == 0 {
				right = append(right, int32(i))
			}
		}
		for _, op := range structuralOps {
			want, got := slowRelate(tree, op, left, right), nestOf(tree).relate(op, left, right)
			require.ElementsMatch(t, want, got, "%s of %v and %v with parents %v", op, left, right, tree.Parent)
			require.True(t, slices.IsSorted(got))
		}
	}
}

func TestTreeReachesEverySpanOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		tree := randomTree(r, 1+r.IntN(30))
		numbers := map[int32]bool{}
		for i := range tree.Spans {
			require.Less(t, tree.Left[i], tree.Right[i])
			numbers[tree.Left[i]], numbers[tree.Right[i]] = true, true
			if p := tree.Parent[i]; p >= 0 {
				require.Less(t, tree.Left[p], tree.Left[i])
				require.Greater(t, tree.Right[p], tree.Right[i])
			}
		}
		require.Len(t, numbers, 2*len(tree.Spans))
	}
}
