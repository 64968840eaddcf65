package traces

import (
	"context"
	"iter"
)

// ColumnQuerier is implemented by stores that can hand spans over as columns,
// and that know the structure of some traces without looking at all their spans.
// It is safe for concurrent use.
type ColumnQuerier interface {
	// ScanColumns is Querier.Scan with columns instead of spans.
	ScanColumns(ctx context.Context, tenant string, q SpanQuery, newVisitor func() ColumnVisitor) (Stats, error)
	// Joined returns the tenant's spans at this moment. It must be closed.
	Joined(tenant string) (Joined, error)
}

// ColumnVisitor is given spans as columns, which are invalid once it returns.
type ColumnVisitor func(c Columns) error

// Columns are some spans, column by column. They are used by one goroutine.
type Columns interface {
	Len() int
	Starts() []int64
	// Column returns the values of a field; nil if no span has one. Fields of events
	// and links have none; those of the trace only within Joined.Whole and Pick.
	Column(f Field) (*Column, error)
	// Spans returns the spans with the wanted fields; nil wants all.
	Spans(fields []Field) ([]Span, error)
	// Attributes returns the attributes that some of the spans have.
	Attributes() ([]Field, error)
	// Resources returns the runs of spans [from, to) of one resource, in order.
	Resources() iter.Seq2[*Resource, [2]int]
	// Sample returns every n-th value of an attribute of spans if most are distinct, so that
	// telling all of them apart would cost much; nil otherwise.
	Sample(f Field, n int) (*Sample, error)
	// IDs returns the IDs of a span.
	IDs(i int) (TraceID, SpanID, error)
	// Place says where a span is; within Joined only.
	Place(i int) Place
}

// Place is where a span is in a Joined.
type Place struct {
	Part, Block int32
	Row         uint32
}

// Column holds the values of a field of some spans: numbers of one kind, or a
// dictionary. It is read-only.
type Column struct {
	Kind    Kind     // of Nums: KindInt, KindFloat or KindBool
	Nums    []uint64 // the word of each span: an int64, the bits of a float64, or 0 and 1
	Present []uint64 // with Nums: bit i is set if span i has a value; nil if all have

	Dict []Value  // instead: distinct values, but for 0, which is nil
	IDs  []uint32 // of each span in Dict
}

// Has reports whether span i has a value.
func (c *Column) Has(i int) bool {
	if c.Nums == nil {
		return c.IDs[i] != 0
	}
	return c.Present == nil || c.Present[i>>6]>>(uint(i)&63)&1 != 0
}

// Value returns the value of span i, the nil Value if it has none.
func (c *Column) Value(i int) Value {
	switch {
	case c.Nums == nil:
		return c.Dict[c.IDs[i]]
	case !c.Has(i):
		return Value{}
	}
	return NumValue(c.Kind, c.Nums[i])
}

// Sample is some of the values of a field.
type Sample struct {
	Column  *Column  // of the spans 0, n, 2n, …
	Present []uint64 // bit i is set if span i of all has a value; nil if all have
}

// Joined is a tenant's spans at one moment in two halves: traces of which one
// part of the store has all spans and knows their structure, and all others.
type Joined interface {
	Close()
	// Parts are the parts of the first half, the newest first.
	Parts() []JoinedPart
	// Whole hands over the spans of one part that may meet q.Filter. Filters may name
	// the fields of the trace; those that visitors ask for must be in q.Fields.
	Whole(ctx context.Context, p JoinedPart, q SpanQuery, newVisitor func() ColumnVisitor) (Stats, error)
	// Pick hands over the spans at places that Whole named. It orders places.
	Pick(ctx context.Context, places []Place, fields []Field, newVisitor func() ColumnVisitor) (Stats, error)
	// Apart hands the spans of the second half to visitors, as Querier.Scan does.
	Apart(ctx context.Context, q SpanQuery, newVisitor func() Visitor) (Stats, error)
}

// JoinedPart is a part of a Joined. Traces are numbered within it.
type JoinedPart struct {
	Index  int
	Min    int64 // start of its first span
	Max    int64 // start of its last span
	Traces int   // numbers are below
}

// Fields of the trace and of a span's place in it.
const (
	TraceDuration   = "traceDuration"
	RootName        = "rootName"        // nil if the trace has no root
	RootServiceName = "rootServiceName" // nil if the trace has no root
	ChildCount      = "span:childCount"
	SelfTime        = "span:selfTime" // nanoseconds; see Nesting.SelfTimes
	NestedSetLeft   = "nestedSetLeft"
	NestedSetRight  = "nestedSetRight"
	NestedSetParent = "nestedSetParent" // -1 for a top

	// TraceOrdinal is the number of the trace within its part. Queries cannot name it.
	TraceOrdinal = "trace:ordinal"
)

// OfTrace reports whether a field is one for all spans of a trace.
func (f Field) OfTrace() bool {
	if f.Scope != ScopeIntrinsic {
		return false
	}
	switch f.Name {
	case TraceDuration, RootName, RootServiceName:
		return true
	}
	return false
}

// OfPlace reports whether a field is about a span's place in its trace.
func (f Field) OfPlace() bool {
	if f.Scope != ScopeIntrinsic {
		return false
	}
	switch f.Name {
	case ChildCount, SelfTime, NestedSetLeft, NestedSetRight, NestedSetParent, TraceOrdinal:
		return true
	}
	return false
}
