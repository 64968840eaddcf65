package part

import (
	"errors"

	"belfry/internal/columnar/column"
)

// ErrCorrupt is returned for a part whose bytes are not what was written.
var ErrCorrupt = errors.New("part: corrupt")

const (
	magicHead = "BELFPRT\x00"
	magicTail = "\x00TRPFLEB"
	version   = 5
	// The oldest version that is read. Version 2 lacks gram filters, templates and tables of
	// integers, version 3 groups and runs in ID indexes, version 4 pages of integers.
	oldestVersion = 2

	headerLen  = 16
	trailerLen = 20
	tailRead   = 64 << 10

	sectionBlocks  = 1
	sectionStreams = 2
	sectionColumns = 3
	sectionIDs     = 4
	sectionFilter  = 5 // of an ID index
	sectionGroups  = 6

	// MaxBlocks is the largest number of blocks in a part: a row's place in the
	// ID index is two 16-bit numbers.
	MaxBlocks = 1 << 16

	// Set in a column's kind of filter if a gram filter follows.
	filterGrams = 4

	idPageEntries = 1024
	// Hashes in the ID index keep their upper 40 bits; readers compare the values.
	idHashShift = 24
)

// Column flags.
const (
	FlagIndexed      = 1 << 0 // has an ID index
	FlagNoWordFilter = 1 << 1
	FlagNoFilter     = 1 << 2
	FlagOverflow     = 1 << 3 // the entries of rare columns: words are searched in Bytes
	FlagHead         = 1 << 4 // rows with a value come before the others of their ID in an ID index
)

// Column is an entry of the column dictionary.
type Column struct {
	Name  string
	Kind  column.Kind
	Flags uint8
	Rows  uint64 // rows with a value
}

// Stream is an entry of the stream directory.
type Stream struct {
	Key  string // canonical fields; the order of streams is the order of keys
	Min  int64  // time of the first row
	Max  int64  // time of the last row
	Rows uint64
}

// Block is an entry of the block directory.
type Block struct {
	Rows        int
	MinTime     int64
	MaxTime     int64
	FirstStream int           // the block holds rows of all streams from here
	LastStream  int           // to here
	Columns     []BlockColumn // sorted by Column

	off int64 // of the head: stream runs and times
	len int
	crc uint32
}

// BlockColumn is one column of a block.
type BlockColumn struct {
	Column    int // in the column dictionary
	Off       int64
	FilterLen int // the filter follows the chunk
	GramsLen  int // the gram filter follows the filter; 0: there is none
	column.ChunkMeta
}

// Run is a run of rows of one stream.
type Run struct {
	Key  string
	Rows int
}

// Meta sums up a part.
type Meta struct {
	Rows    uint64
	MinTime int64
	MaxTime int64
	Size    int64 // bytes of the file
	Blocks  int
}
