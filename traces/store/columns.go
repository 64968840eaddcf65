package store

import (
	"context"
	"iter"

	"belfry/internal/columnar"
	"belfry/traces"
)

var _ traces.ColumnQuerier = (*Store)(nil)

// ScanColumns hands spans over as columns; see traces.ColumnQuerier.
func (s *Store) ScanColumns(ctx context.Context, tenant string, q traces.SpanQuery, newVisitor func() traces.ColumnVisitor) (traces.Stats, error) {
	query := engineQuery(tenant, q)
	query.Limits = s.limits(q.Limits)
	resources := s.newResources()
	stats, err := s.db.Scan(ctx, query, func() columnar.Worker {
		return &columnWorker{columns: columns{resources: resources}, visit: newVisitor(), q: q}
	})
	return statsOf(stats), err
}

// columnWorker feeds a traces.ColumnVisitor from blocks.
type columnWorker struct {
	columns columns
	visit   traces.ColumnVisitor
	q       traces.SpanQuery
}

// Block hands over a block.
func (w *columnWorker) Block(b *columnar.Block) error {
	w.columns.block, w.columns.taken, w.columns.dicts = b, 0, w.columns.dicts[:0]
	clear(w.columns.known)
	if !w.q.ByStart {
		if err := w.columns.overlapping(w.q.From, w.q.To); err != nil {
			return err
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return stop(w.visit(&w.columns))
}

// columns are the selected rows of a block as traces.Columns.
type columns struct {
	block     *columnar.Block
	resources *resources
	table     func() *traceTable // nil outside of a joined part
	known     map[traces.Field]*traces.Column

	ids   []uint32          // room for the IDs of columns, until the next block
	taken int               // of it
	dicts []traces.Value    // the same for dictionaries
	texts map[string]string // of small dictionaries: every block has the same ones
}

const (
	// smallDict is how many entries a dictionary has at most that other blocks are likely to have, too.
	smallDict = 256
	// maxTexts bounds the texts that are kept for the next block.
	maxTexts = 4096
)

// dict returns the nil value with room for n more that is good until the next block.
func (c *columns) dict(n int) []traces.Value {
	at := len(c.dicts)
	if cap(c.dicts)-at <= n {
		at, c.dicts = 0, make([]traces.Value, 0, max(n+1, 2*cap(c.dicts)))
	}
	c.dicts = c.dicts[:at+n+1]
	out := c.dicts[at : at+1 : at+n+1]
	out[0] = traces.Value{}
	return out
}

// entry returns a value of a small dictionary, of which the next block has the same.
func (c *columns) entry(kind columnar.Kind, b []byte) traces.Value {
	if kind != columnar.KindString {
		return byteValue(kind, b)
	}
	text, known := c.texts[string(b)]
	if !known {
		text = string(b)
		if c.texts == nil {
			c.texts = map[string]string{}
		}
		if len(c.texts) < maxTexts {
			c.texts[text] = text
		}
	}
	return traces.String(text)
}

// uint32s returns n zeros that are good until the next block.
func (c *columns) uint32s(n int) []uint32 {
	c.taken += n
	if c.taken > len(c.ids) {
		c.ids, c.taken = make([]uint32, max(c.taken, 2*len(c.ids))), n
	}
	out := c.ids[c.taken-n : c.taken : c.taken]
	clear(out)
	return out
}

// overlapping leaves out rows that do not belong to [from, to).
func (c *columns) overlapping(from, to int64) error {
	times := c.block.Times()
	first := -1
	for i, t := range times {
		if t < from || t >= to {
			first = i
			break
		}
	}
	if first < 0 {
		return nil
	}
	durations, err := c.block.Column(columnar.ColumnKey{Name: nameDuration, Kind: columnar.KindInt})
	if err != nil {
		return err
	}
	keep := make([]uint32, 0, len(times))
	for i, t := range times {
		span := traces.Span{Start: t}
		if durations != nil {
			span.Duration = durations.Int(i)
		}
		if span.Overlaps(from, to) {
			keep = append(keep, uint32(i))
		}
	}
	if len(keep) < len(times) {
		c.block.Keep(keep)
	}
	return nil
}

// Len implements traces.Columns.
func (c *columns) Len() int { return c.block.Len() }

// Starts implements traces.Columns.
func (c *columns) Starts() []int64 { return c.block.Times() }

// Place implements traces.Columns.
func (c *columns) Place(i int) traces.Place { return traces.Place(c.block.Place(i)) }

// Attributes implements traces.Columns.
func (c *columns) Attributes() ([]traces.Field, error) {
	keys, err := c.block.Columns()
	if err != nil {
		return nil, err
	}
	var out []traces.Field
	for _, key := range keys { // sorted by name
		if name, ok := attributeKey(key.Name); ok {
			if f := (traces.Field{Scope: traces.ScopeSpan, Name: name}); len(out) == 0 || out[len(out)-1] != f {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

// Resources implements traces.Columns.
func (c *columns) Resources() iter.Seq2[*traces.Resource, [2]int] {
	return func(yield func(*traces.Resource, [2]int) bool) {
		for stream, run := range c.block.StreamRuns() {
			if !yield(c.resources.of(stream), run) {
				return
			}
		}
	}
}

// Sample implements traces.Columns.
func (c *columns) Sample(f traces.Field, n int) (*traces.Sample, error) {
	var found *columnar.ColumnKey
	for kind := columnar.KindString; kind <= columnar.KindJSON; kind++ {
		if key := (columnar.ColumnKey{Name: attributeColumn(f.Name), Kind: kind}); c.block.Has(key) {
			if found != nil {
				return nil, nil
			}
			found = &key
		}
	}
	if found == nil {
		return nil, nil
	}
	rows := make([]uint32, 0, c.Len()/n+1)
	for i := 0; i < c.Len(); i += n {
		rows = append(rows, uint32(i))
	}
	present, v, err := c.block.Sample(*found, rows)
	if err != nil || v == nil {
		return nil, err
	}
	return &traces.Sample{Column: c.columnOf(v), Present: present}, nil
}

// IDs implements traces.Columns.
func (c *columns) IDs(i int) (trace traces.TraceID, span traces.SpanID, err error) {
	for _, id := range []struct {
		name string
		into []byte
	}{{nameTraceID, trace[:]}, {nameSpanID, span[:]}} {
		v, err := c.block.Column(columnar.ColumnKey{Name: id.name, Kind: columnar.KindID})
		if err != nil {
			return trace, span, err
		}
		if v != nil {
			copyID(id.into, v.Bytes(i))
		}
	}
	return trace, span, nil
}

// Spans implements traces.Columns.
func (c *columns) Spans(fields []traces.Field) ([]traces.Span, error) {
	r := reader{wanted: wantedOf(fields), resources: c.resources}
	return r.read(c.block)
}

// Column implements traces.Columns.
func (c *columns) Column(f traces.Field) (*traces.Column, error) {
	if col, ok := c.known[f]; ok {
		return col, nil
	}
	col, err := c.read(f)
	if err != nil {
		return nil, err
	}
	if c.known == nil {
		c.known = map[traces.Field]*traces.Column{}
	}
	c.known[f] = col
	return col, nil
}

func (c *columns) read(f traces.Field) (*traces.Column, error) {
	switch f.Scope {
	case traces.ScopeSpan:
		return c.attribute(f.Name)
	case traces.ScopeResource, traces.ScopeInstrumentation:
		return c.shared(f), nil
	case traces.ScopeAny:
		span, err := c.attribute(f.Name)
		shared := c.shared(traces.Field{Scope: traces.ScopeResource, Name: f.Name})
		switch {
		case err != nil || shared == nil:
			return span, err
		case span == nil:
			return shared, nil
		}
		return c.merged(span, shared), nil
	case traces.ScopeIntrinsic:
		return c.intrinsic(f)
	}
	return nil, nil
}

func (c *columns) intrinsic(f traces.Field) (*traces.Column, error) {
	switch f.Name {
	case traces.InstrumentationName, traces.InstrumentationVersion:
		return c.shared(f), nil
	case traces.ChildCount:
		return c.number(nameChildCount, 0)
	case traces.SelfTime:
		return c.selfTime()
	case traces.NestedSetParent:
		return c.number(nameParentLeft, -1)
	case traces.NestedSetLeft:
		return c.vector(nameLeft, columnar.KindInt)
	case traces.NestedSetRight:
		return c.vector(nameRight, columnar.KindInt)
	case traces.TraceOrdinal:
		return c.vector(nameOrdinal, columnar.KindInt)
	case traces.TraceDuration, traces.RootName, traces.RootServiceName:
		return c.ofTrace(f)
	}
	ref, ok := intrinsicRefs[f.Name]
	if !ok {
		return nil, nil
	}
	return c.vector(ref.Name, ref.Kind)
}

// number returns an Int column with a value for rows that have none stored.
func (c *columns) number(name string, missing int64) (*traces.Column, error) {
	v, err := c.block.Column(columnar.ColumnKey{Name: name, Kind: columnar.KindInt})
	if err != nil {
		return nil, err
	}
	out := &traces.Column{Kind: traces.KindInt, Nums: make([]uint64, c.Len())}
	for i := range out.Nums {
		if v != nil && v.Has(i) {
			out.Nums[i] = uint64(v.Int(i))
		} else {
			out.Nums[i] = uint64(missing)
		}
	}
	return out, nil
}

// selfTime returns what is stored of spans with children, and the durations of those without. A part
// of an earlier release has nothing stored: of its spans with children nothing is known.
func (c *columns) selfTime() (*traces.Column, error) {
	var v [3]*columnar.Vector
	for i, name := range []string{nameSelfTime, nameChildCount, nameDuration} {
		var err error
		if v[i], err = c.block.Column(columnar.ColumnKey{Name: name, Kind: columnar.KindInt}); err != nil {
			return nil, err
		}
	}
	self, children, durations := v[0], v[1], v[2]
	n := c.Len()
	out := &traces.Column{Kind: traces.KindInt, Nums: make([]uint64, n)}
	present, all := make([]uint64, (n+63)/64), true
	for i := range out.Nums {
		switch {
		case self != nil && self.Has(i):
			out.Nums[i] = uint64(self.Int(i))
		case children != nil && children.Has(i):
			all = false
			continue
		case durations != nil && durations.Has(i):
			out.Nums[i] = uint64(durations.Int(i))
		}
		present[i>>6] |= 1 << (uint(i) & 63)
	}
	if !all {
		out.Present = present
	}
	return out, nil
}

func (c *columns) vector(name string, kind columnar.Kind) (*traces.Column, error) {
	v, err := c.block.Column(columnar.ColumnKey{Name: name, Kind: kind})
	if err != nil || v == nil || v.Count() == 0 {
		return nil, err
	}
	return c.columnOf(v), nil
}

// columnOf shows a vector as a column.
func (c *columns) columnOf(v *columnar.Vector) *traces.Column {
	switch v.Kind() {
	case columnar.KindInt:
		return &traces.Column{Kind: traces.KindInt, Nums: v.Nums(), Present: v.Present()}
	case columnar.KindFloat:
		return &traces.Column{Kind: traces.KindFloat, Nums: v.Nums(), Present: v.Present()}
	case columnar.KindBool:
		return &traces.Column{Kind: traces.KindBool, Nums: v.Nums(), Present: v.Present()}
	}
	out := &traces.Column{IDs: c.uint32s(v.Len())}
	if n := v.DictLen(); n > 0 {
		out.Dict = c.dictOf(v, n, out.IDs)
		return out
	}
	out.Dict = c.dict(v.Count())
	for i := range out.IDs {
		if v.Has(i) {
			out.IDs[i] = uint32(len(out.Dict))
			out.Dict = append(out.Dict, byteValue(v.Kind(), v.Bytes(i)))
		}
	}
	return out
}

// dictOf returns the values of a dictionary of n entries behind the nil value, and sets the
// rows' numbers among them. Of a large dictionary only what occurs is read.
func (c *columns) dictOf(v *columnar.Vector, n int, ids []uint32) []traces.Value {
	dict, value := c.dict(min(n, len(ids))), byteValue
	if n <= smallDict {
		value = c.entry
	}
	if n <= len(ids) && v.AllPresent() {
		for id := range n {
			dict = append(dict, value(v.Kind(), v.DictBytes(id)))
		}
		for i := range ids {
			ids[i] = uint32(v.DictID(i)) + 1
		}
		return dict
	}
	place := make([]uint32, n)
	for i := range ids {
		if !v.Has(i) {
			continue
		}
		id := v.DictID(i)
		if place[id] == 0 {
			place[id] = uint32(len(dict))
			dict = append(dict, value(v.Kind(), v.DictBytes(id)))
		}
		ids[i] = place[id]
	}
	return dict
}

func byteValue(kind columnar.Kind, b []byte) traces.Value {
	switch kind {
	case columnar.KindString:
		return traces.String(string(b))
	case columnar.KindBytes:
		return traces.Bytes(string(b))
	case columnar.KindJSON:
		return jsonValue(string(b))
	}
	return valueOf(columnar.ID(b))
}

// attribute returns the values of a span attribute, whatever their kinds.
func (c *columns) attribute(name string) (*traces.Column, error) {
	var found []*traces.Column
	for kind := columnar.KindString; kind <= columnar.KindJSON; kind++ {
		col, err := c.vector(attributeColumn(name), kind)
		if err != nil {
			return nil, err
		}
		if col != nil {
			found = append(found, col)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	out := found[0]
	for _, next := range found[1:] {
		out = c.merged(out, next)
	}
	return out, nil
}

// merged returns the values of a, and those of b where a has none.
func (c *columns) merged(a, b *traces.Column) *traces.Column {
	out := &traces.Column{IDs: c.uint32s(c.Len()), Dict: make([]traces.Value, 1)}
	var ofA, ofB []uint32
	if a.Nums == nil {
		ofA = make([]uint32, len(a.Dict))
	}
	if b.Nums == nil {
		ofB = make([]uint32, len(b.Dict))
	}
	add := func(from *traces.Column, known []uint32, i int) {
		if known != nil {
			id := from.IDs[i]
			if known[id] == 0 {
				known[id] = uint32(len(out.Dict))
				out.Dict = append(out.Dict, from.Dict[id])
			}
			out.IDs[i] = known[id]
			return
		}
		out.IDs[i] = uint32(len(out.Dict))
		out.Dict = append(out.Dict, from.Value(i))
	}
	for i := range out.IDs {
		switch {
		case a.Has(i) && !a.Value(i).IsNil():
			add(a, ofA, i)
		case b.Has(i):
			add(b, ofB, i)
		}
	}
	return out
}

// shared returns a field of the resource or the instrumentation scope.
func (c *columns) shared(f traces.Field) *traces.Column {
	out := &traces.Column{IDs: c.uint32s(c.Len()), Dict: make([]traces.Value, 1)}
	index := map[string]uint32{}
	for stream, run := range c.block.StreamRuns() {
		span := traces.Span{Resource: c.resources.of(stream)}
		v := span.Value(f)
		if v.IsNil() {
			continue
		}
		key := string(rune(v.Kind())) + v.Text()
		id := index[key]
		if id == 0 {
			id = uint32(len(out.Dict))
			index[key] = id
			out.Dict = append(out.Dict, v)
		}
		ids := out.IDs[run[0]:run[1]]
		for i := range ids {
			ids[i] = id
		}
	}
	if len(out.Dict) == 1 {
		return nil
	}
	return out
}

// ofTrace returns a field of the trace by the numbers of the rows' traces.
func (c *columns) ofTrace(f traces.Field) (*traces.Column, error) {
	if c.table == nil {
		return nil, nil
	}
	table := c.table()
	if table == nil {
		return nil, nil
	}
	v, err := c.block.Column(columnar.ColumnKey{Name: nameOrdinal, Kind: columnar.KindInt})
	if err != nil || v == nil {
		return nil, err
	}
	n := c.Len()
	if f.Name == traces.TraceDuration {
		out := &traces.Column{Kind: traces.KindInt, Nums: make([]uint64, n), Present: v.Present()}
		for i := range out.Nums {
			out.Nums[i] = uint64(table.duration(v.Int(i)))
		}
		return out, nil
	}
	of := &table.names
	if f.Name == traces.RootServiceName {
		of = &table.services
	}
	out := &traces.Column{IDs: c.uint32s(n), Dict: of.dict}
	for i := range out.IDs {
		if v.Has(i) {
			out.IDs[i] = of.at(v.Int(i))
		}
	}
	return out, nil
}
