package traceql

import (
	"cmp"
	"slices"
	"sort"

	"belfry/traces"
)

// Positions are spans of a trace, ascending and distinct. They are read-only.
type positions []int32

func union(a, b positions) positions {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
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

func intersection(a, b positions) positions {
	var out positions
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return out
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

// nest is the structure of spans as nested sets, by position. A span's parent is
// named by its left number; that of a top is not positive.
type nest struct{ left, right, parent []int32 }

func nestOf(t *traces.Tree) *nest {
	n := &nest{left: t.Left, right: t.Right, parent: make([]int32, len(t.Spans))}
	for i := range n.parent {
		n.parent[i] = t.ParentLeft(int32(i))
	}
	return n
}

// relate returns the spans of right that stand in the relation to some span of
// left: ">" and ">>" children and descendants of it, "<" and "<<" its parent and
// ancestors, "~" siblings other than itself. "!" gives those that do not, "&"
// the spans of both sides that have a partner.
func (n *nest) relate(op string, left, right positions) positions {
	switch op[0] {
	case '!':
		return without(right, n.relate(op[1:], left, right))
	case '&':
		return union(n.relate(op[1:], left, right), n.relate(inverse[op[1:]], right, left))
	}
	if len(left) == 0 || len(right) == 0 {
		return nil
	}
	switch op {
	case ">":
		return n.children(left, right)
	case "<":
		return n.parents(left, right)
	case ">>":
		return n.descendants(left, right)
	case "<<":
		return n.ancestors(left, right)
	}
	return n.siblings(left, right)
}

var inverse = map[string]string{">": "<", "<": ">", ">>": "<<", "<<": ">>", "~": "~"}

// numbers returns of(p) for all positions, ascending.
func numbers(spans positions, of []int32) []int32 {
	out := make([]int32, len(spans))
	for i, p := range spans {
		out[i] = of[p]
	}
	if !slices.IsSorted(out) {
		slices.Sort(out)
	}
	return out
}

func (n *nest) children(left, right positions) positions {
	lefts := numbers(left, n.left)
	var out positions
	for _, r := range right {
		if _, found := slices.BinarySearch(lefts, n.parent[r]); found {
			out = append(out, r)
		}
	}
	return out
}

func (n *nest) parents(left, right positions) positions {
	wanted := numbers(left, n.parent)
	var out positions
	for _, r := range right {
		if _, found := slices.BinarySearch(wanted, n.left[r]); found {
			out = append(out, r)
		}
	}
	return out
}

// descendants sweeps over both sides in the order of their left numbers. Nested
// sets contain each other or are apart, so that r lies within some l before it
// if and only if one of these ends after r begins.
func (n *nest) descendants(left, right positions) positions {
	l, r := n.byLeft(left), n.byLeft(right)
	var out positions
	furthest := int32(0)
	for _, p := range r {
		for len(l) > 0 && n.left[l[0]] < n.left[p] {
			furthest = max(furthest, n.right[l[0]])
			l = l[1:]
		}
		if furthest > n.left[p] {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// byLeft orders spans by their left numbers.
func (n *nest) byLeft(spans positions) positions {
	byLeft := func(a, b int32) int { return cmp.Compare(n.left[a], n.left[b]) }
	if slices.IsSortedFunc(spans, byLeft) {
		return spans
	}
	return slices.SortedFunc(slices.Values(spans), byLeft)
}

func (n *nest) ancestors(left, right positions) positions {
	begins := numbers(left, n.left)
	var out positions
	for _, r := range right {
		i := sort.Search(len(begins), func(i int) bool { return begins[i] > n.left[r] })
		if i < len(begins) && begins[i] < n.right[r] {
			out = append(out, r)
		}
	}
	return out
}

func (n *nest) siblings(left, right positions) positions {
	parents := numbers(left, n.parent)
	var out positions
	for _, r := range right {
		parent := n.parent[r]
		if parent <= 0 {
			continue
		}
		first, found := slices.BinarySearch(parents, parent)
		if !found {
			continue
		}
		others := 0
		for ; first < len(parents) && parents[first] == parent && others < 2; first++ {
			others++
		}
		if _, itself := slices.BinarySearch(left, r); itself {
			others--
		}
		if others > 0 {
			out = append(out, r)
		}
	}
	return out
}
