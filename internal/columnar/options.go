package columnar

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/internal/columnar/column"
	"belfry/internal/vfs"
)

// Durability says what an acknowledged append has reached.
type Durability uint8

const (
	// DurabilityWrite means that the operating system has the bytes (they survive kill -9
	// of the process), the disk has them at most SyncInterval later.
	DurabilityWrite Durability = iota
	// DurabilityFsync means that the disk has the bytes.
	DurabilityFsync
)

// Decoder turns a payload into rows. It runs once when the payload arrives and
// again when the log is replayed, so that it must depend on nothing but its
// arguments. An error refuses the payload as a whole (fault.Invalid unless it
// says otherwise); a single bad row is refused by RowWriter.Reject.
//
// Neither payload nor w may be kept. Several goroutines may run it at once, each
// with its own w.
type Decoder func(payload []byte, receivedAt time.Time, w *RowWriter) error

// ColumnDef is a column that the signal knows beforehand. Its handle (ColRef)
// is its position in Options.Columns, so that a decoder needs no look-up.
type ColumnDef struct {
	Name string
	Kind Kind

	// Indexed keeps, per part, a sorted index from value to rows. For ID
	// columns only; meant for trace IDs.
	Indexed bool
	// NoWordFilter: the values are not text to search words in. The block's
	// filter holds whole values instead of words: half the size, for Equal only.
	NoWordFilter bool
	// NoFilter keeps no filter at all: for columns that are never searched by value.
	NoFilter bool
	// Head marks the derived Int column that one row of each group has, its head; see DB.Heads.
	Head bool
}

// Retention says when rows are dropped. Zero values keep for ever.
type Retention struct {
	MaxAge   time.Duration // rows older than this are dropped, part by part; appends of such rows are rejected
	MaxBytes uint64        // parts of all tenants together; the oldest day goes first
	// Rules give rows other ages; the first that a row meets counts, MaxAge for
	// those that meet none. A row past its age is hidden at once, and leaves the
	// disk when all of its part is so old: within a day, or with the next part that
	// is merged into, whatever is later.
	Rules []RetentionRule
}

// Options configure a DB. Dir, Signal and Decode are required; the zero value
// of everything else takes the default that is named beside it.
type Options struct {
	Dir    string  // everything the DB writes is below it
	FS     vfs.FS  // default: the operating system's
	Signal string  // "logs", "traces": the metrics' label
	Decode Decoder //

	Grouping *Grouping   // nil: rows are on their own
	Columns  []ColumnDef // fixed columns; more may be added at the end later, never removed or reordered while a log is unreplayed

	FlushBytes        int           // memtable size that starts a flush; 32 MiB
	FlushAge          time.Duration // age of the memtable's oldest row that starts a flush; 60 s
	MaxFrozen         int           // memtables waiting for their flush beside one that fills up, before Append pushes back; 1
	MaxWait           time.Duration // how long Append waits for a flush before it refuses; 2 s; negative: not at all
	BlockRows         int           // rows in a block; 32,768
	MaxColumns        int           // columns of a part (and memtable); rarer ones share an overflow column; 2,000
	SegmentBytes      int64         // log segment; 64 MiB
	MaxPayloadBytes   int           // one payload; 64 MiB
	Durability        Durability    // DurabilityWrite
	SyncInterval      time.Duration // 1 s
	Retention         Retention     // for ever
	FilterMemory      int64         // for the ID filters of all parts; those beyond are read from disk, a page at a time; 256 MiB; negative: none
	CacheMemory       int64         // for what queries for a few rows have read of parts; 64 MiB; negative: none
	MergeConcurrency  int           // 1; negative: no merges, and nothing is erased
	MergeMemory       int64         // one merge takes about so much at most; 128 MiB
	QueryConcurrency  int           // goroutines of one query; GOMAXPROCS
	MaxConcurrentWork int           // blocks worked on at once by all queries; 2 * GOMAXPROCS

	Logger     *slog.Logger          // default: discard
	Registerer prometheus.Registerer // nil: metrics are kept but not registered
	Now        func() time.Time      // time.Now
}

// pageBytes returns how large the pages of byte strings are. Blocks are made small where rows are
// read a few at a time; then pages are small, too.
func (o *Options) pageBytes() int {
	return min(max(3*o.BlockRows, minPageBytes), column.DefaultPageBytes)
}

// freshBlockRows returns how many rows the blocks of parts that will soon be merged have: a merge
// holds a block of each.
func (o *Options) freshBlockRows() int {
	return min(o.BlockRows, max(o.BlockRows/8, minBlockRows))
}

const (
	minPageBytes = 16 << 10
	minBlockRows = 4 << 10

	defaultFlushBytes      = 32 << 20
	defaultFlushAge        = time.Minute
	defaultMaxFrozen       = 1
	defaultMaxWait         = 2 * time.Second
	defaultBlockRows       = 32 << 10
	defaultMaxColumns      = 2000
	defaultSegmentBytes    = 64 << 20
	defaultMaxPayloadBytes = 64 << 20
	defaultSyncInterval    = time.Second
	defaultFilterMemory    = 256 << 20
	defaultCacheMemory     = 64 << 20
	defaultMergeMemory     = 128 << 20
)
