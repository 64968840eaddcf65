package traceql

import (
	"slices"

	"belfry/traces"
)

// onColumns reports whether an expression can be decided on columns: its fields
// are those of the span, its place, or its trace.
func onColumns(e Expr) bool {
	return !slices.ContainsFunc(fieldsOf(e, nil), func(ref FieldRef) bool { return ref.Parent })
}

// refOnColumns reports whether a field has one value for a span, in a column.
func refOnColumns(ref FieldRef) bool { return !ref.Parent && !isMulti(ref.Field) }

// fieldsOf adds the fields of an expression to refs, each once.
func fieldsOf(e Expr, refs []FieldRef) []FieldRef {
	switch e := e.(type) {
	case FieldRef:
		if !slices.Contains(refs, e) {
			refs = append(refs, e)
		}
	case Unary:
		refs = fieldsOf(e.Of, refs)
	case Match:
		refs = fieldsOf(e.Of, refs)
	case Binary:
		refs = fieldsOf(e.Right, fieldsOf(e.Left, refs))
	}
	return refs
}

// columnEval evaluates expressions on the rows of traces.Columns. It is used by
// one goroutine, and pointed at columns after columns.
type columnEval struct {
	cols    traces.Columns
	columns map[traces.Field]*traces.Column
	n       int

	multi []traces.Field // fields of events and links, of which a span has several
	spans []traces.Span  // with these fields, once they are needed
}

// newColumnEval returns an evaluator of expressions that read the given fields.
func newColumnEval(refs []FieldRef) *columnEval {
	e := &columnEval{}
	for _, ref := range refs {
		if isMulti(ref.Field) {
			e.multi = append(e.multi, ref.Field)
		}
	}
	return e
}

func (e *columnEval) reset(c traces.Columns) {
	e.cols, e.n = c, c.Len()
	if e.columns == nil {
		e.columns = map[traces.Field]*traces.Column{}
	}
	clear(e.columns)
	e.spans = nil
}

func (e *columnEval) column(f traces.Field) (*traces.Column, error) {
	if c, ok := e.columns[f]; ok {
		return c, nil
	}
	c, err := e.cols.Column(f)
	if err == nil {
		e.columns[f] = c
	}
	return c, err
}

// load reads the columns of fields, so that rowAt can give their values.
func (e *columnEval) load(refs []FieldRef) (err error) {
	for _, ref := range refs {
		if isMulti(ref.Field) && e.spans == nil {
			if e.spans, err = e.cols.Spans(e.multi); err != nil {
				return err
			}
		}
		if _, err := e.column(ref.Field); err != nil {
			return err
		}
	}
	return nil
}

// at returns a row of what is loaded.
func (e *columnEval) at(r *rowAt) spanAt {
	if e.spans == nil {
		return spanAt{row: r}
	}
	return spanAt{row: r, span: &e.spans[r.i]}
}

// valuesAt returns the values of expressions, row by row.
func (e *columnEval) valuesAt(rows []int32, exprs []Expr) ([]Static, error) {
	if len(exprs) == 0 {
		return nil, nil
	}
	for _, x := range exprs {
		if err := e.load(fieldsOf(x, nil)); err != nil {
			return nil, err
		}
	}
	out := make([]Static, 0, len(rows)*len(exprs))
	r := &rowAt{e: e}
	for _, row := range rows {
		r.i = int(row)
		for _, x := range exprs {
			out = append(out, e.at(r).eval(x))
		}
	}
	return out, nil
}

// rowAt is a row of columns that are loaded.
type rowAt struct {
	e *columnEval
	i int
}

func (r *rowAt) value(ref FieldRef) traces.Value {
	if c := r.e.columns[ref.Field]; c != nil {
		return c.Value(r.i)
	}
	return traces.Value{}
}

// oneValue is a row of which one field matters.
type oneValue struct{ v traces.Value }

func (o *oneValue) value(FieldRef) traces.Value { return o.v }

