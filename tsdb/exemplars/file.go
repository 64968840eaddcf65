package exemplars

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
)

// file is an immutable file of exemplars.
type file struct {
	path string
	size int64
	footer
}

func openFile(path string) (*file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // reading is done
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	if info.Size() < headerSize+footerSize {
		return nil, fmt.Errorf("exemplars %s: %w", name, corruptf("cut short"))
	}
	var head [headerSize]byte
	var tail [footerSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	if _, err := f.ReadAt(tail[:], info.Size()-footerSize); err != nil {
		return nil, err
	}
	if err := checkHeader(head[:]); err != nil {
		return nil, fmt.Errorf("exemplars %s: %w", name, err)
	}
	foot, err := parseFooter(tail[:], info.Size())
	if err != nil {
		return nil, fmt.Errorf("exemplars %s: %w", name, err)
	}
	return &file{path: path, size: info.Size(), footer: foot}, nil
}

// query says which exemplars: from start to end, both included, of the series
// that match all matchers of any set.
type query struct {
	start, end int64
	matchers   [][]*labels.Matcher
}

// read returns the exemplars of a query, the series in the order of their labels.
func (f *file) read(q query) (out []exemplar.QueryResult, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("exemplars %s: %w", filepath.Base(f.path), err)
		}
	}()
	r := &reader{f: f, q: q, have: -1}
	if r.src, err = os.Open(f.path); err != nil {
		return nil, err
	}
	defer r.src.Close() // reading is done
	if r.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock)); err != nil {
		return nil, err
	}
	defer r.dec.Close()
	return r.run()
}

// reader reads a file for one query.
type reader struct {
	f   *file
	q   query
	src *os.File
	dec *zstd.Decoder

	strings []string
	blocks  []blockAt
	have    int // the block that raw is
	raw     []byte
	labels  labels.ScratchBuilder
}

type blockAt struct {
	offset int64
	length uint64
	crc    uint32
}

func (r *reader) unpack(dst []byte, offset int64, length uint64, crc uint32, what string) ([]byte, error) {
	if offset+int64(length) > r.f.size { //nolint:gosec // checked where it was read
		return nil, corruptf("%s is outside of the file", what)
	}
	packed := make([]byte, length)
	if _, err := r.src.ReadAt(packed, offset); err != nil {
		return nil, err
	}
	if crc32.Checksum(packed, castagnoli) != crc {
		return nil, corruptf("checksum of %s", what)
	}
	raw, err := r.dec.DecodeAll(packed, dst[:0])
	if err != nil {
		return nil, errors.Join(corruptf("%s cannot be unpacked", what), err)
	}
	return raw, nil
}

func (r *reader) run() ([]exemplar.QueryResult, error) {
	dir, err := r.unpack(nil, int64(r.f.dirOffset), uint64(r.f.dirLength), r.f.dirCRC, "the directory") //nolint:gosec // checked with the footer
	if err != nil {
		return nil, err
	}
	s := scanner(dir)
	for range s.Count() {
		r.strings = append(r.strings, s.Text())
	}
	offset := int64(headerSize)
	for range s.Count() {
		b := blockAt{offset: offset, length: s.Uvarint()}
		if crc := s.Bytes(4); len(crc) == 4 {
			b.crc = binary.LittleEndian.Uint32(crc)
		}
		if b.length > r.f.dirOffset-uint64(offset) { //nolint:gosec // positive
			s.Fail("length of a block")
			break
		}
		offset += int64(b.length) //nolint:gosec // within the file
		r.blocks = append(r.blocks, b)
	}
	selects := newSelection(r.strings, r.q.matchers)
	var (
		out   []exemplar.QueryResult
		pairs []uint64
	)
	for range s.Count() {
		pairs = pairs[:0]
		for range 2 * s.Count() {
			pairs = append(pairs, s.Uvarint())
		}
		block, at, n := s.Uvarint(), s.Uvarint(), s.Uvarint()
		if s.Err() != nil {
			break
		}
		if slices.ContainsFunc(pairs, func(id uint64) bool { return id >= uint64(len(r.strings)) }) || block >= uint64(len(r.blocks)) {
			return nil, corruptf("series")
		}
		if !selects.matches(pairs) {
			continue
		}
		found, err := r.series(int(block), at, n) //nolint:gosec // an index
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			out = append(out, exemplar.QueryResult{SeriesLabels: r.build(pairs), Exemplars: found})
		}
	}
	return out, s.Err()
}

func (r *reader) build(pairs []uint64) labels.Labels {
	r.labels.Reset()
	for i := 0; i < len(pairs); i += 2 {
		r.labels.Add(r.strings[pairs[i]], r.strings[pairs[i+1]])
	}
	r.labels.Sort()
	return r.labels.Labels()
}

// series returns n exemplars of a block, from a byte of it on, as far as they are
// of the query's time.
func (r *reader) series(block int, at, n uint64) (out []exemplar.Exemplar, err error) {
	if block != r.have {
		b := r.blocks[block]
		r.have = -1
		if r.raw, err = r.unpack(r.raw, b.offset, b.length, b.crc, fmt.Sprintf("block %d", block)); err != nil {
			return nil, err
		}
		r.have = block
	}
	if at > uint64(len(r.raw)) {
		return nil, corruptf("series begins after its block")
	}
	s, last := scanner(r.raw[at:]), int64(0)
	for range n {
		e := readExemplar(&s, last, &r.labels)
		if s.Err() != nil {
			return nil, s.Err()
		}
		if last = e.Ts; last >= r.q.start && last <= r.q.end {
			out = append(out, e)
		}
	}
	return out, nil
}

// selection decides which series match, each name and value of a matcher once.
type selection struct {
	strings []string
	sets    [][]*condition
}

type condition struct {
	m       *labels.Matcher
	name    uint64 // of the label; len(strings) if no series has it
	absent  bool   // series without the label match
	decided []int8 // by value: 1 matches, -1 does not
}

func newSelection(strings []string, matchers [][]*labels.Matcher) *selection {
	s := &selection{strings: strings}
	for _, ms := range matchers {
		set := make([]*condition, 0, len(ms))
		for _, m := range ms {
			i, ok := slices.BinarySearch(strings, m.Name)
			if !ok {
				i = len(strings)
			}
			set = append(set, &condition{m: m, name: uint64(i), absent: m.Matches(""), decided: make([]int8, len(strings))}) //nolint:gosec // an index
		}
		s.sets = append(s.sets, set)
	}
	return s
}

func (s *selection) matches(pairs []uint64) bool {
	return slices.ContainsFunc(s.sets, func(set []*condition) bool {
		return !slices.ContainsFunc(set, func(c *condition) bool { return !s.holds(c, pairs) })
	})
}

func (s *selection) holds(c *condition, pairs []uint64) bool {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] != c.name {
			continue
		}
		d := &c.decided[pairs[i+1]]
		if *d == 0 {
			*d = -1
			if c.m.Matches(s.strings[pairs[i+1]]) {
				*d = 1
			}
		}
		return *d == 1
	}
	return c.absent
}
