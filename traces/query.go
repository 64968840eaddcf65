package traces

import (
	"context"
	"errors"
	"slices"
	"time"
)

// ErrStop is returned by a Visitor that has seen enough; the query ends without error.
var ErrStop = errors.New("traces: stop")

// Querier answers questions about the spans of a tenant. It is safe for
// concurrent use.
type Querier interface {
	// Trace returns the spans of one trace, duplicates included, ordered by
	// start. A trace that has no span gives an empty Trace and no error.
	Trace(ctx context.Context, tenant string, q TraceQuery) (Trace, error)

	// Traces hands the spans of several traces to visit, in no order and not
	// grouped by trace. It is the cheaper form of many calls of Trace.
	Traces(ctx context.Context, tenant string, q TracesQuery, visit Visitor) (Stats, error)

	// Scan hands the spans of q to visitors, in parallel and in no order.
	// newVisitor is called once for each goroutine, from the calling goroutine.
	Scan(ctx context.Context, tenant string, q SpanQuery, newVisitor func() Visitor) (Stats, error)

	// Newest hands the spans of q to visit, those that started last first, ties
	// in no order, until visit returns ErrStop.
	Newest(ctx context.Context, tenant string, q SpanQuery, visit Visitor) (Stats, error)

	// Names returns the names of attributes that occur in the range, by scope,
	// sorted. Spans outside of the range but stored beside it may count.
	Names(ctx context.Context, tenant string, q NamesQuery) ([]Names, error)

	// Values returns distinct values of a field, the most frequent first; at
	// most q.Limit, as far as the bounds allow to see.
	Values(ctx context.Context, tenant string, q ValuesQuery) ([]ValueCount, Stats, error)
}

// Visitor is given spans. The slice is invalid once it returns; the spans in it
// may be kept by copying the struct.
type Visitor func(spans []Span) error

// Trace is all that is stored of a trace.
type Trace struct {
	Spans []Span
	Stats Stats
}

// TraceQuery asks for a trace by its ID.
type TraceQuery struct {
	ID       TraceID
	From, To int64   // only spans that belong to [From, To); To 0 means no bound
	MaxSpans int     // more are cut; 0: the store's own bound
	Fields   []Field // wanted; nil: all
}

// TracesQuery asks for several traces by their IDs.
type TracesQuery struct { //nolint:revive // of several traces, beside TraceQuery
	IDs      []TraceID
	From, To int64 // where the traces' spans are looked for first; To 0 means everywhere
	MaxSpans int   // of all traces together; 0: the store's own bound
	Fields   []Field
}

// SpanQuery asks for spans that meet a condition.
type SpanQuery struct {
	From, To int64  // nanoseconds; From inclusive, To exclusive
	ByStart  bool   // only spans that started in the range
	Filter   Filter // nil: all
	Fields   []Field
	Limits   Limits
}

// Limits bound a query. Zero values mean the store's own bounds.
type Limits struct {
	Bytes int64 // decoded
	Spans int64 // handed over
}

// Stats say what a query did.
type Stats struct {
	Spans   int64         // looked at
	Matched int64         // handed over
	Bytes   int64         // decoded
	Blocks  int           // read
	Cut     string        // which bound ended the query early; "" if none did
	Elapsed time.Duration // as the store measured it
}

// Add adds what another part of the same query did.
func (s *Stats) Add(o Stats) {
	s.Spans += o.Spans
	s.Matched += o.Matched
	s.Bytes += o.Bytes
	s.Blocks += o.Blocks
	s.Elapsed += o.Elapsed
	if s.Cut == "" {
		s.Cut = o.Cut
	}
}

// NamesQuery asks for names of attributes.
type NamesQuery struct {
	From, To int64
	Scopes   []Scope // of these scopes; nil: of all that have attributes
	Filter   Filter  // on spans that meet it; nil: all
	Limit    int     // for each scope; 0: the store's own bound
}

// Names are the names of a scope's attributes.
type Names struct {
	Scope Scope
	Names []string
}

// ValuesQuery asks for the values of a field.
type ValuesQuery struct {
	From, To int64
	Field    Field
	Filter   Filter
	Limit    int // 0: the store's own bound
}

// ValueCount is a value and in how many spans it was seen.
type ValueCount struct {
	Value Value
	Spans int64
}

// HasField reports whether f is among the wanted fields; nil wants all.
func HasField(fields []Field, f Field) bool {
	if fields == nil {
		return true
	}
	return slices.Contains(fields, f)
}
