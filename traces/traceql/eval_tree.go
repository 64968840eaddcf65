package traceql

import "belfry/traces"

// treeTable are the spans of a trace that is in memory.
type treeTable struct {
	tree  *traces.Tree
	nests *nest // once it is needed
}

func (t *treeTable) filter(cond Expr, among positions) positions {
	var out positions
	for _, p := range among {
		if at(t.tree, p).holds(cond) {
			out = append(out, p)
		}
	}
	return out
}

func (t *treeTable) value(e Expr, pos int32) Static { return at(t.tree, pos).eval(e) }

func (t *treeTable) nest() *nest {
	if t.nests == nil {
		t.nests = nestOf(t.tree)
	}
	return t.nests
}

// wholeTrace evaluates pipelines on a trace. They see only spans that belong to
// [from, to); structure is that of the whole trace.
type wholeTrace struct {
	evaluator
	tree *traces.Tree
	seen positions
}

func newWholeTrace(tree *traces.Tree, from, to int64) *wholeTrace {
	w := &wholeTrace{evaluator: evaluator{&treeTable{tree: tree}}, tree: tree, seen: make(positions, 0, len(tree.Spans))}
	for i := range tree.Spans {
		if tree.Spans[i].Overlaps(from, to) {
			w.seen = append(w.seen, int32(i))
		}
	}
	return w
}

// spansets returns what a pipeline gives.
func (w *wholeTrace) spansets(p Pipeline) []spanset { return w.run(p, w.seen) }

// anchor returns the start of the newest span that a pipeline's first stage selects.
func (w *wholeTrace) anchor(p Pipeline) (start int64, ok bool) {
	for _, at := range w.selected(p[:min(1, len(p))], w.seen) {
		if s := w.tree.Spans[at].Start; !ok || s > start {
			start, ok = s, true
		}
	}
	return start, ok
}
