package traceql

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"belfry/internal/fault"
	"belfry/traces"
)

// SearchRequest asks for the traces that a query matches, the newest first.
type SearchRequest struct {
	Query       *Query
	From, To    int64   // nanoseconds; spans that belong to [From, To) are looked at
	Limit       int     // traces; 20 if 0
	SpansPerSet int     // matched spans shown of each spanset; 3 if 0
	After       *Cursor // only traces behind this one
}

// Cursor is a trace's place in the order of a search: by the start of the newest
// span that the query's first stage selects. It stays good while spans arrive.
type Cursor struct {
	Anchor int64
	ID     traces.TraceID
}

// String returns the cursor as text for a URL.
func (c Cursor) String() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(c.Anchor))
	return base64.RawURLEncoding.EncodeToString(append(b, c.ID[:]...))
}

// compare orders cursors: the newest first, ties by ID.
func (c Cursor) compare(o Cursor) int { return compareAnchors(c.Anchor, c.ID, o.Anchor, o.ID) }

// ParseCursor reads what String wrote.
func ParseCursor(s string) (*Cursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 24 {
		return nil, fault.Invalidf("%q is not a cursor", s)
	}
	c := &Cursor{Anchor: int64(binary.BigEndian.Uint64(b))}
	copy(c.ID[:], b[8:])
	return c, nil
}

// SearchResult holds the traces found.
type SearchResult struct {
	Traces    []Summary
	Next      *Cursor // to go on with; nil if there is no more
	Inspected int     // whole traces that were evaluated
	Stats     traces.Stats
}

// Summary describes a trace that matched.
type Summary struct {
	traces.Outline
	SpanSets []SpanSet
	Cursor   Cursor
}

// SpanSet is a set of matched spans.
type SpanSet struct {
	Matched    int // spans in the set
	Spans      []MatchedSpan
	Attributes []traces.Attribute // groups and aggregates
}

// MatchedSpan is a span that matched, with the fields that the query mentions.
type MatchedSpan struct {
	ID         traces.SpanID
	Name       string
	Start      int64
	Duration   int64
	Attributes []traces.Attribute
}

// search is one search under way.
type search struct {
	*Engine
	tenant string
	req    SearchRequest
	plan   *plan
	fields []traces.Field
	output []FieldRef
	result SearchResult

	sieve *sieve

	streamed Expr // what the first stage asks of a span, for goByNewest
}

// Search returns the traces that a query matches.
func (e *Engine) Search(ctx context.Context, tenant string, req SearchRequest) (*SearchResult, error) {
	if err := checkRange(req.From, req.To); err != nil {
		return nil, err
	}
	if req.Query.Metrics != nil || req.Query.Math != nil {
		return nil, fault.Invalidf("a metrics query gives series, not traces: %s", req.Query)
	}
	if req.Limit <= 0 {
		req.Limit = 20
	}
	if req.SpansPerSet <= 0 {
		req.SpansPerSet = 3
	}
	req.Limit, req.SpansPerSet = min(req.Limit, e.limits.Traces), min(req.SpansPerSet, e.limits.SpansPerSet)
	s := &search{Engine: e, tenant: tenant, req: req, plan: newPlan(req.Query.Pipeline), output: outputFields(req.Query.Pipeline)}
	fields := fieldSet{list: slices.Clone(s.plan.evaluate)}
	for _, f := range append(traces.OutlineFields(), s.plan.fields...) {
		fields.add(f)
	}
	s.fields = fields.list
	var err error
	if first, ok := firstFilter(req.Query.Pipeline); ok && !needsTree(first.Expr) {
		s.streamed = first.Expr
		if req.After == nil { // else the stream leaves out what comes before
			s.sieve = newSieve(e.store, req.Query.Pipeline, s.plan.evaluate, s.output)
		}
		err = s.goByNewest(ctx)
	} else {
		err = s.scan(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &s.result, nil
}

func (s *search) full() bool { return len(s.result.Traces) > s.req.Limit }

// finish cuts the one trace more that was looked for to know whether there is more.
func (s *search) finish() {
	if s.full() {
		s.result.Traces = s.result.Traces[:s.req.Limit]
		next := s.result.Traces[s.req.Limit-1].Cursor
		s.result.Next = &next
	}
}

// canScan reports whether a scan tells which traces match, without a look at all of
// each.
func (s *search) canScan() bool {
	if _, ok := s.store.(traces.ColumnQuerier); ok && planMarks(s.req.Query.Pipeline) != nil {
		return true
	}
	_, local := localFilter(s.req.Query.Pipeline)
	return local
}

// evaluate fetches candidates and returns those that match, behind the cursor, in order.
func (s *search) evaluate(ctx context.Context, list []candidate) ([]Summary, error) {
	if len(list) == 0 {
		return nil, nil
	}
	found, err := s.look(ctx, list)
	if err != nil {
		return nil, err
	}
	var out []Summary
	for i := range found {
		s.result.Inspected++
		tree := found[i].tree
		trace := newWholeTrace(tree, s.req.From, s.req.To)
		anchor, ok := trace.anchor(s.req.Query.Pipeline)
		place := Cursor{anchor, tree.Spans[0].TraceID}
		if !ok || s.req.After != nil && place.compare(*s.req.After) <= 0 {
			continue
		}
		if sets := trace.spansets(s.req.Query.Pipeline); len(sets) > 0 {
			out = append(out, Summary{Outline: found[i].show(), SpanSets: s.show(tree, sets), Cursor: place})
		}
	}
	slices.SortFunc(out, func(a, b Summary) int { return a.Cursor.compare(b.Cursor) })
	return out, nil
}

// show describes spansets.
func (s *search) show(tree *traces.Tree, sets []spanset) []SpanSet {
	out := make([]SpanSet, 0, len(sets))
	for _, set := range sets {
		shown := SpanSet{Matched: len(set.spans), Attributes: set.attributes}
		for _, p := range set.spans[:min(len(set.spans), s.req.SpansPerSet)] {
			shown.Spans = append(shown.Spans, s.matched(tree, p))
		}
		out = append(out, shown)
	}
	return out
}

func (s *search) matched(tree *traces.Tree, p int32) MatchedSpan {
	span := &tree.Spans[p]
	m := MatchedSpan{ID: span.ID, Name: span.Name, Start: span.Start, Duration: span.Duration}
	for _, ref := range s.output {
		if v := at(tree, p).field(ref); v.Type != TypeNil {
			m.Attributes = append(m.Attributes, traces.Attribute{Key: outputKey(ref), Value: v.Output()})
		}
	}
	return m
}

// outputKey is how clients expect a field to be called in an answer: attributes
// by their bare name, which is what they print.
func outputKey(ref FieldRef) string {
	if ref.Field.Scope == traces.ScopeIntrinsic || ref.Parent {
		return ref.String()
	}
	return ref.Field.Name
}