// mask returns the rows for which a condition is true; nil means all.
func (e *columnEval) mask(x Expr) ([]bool, error) {
	if x == nil {
		return nil, nil
	}
	if b, ok := x.(Binary); ok && (b.Op == "&&" || b.Op == "||") {
		left, err := e.mask(b.Left)
		if err != nil {
			return nil, err
		}
		right, err := e.mask(b.Right)
		if err != nil {
			return nil, err
		}
		switch {
		case b.Op == "&&" && left == nil:
			return right, nil
		case b.Op == "&&" && right == nil:
			return left, nil
		case left == nil || right == nil:
			return nil, nil
		}
		for i := range left {
			if b.Op == "&&" {
				left[i] = left[i] && right[i]
			} else {
				left[i] = left[i] || right[i]
			}
		}
		return left, nil
	}
	refs := fieldsOf(x, nil)
	if err := e.load(refs); err != nil {
		return nil, err
	}
	out := make([]bool, e.n)
	switch {
	case len(refs) == 0:
		holds := spanAt{row: &oneValue{}}.holds(x)
		for i := range out {
			out[i] = holds
		}
	case len(refs) == 1 && !isMulti(refs[0].Field):
		e.ofOne(x, refs[0], out)
	default:
		r := &rowAt{e: e}
		for r.i = range out {
			out[r.i] = e.at(r).holds(x)
		}
	}
	return out, nil
}

// ofOne decides a condition on one field, once for each distinct value.
func (e *columnEval) ofOne(x Expr, ref FieldRef, out []bool) {
	value := &oneValue{}
	s := spanAt{row: value}
	c := e.columns[ref.Field]
	if c == nil {
		holds := s.holds(x)
		for i := range out {
			out[i] = holds
		}
		return
	}
	if c.Nums == nil {
		verdicts := make([]bool, len(c.Dict))
		for id, v := range c.Dict {
			value.v = v
			verdicts[id] = s.holds(x)
		}
		for i, id := range c.IDs {
			out[i] = verdicts[id]
		}
		return
	}
	if compareInts(x, ref, c, out) {
		return
	}
	var last uint64
	known, lastHolds := false, false
	for i, n := range c.Nums {
		if !c.Has(i) {
			value.v = traces.Value{}
			out[i] = s.holds(x)
			continue
		}
		if !known || n != last {
			value.v = traces.NumValue(c.Kind, n)
			known, last, lastHolds = true, n, s.holds(x)
		}
		out[i] = lastHolds
	}
}

// compareInts decides field op integer where the values are integers; false if
// the condition is another one.
func compareInts(x Expr, ref FieldRef, c *traces.Column, out []bool) bool {
	b, ok := x.(Binary)
	if !ok || c.Kind != traces.KindInt || c.Present != nil {
		return false
	}
	left, isRef := b.Left.(FieldRef)
	bound, isStatic := b.Right.(Static)
	op, isCompare := compareOps[b.Op]
	if !isRef || !isStatic || !isCompare || left != ref || bound.Value.Kind() != traces.KindInt {
		return false
	}
	if t := ref.fieldType(); t != bound.Type && (t != typeUnknown && !t.isNumber() || !bound.Type.isNumber()) {
		return false
	}
	n := bound.Value.Int()
	for i, word := range c.Nums {
		v := int64(word)
		switch op {
		case traces.OpEqual:
			out[i] = v == n
		case traces.OpNotEqual:
			out[i] = v != n
		case traces.OpLess:
			out[i] = v < n
		case traces.OpLessEqual:
			out[i] = v <= n
		case traces.OpGreater:
			out[i] = v > n
		case traces.OpGreaterEqual:
			out[i] = v >= n
		}
	}
	return true
}

// plainFields are the fields of references.
func plainFields(refs []FieldRef) []traces.Field {
	out := make([]traces.Field, 0, len(refs))
	for _, r := range refs {
		out = append(out, r.Field)
	}
	return out
}
