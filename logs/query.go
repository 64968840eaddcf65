package logs

import (
	"context"
	"errors"
)

// Querier answers queries. Implementations are safe for concurrent use.
type Querier interface {
	// Select hands the entries of q to yield in q's order, one after the other,
	// until yield returns false or q.Limit entries were handed out.
	Select(ctx context.Context, q SelectQuery, yield func(*Entry) bool) (Stats, error)

	// Scan hands the entries of q to workers in batches, in parallel and in no
	// order. newWorker is called once per goroutine, before any batch.
	Scan(ctx context.Context, q ScanQuery, newWorker func() Worker) (Stats, error)

	// Count counts entries per group and time bucket without handing them out.
	Count(ctx context.Context, q CountQuery) ([]CountGroup, Stats, error)

	// Streams returns the streams that have entries in [From, To), or in a part
	// that touches it, and meet one of the sets of matchers (all, if there are
	// no sets), ordered by ID.
	Streams(ctx context.Context, q StreamsQuery) ([]StreamInfo, error)

	// Fields returns the metadata names that q's entries, or others near them,
	// have, ordered by name. The filter is a hint.
	Fields(ctx context.Context, q Query) ([]FieldInfo, error)

	// FieldValues returns distinct values of a metadata name in q's entries, the
	// most frequent first, ties by value; at most limit.
	FieldValues(ctx context.Context, q Query, name string, limit int) ([]ValueCount, Stats, error)
}

// Store is all sides of a logs store.
type Store interface {
	Appender
	Querier
	Deleter
}

// Query says which entries of a tenant are wanted: those in [From, To) whose
// stream's labels meet all matchers and that meet the filter.
type Query struct {
	Tenant  string
	From    int64 // nanoseconds, inclusive
	To      int64 // nanoseconds, exclusive
	Streams []*Matcher
	Filter  Filter
	Limits  Limits
}

// Limits bound a query. Zero values mean no bound.
type Limits struct {
	BytesScanned int64 // decoded bytes
}

// Want says which parts of an entry are wanted; others are left empty, so that
// an engine need not read them.
type Want struct {
	Line bool
	// AllFields wants all metadata, Fields only these names.
	AllFields bool
	Fields    []string
}

// Everything wants all of an entry.
func Everything() Want { return Want{Line: true, AllFields: true} }

// Direction is the order of Select's entries, by time; ties are broken by
// stream ID, then by arrival, in either direction alike.
type Direction uint8

// The directions.
const (
	Backward Direction = iota // newest first
	Forward                   // oldest first
)

// SelectQuery asks for entries in an order.
type SelectQuery struct {
	Query
	Want      Want
	Direction Direction
	Limit     int     // at most so many; 0: as many as yield takes
	After     *Cursor // only entries behind this one in the order; nil: from the beginning
}

// ScanQuery asks for entries in no order.
type ScanQuery struct {
	Query
	Want Want
}

// Worker receives the batches of a Scan. Each goroutine has its own.
type Worker interface {
	// Batch is given a batch that is valid until Batch returns; the strings and
	// streams in it may be kept. An error ends the scan and is returned by it, ErrStop
	// ends it without.
	Batch(b *Batch) error
}

// ErrStop is returned by a Worker that has seen enough.
var ErrStop = errors.New("stop the scan")

// Batch is some entries, column by column: all slices have the same length.
type Batch struct {
	Times   []int64
	Streams []*Stream
	Lines   []string // nil if lines are not wanted
	Fields  []Column // sorted by name; wanted metadata of the records that at least one entry has
}

// Column is one metadata name of a Batch; "" where an entry does not have it.
type Column struct {
	Name   string
	Values []string
}

// CountQuery asks for numbers of entries. Bucket i of Buckets covers
// (Start+i*Width, Start+(i+1)*Width]; entries outside all buckets, or outside
// [From, To), are not counted.
type CountQuery struct {
	Query
	By      []string // labels and metadata names; groups differ in their values
	Start   int64    // nanoseconds
	Width   int64    // nanoseconds, positive
	Buckets int
	Bytes   bool // count the lines' bytes instead of entries
	// MaxGroups makes a query with more groups fail with fault.Unprocessable; 0: no bound.
	MaxGroups int
}

// CountGroup is the counts of one group.
type CountGroup struct {
	Values []string  // of CountQuery.By, one by one; "" for none
	Counts []float64 // by bucket
}

// StreamsQuery asks for streams.
type StreamsQuery struct {
	Tenant   string
	From, To int64
	Matchers [][]*Matcher
}

// StreamInfo is a stream with an estimate of what is stored of it.
type StreamInfo struct {
	*Stream
	Entries int64 // in parts that touch the time range
}

// FieldInfo is a metadata name.
type FieldInfo struct {
	Name    string
	Type    FieldType
	Entries int64 // that have it, as far as known
}

// FieldType is the type that most of a field's values have.
type FieldType string

// The types of fields.
const (
	TypeString FieldType = "string"
	TypeInt    FieldType = "int"
	TypeFloat  FieldType = "float"
	TypeBool   FieldType = "boolean"
	TypeBytes  FieldType = "bytes"
	TypeJSON   FieldType = "json"
)

// ValueCount is a distinct value with its number of entries, as far as seen.
type ValueCount struct {
	Value   string
	Entries int64
}
