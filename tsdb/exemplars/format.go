package exemplars

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"belfry/tsdb/internal/scan"
)

const (
	version    = 1
	headerSize = 16
	footerSize = 8 + 4 + 4 + 8 + 8 + 8 + 4 + 8
	blockSize  = 64 << 10 // bytes after which a block ends, before compression
	maxBlock   = 1 << 30  // bytes of a block or the directory, before compression
)

var (
	magic      = [8]byte{'B', 'E', 'L', 'F', 'E', 'X', 'M', 'P'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// ErrCorrupt is in the chain of every error about bytes that are not as they
// were written.
var ErrCorrupt = errors.New("corrupt exemplars")

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// footer is the end of a file.
type footer struct {
	dirOffset  uint64
	dirLength  uint32
	dirCRC     uint32
	mint, maxt int64 // of the exemplars
	count      uint64
}

func (f *footer) append(dst []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, f.dirOffset)
	dst = binary.LittleEndian.AppendUint32(dst, f.dirLength)
	dst = binary.LittleEndian.AppendUint32(dst, f.dirCRC)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.mint)) //nolint:gosec // two's complement
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.maxt)) //nolint:gosec // two's complement
	dst = binary.LittleEndian.AppendUint64(dst, f.count)
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
	return append(dst, magic[:]...)
}

func parseFooter(b []byte, size int64) (f footer, err error) {
	if [8]byte(b[footerSize-8:]) != magic {
		return f, corruptf("cut short")
	}
	if crc32.Checksum(b[:footerSize-12], castagnoli) != binary.LittleEndian.Uint32(b[footerSize-12:]) {
		return f, corruptf("checksum of the footer")
	}
	f.dirOffset, f.dirLength, f.dirCRC = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	f.mint, f.maxt = int64(binary.LittleEndian.Uint64(b[16:])), int64(binary.LittleEndian.Uint64(b[24:])) //nolint:gosec // two's complement
	f.count = binary.LittleEndian.Uint64(b[32:])
	if f.dirOffset < headerSize || f.dirOffset+uint64(f.dirLength) != uint64(size-footerSize) {
		return f, corruptf("directory is not where it should be")
	}
	return f, nil
}

func checkHeader(b []byte) error {
	if [8]byte(b) != magic {
		return corruptf("no file of exemplars")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return fmt.Errorf("exemplars of version %d, this release reads version %d", v, version)
	}
	if binary.LittleEndian.Uint32(b[12:]) != 0 {
		return corruptf("header")
	}
	return nil
}

// encode returns a file of exemplars: series in the order of their labels, the
// exemplars of each in the order of time.
func encode(all []exemplar.QueryResult) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer enc.Close() //nolint:errcheck // nothing is written to it
	file := binary.LittleEndian.AppendUint32(magic[:len(magic):len(magic)], version)
	file = binary.LittleEndian.AppendUint32(file, 0)
	f := footer{mint: math.MaxInt64, maxt: math.MinInt64}
	t := newStringTable(all)
	var blocks, series, raw, packed []byte
	nBlocks := uint64(0)
	flush := func() {
		packed = enc.EncodeAll(raw, packed[:0])
		file = append(file, packed...)
		blocks = binary.AppendUvarint(blocks, uint64(len(packed)))
		blocks = binary.LittleEndian.AppendUint32(blocks, crc32.Checksum(packed, castagnoli))
		raw = raw[:0]
		nBlocks++
	}
	for _, s := range all {
		if len(raw) >= blockSize {
			flush()
		}
		series = t.appendLabels(series, s.SeriesLabels)
		series = binary.AppendUvarint(series, nBlocks)
		series = binary.AppendUvarint(series, uint64(len(raw)))
		series = binary.AppendUvarint(series, uint64(len(s.Exemplars)))
		last := int64(0)
		for i := range s.Exemplars {
			e := &s.Exemplars[i]
			raw = appendExemplar(raw, e, last)
			last = e.Ts
			f.mint, f.maxt = min(f.mint, e.Ts), max(f.maxt, e.Ts)
		}
		f.count += uint64(len(s.Exemplars))
	}
	flush()
	dir := t.append(nil)
	dir = append(binary.AppendUvarint(dir, nBlocks), blocks...)
	dir = append(binary.AppendUvarint(dir, uint64(len(all))), series...)
	packed = enc.EncodeAll(dir, packed[:0])
	f.dirOffset, f.dirLength, f.dirCRC = uint64(len(file)), uint32(len(packed)), crc32.Checksum(packed, castagnoli) //nolint:gosec // far below
	return f.append(append(file, packed...)), nil
}

func appendExemplar(dst []byte, e *exemplar.Exemplar, last int64) []byte {
	dst = binary.AppendVarint(dst, e.Ts-last)
	hasTs := byte(0)
	if e.HasTs {
		hasTs = 1
	}
	dst = append(dst, hasTs)
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(e.Value))
	dst = binary.AppendUvarint(dst, uint64(e.Labels.Len()))
	e.Labels.Range(func(l labels.Label) {
		dst = append(binary.AppendUvarint(dst, uint64(len(l.Name))), l.Name...)
		dst = append(binary.AppendUvarint(dst, uint64(len(l.Value))), l.Value...)
	})
	return dst
}

// stringTable numbers the names and values of the series' labels.
type stringTable struct {
	all  []string
	rank map[string]uint64
}

func newStringTable(all []exemplar.QueryResult) *stringTable {
	t := &stringTable{rank: map[string]uint64{}}
	add := func(s string) {
		if _, ok := t.rank[s]; !ok {
			t.rank[s] = 0
			t.all = append(t.all, s)
		}
	}
	for _, s := range all {
		s.SeriesLabels.Range(func(l labels.Label) { add(l.Name); add(l.Value) })
	}
	slices.Sort(t.all)
	for i, s := range t.all {
		t.rank[s] = uint64(i) //nolint:gosec // an index
	}
	return t
}

func (t *stringTable) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(t.all)))
	for _, s := range t.all {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	return dst
}

func (t *stringTable) appendLabels(dst []byte, ls labels.Labels) []byte {
	dst = binary.AppendUvarint(dst, uint64(ls.Len()))
	ls.Range(func(l labels.Label) {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, t.rank[l.Name]), t.rank[l.Value])
	})
	return dst
}

// readExemplar reads what appendExemplar wrote.
func readExemplar(s *scan.Scanner, last int64, b *labels.ScratchBuilder) (e exemplar.Exemplar) {
	e.Ts = last + s.Varint()
	if flag := s.Bytes(1); len(flag) > 0 {
		e.HasTs = flag[0] == 1
	}
	if v := s.Bytes(8); len(v) == 8 {
		e.Value = math.Float64frombits(binary.LittleEndian.Uint64(v))
	}
	b.Reset()
	for range s.Count() {
		name := s.Text()
		b.Add(name, s.Text())
	}
	b.Sort()
	e.Labels = b.Labels()
	return e
}

// scanner takes bytes of a file apart.
func scanner(src []byte) scan.Scanner { return scan.New(src, ErrCorrupt) }
