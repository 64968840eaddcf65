package traceql

import (
	"cmp"
	"slices"
	"sort"

	"belfry/traces"
)

// Positions are spans of a tree, ascending and distinct.
type positions []int32

func union(a, b positions) positions {
	out := make(positions, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func without(a, b positions) positions {
	var out positions
	for _, p := range a {
		for len(b) > 0 && b[0] < p {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != p {
			out = append(out, p)
		}
	}
	return out
}

// relate returns the spans of right that stand in the relation to some span of
// left: ">" and ">>" children and descendants of it, "<" and "<<" its parent and
// ancestors, "~" siblings other than itself. "!" gives those that do not, "&"
// the spans of both sides that have a partner.
func relate(t *traces.Tree, op string, left, right positions) positions {
	switch op[0] {
	case '!':
		return without(right, relate(t, op[1:], left, right))
	case '&':
		return union(relate(t, op[1:], left, right), relate(t, inverse[op[1:]], right, left))
	}
	switch op {
	case ">":
		return children(t, left, right)
	case "<":
		return parents(t, left, right)
	case ">>":
		return descendants(t, left, right)
	case "<<":
		return ancestors(t, left, right)
	}
	return siblings(t, left, right)
}

var inverse = map[string]string{">": "<", "<": ">", ">>": "<<", "<<": ">>", "~": "~"}

func children(t *traces.Tree, left, right positions) positions {
	var out positions
	for _, r := range right {
		if p := t.Parent[r]; p >= 0 {
			if _, found := slices.BinarySearch(left, p); found {
				out = append(out, r)
			}
		}
	}
	return out
}

func parents(t *traces.Tree, left, right positions) positions {
	isParent := make(map[int32]struct{}, len(left))
	for _, l := range left {
		isParent[t.Parent[l]] = struct{}{}
	}
	var out positions
	for _, r := range right {
		if _, found := isParent[r]; found {
			out = append(out, r)
		}
	}
	return out
}

// descendants sweeps over both sides in the order of their left numbers. Nested
// sets contain each other or are apart, so that r lies within some l before it
// if and only if one of these ends after r begins.
func descendants(t *traces.Tree, left, right positions) positions {
	byLeft := func(a, b int32) int { return cmp.Compare(t.Left[a], t.Left[b]) }
	l, r := slices.SortedFunc(slices.Values(left), byLeft), slices.SortedFunc(slices.Values(right), byLeft)
	var out positions
	furthest := int32(0)
	for _, p := range r {
		for len(l) > 0 && t.Left[l[0]] < t.Left[p] {
			furthest = max(furthest, t.Right[l[0]])
			l = l[1:]
		}
		if furthest > t.Left[p] {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

func ancestors(t *traces.Tree, left, right positions) positions {
	begins := make([]int32, len(left))
	for i, l := range left {
		begins[i] = t.Left[l]
	}
	slices.Sort(begins)
	var out positions
	for _, r := range right {
		i := sort.Search(len(begins), func(i int) bool { return begins[i] > t.Left[r] })
		if i < len(begins) && begins[i] < t.Right[r] {
			out = append(out, r)
		}
	}
	return out
}

func siblings(t *traces.Tree, left, right positions) positions {
	count := make(map[int32]int, len(left))
	for _, l := range left {
		if p := t.Parent[l]; p >= 0 {
			count[p]++
		}
	}
	var out positions
	for _, r := range right {
		others := count[t.Parent[r]]
		if _, itself := slices.BinarySearch(left, r); itself {
			others--
		}
		if t.Parent[r] >= 0 && others > 0 {
			out = append(out, r)
		}
	}
	return out
}
