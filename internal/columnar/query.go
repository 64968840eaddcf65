package columnar

import (
	"time"
)

// Query says which rows of a tenant are wanted.
type Query struct {
	Tenant string
	From   int64  // nanoseconds, inclusive
	To     int64  // nanoseconds, exclusive
	Filter Filter // nil: all rows
	Limits Limits
}

// Limits bound a query. Zero values mean no bound.
type Limits struct {
	BytesScanned int64 // decoded bytes of columns and filters
	Rows         int64 // selected rows handed to workers (Scan) or held (Select, Lookup)
}

// Stats say what a query did. A query that a bound cut returns what it has,
// no error, and says so in Cut.
type Stats struct {
	Parts        int   // parts looked at, memtables included
	Blocks       int   // blocks in the time range
	BlocksPruned int   // of these, decided without decoding a column
	BlocksRead   int   // of these, decoded
	RowsScanned  int64 // rows of the blocks read
	RowsMatched  int64 // rows selected
	BytesRead    int64 // from files
	BytesScanned int64 // decoded
	Damaged      int   // parts found damaged; their rows are missing
	Cut          Cut
	Elapsed      time.Duration
}

// Cut says which bound ended a query early.
type Cut uint8

// The bounds.
const (
	CutNone Cut = iota
	CutBytes
	CutRows
)

// String returns the bound's name, "" for none.
func (c Cut) String() string {
	switch c {
	case CutBytes:
		return "bytes scanned"
	case CutRows:
		return "rows"
	}
	return ""
}

// Worker receives the blocks of a Scan. Each goroutine of the scan has its own
// worker, so that a worker needs no lock; their results are combined when Scan
// has returned.
type Worker interface {
	// Block is given the selected rows of one block, at least one. The block and
	// all that it returns, streams excepted, are invalid once Block returns.
	// An error ends the scan and is returned by it; ErrStop ends it without.
	Block(b *Block) error
}

// WorkerFunc is a function as a Worker.
type WorkerFunc func(b *Block) error

// Block calls f.
func (f WorkerFunc) Block(b *Block) error { return f(b) }

// Order is the order of Select's rows.
type Order uint8

// The orders, by time; ties are broken by stream ID, then by arrival.
const (
	NewestFirst Order = iota
	OldestFirst
)

// SelectQuery asks for the first Limit rows in an order.
type SelectQuery struct {
	Query
	Order   Order
	Limit   int     // at most so many rows; required
	After   *Cursor // only rows behind this one in the order; nil: from the beginning
	Columns []Ref   // the columns wanted in Row.Fields; nil: all
}

// Row is one row, materialised. It may be kept.
type Row struct {
	Time   int64
	Stream *Stream
	Fields []Field // sorted by name, then kind
	Cursor Cursor  // where to go on after this row
}

// Field returns the first field of that name.
func (r *Row) Field(name string) (Value, bool) {
	for i := range r.Fields {
		if r.Fields[i].Name == name {
			return r.Fields[i].Value, true
		}
	}
	return Value{}, false
}

// LookupQuery asks for the rows with an ID in an Indexed column: the spans of a trace.
type LookupQuery struct {
	Tenant  string
	Column  string // name of a column of kind ID
	ID      []byte
	From    int64 // nanoseconds, inclusive
	To      int64 // nanoseconds, exclusive
	Columns []Ref // nil: all
	Limits  Limits
}

// StreamInfo is a stream with what is stored of it.
type StreamInfo struct {
	*Stream
	FirstTime int64 // of the parts and blocks that touch the time range; not cut to the range
	LastTime  int64
	Rows      int64 // rows in blocks that touch the time range; exact where a block lies inside it
}

// ColumnInfo is a column with what is stored of it.
type ColumnInfo struct {
	ColumnKey
	Rows int64 // rows with a value, in blocks that touch the time range
}

// ValueCount is a distinct value with its number of rows, as far as seen.
type ValueCount struct {
	Value Value
	Rows  int64
}
