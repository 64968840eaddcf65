package cold

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"

	"belfry/tsdb/internal/scan"
)

// Names in a block's folder.
const (
	blockFile = "block"

	// suffixes of folders that are no blocks
	creating = ".tmp-for-creation"
	deleting = ".tmp-for-deletion"
)

// The limits of the format.
const (
	// MaxColumn is the number of samples in a column.
	MaxColumn = 8192

	// MaxLabels is the number of labels of a series.
	MaxLabels = 1 << 16

	version      = 1
	pageSize     = 64 << 10 // bytes of columns under one checksum
	seriesGroup  = 32       // series between two places where reading can begin
	dayMillis    = 24 * 60 * 60 * 1000
	headerSize   = 16
	tailSize     = 16
	sectionEntry = 1 + 8 + 8 + 4
)

var (
	magic      = [8]byte{'B', 'E', 'L', 'F', 'C', 'O', 'L', 'D'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// ErrCorrupt is in the chain of every error about bytes that are not as they
// were written.
var ErrCorrupt = errors.New("corrupt cold block")

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// The sections of a file.
type section byte

const (
	sectionColumns  section = 1 // values, and chunks kept as they are
	sectionPages    section = 2 // checksums of the columns
	sectionTimes    section = 3 // columns of times
	sectionTimesDir section = 4
	sectionNames    section = 5 // label names and values
	sectionPostings section = 6
	sectionSeries   section = 7
	sectionGroups   section = 8 // where groups of series begin
	sectionMeta     section = 9
	lastSection             = sectionMeta
)

// Meta describes a block. It is a section of the file, as JSON.
type Meta struct {
	tsdb.BlockMeta

	// Resolution is the distance of samples in milliseconds, 0 for samples as
	// they were written. It is there so that several resolutions of one range can
	// be told apart; readers refuse those that they do not know.
	Resolution int64 `json:"resolution"`

	// InOrderMaxTime is the time before which all samples that were written in
	// order are in this block or older ones, MinInt64 if it has late samples only.
	// It is where a head begins that is read from a log.
	InOrderMaxTime int64 `json:"inOrderMaxTime"`

	// Replaces are the cold blocks, and ReplacesBlocks Prometheus' blocks, that
	// this one stands for.
	Replaces       []ulid.ULID `json:"replaces,omitempty"`
	ReplacesBlocks []ulid.ULID `json:"replacesBlocks,omitempty"`
}

// layout says where the sections are.
type layout [lastSection + 1][]byte

// appendFooter appends the directory of sections and the tail:
//
//	for each section: u8 which, u64 offset, u64 length, u32 crc
//	u32 number of sections, u32 crc of the directory and the number, magic
func appendFooter(dst []byte, entries []sectionAt) []byte {
	start := len(dst)
	for _, e := range entries {
		dst = append(dst, byte(e.section))
		dst = binary.LittleEndian.AppendUint64(dst, e.offset)
		dst = binary.LittleEndian.AppendUint64(dst, e.length)
		dst = binary.LittleEndian.AppendUint32(dst, e.crc)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(entries)))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
	return append(dst, magic[:]...)
}

type sectionAt struct {
	section        section
	offset, length uint64
	crc            uint32
}

func appendHeader(dst []byte) []byte {
	dst = append(dst, magic[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	return binary.LittleEndian.AppendUint32(dst, 0)
}

// parse takes a file apart and checks everything but the columns.
func parse(file []byte) (l layout, meta Meta, err error) {
	if len(file) < headerSize+tailSize || [8]byte(file[:8]) != magic {
		return l, meta, corruptf("no cold block")
	}
	if v := binary.LittleEndian.Uint32(file[8:]); v != version {
		return l, meta, fmt.Errorf("cold block of version %d, this release reads version %d", v, version)
	}
	if binary.LittleEndian.Uint32(file[12:]) != 0 {
		return l, meta, corruptf("header")
	}
	tail := file[len(file)-tailSize:]
	if [8]byte(tail[8:]) != magic {
		return l, meta, corruptf("cut short")
	}
	n := uint64(binary.LittleEndian.Uint32(tail))
	if n > uint64(lastSection) || n*sectionEntry > uint64(len(file)-headerSize-tailSize) {
		return l, meta, corruptf("%d sections", n)
	}
	end := uint64(len(file)-tailSize) - n*sectionEntry
	dir := file[end : len(file)-tailSize+4]
	if crc32.Checksum(dir, castagnoli) != binary.LittleEndian.Uint32(tail[4:]) {
		return l, meta, corruptf("checksum of the directory")
	}
	for ; len(dir) > 4; dir = dir[sectionEntry:] {
		which, offset, length := section(dir[0]), binary.LittleEndian.Uint64(dir[1:]), binary.LittleEndian.Uint64(dir[9:])
		if which == 0 || which > lastSection || offset > end || length > end-offset {
			return l, meta, corruptf("section %d is outside of the file", which)
		}
		l[which] = file[offset : offset+length : offset+length]
		if which != sectionColumns && crc32.Checksum(l[which], castagnoli) != binary.LittleEndian.Uint32(dir[17:]) {
			return l, meta, corruptf("checksum of section %d", which)
		}
	}
	if err := json.Unmarshal(l[sectionMeta], &meta); err != nil {
		return l, meta, corruptf("meta: %v", err)
	}
	if meta.Resolution != 0 {
		return l, meta, fmt.Errorf("cold block of resolution %d ms, this release reads raw samples", meta.Resolution)
	}
	return l, meta, nil
}

// scanner takes a section apart.
func scanner(section []byte) scan.Scanner { return scan.New(section, ErrCorrupt) }
