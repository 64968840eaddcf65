package encoding

import (
	"encoding/binary"
	"hash/crc32"
)

// Integers of which few may be wanted at a time are kept in pages with a checksum each: where they would be,
// a head tells how to read them, and their runs are elsewhere, some in every page. Constants, tables
// and what is short have no pages.
const (
	intPageBytes = 4 << 10
	minPaged     = 2 * intPageBytes
)

// Pages reads pages: n bytes at an offset, verified against crc. The bytes are good until
// the next call.
type Pages interface {
	ReadPage(off, n int, crc uint32) ([]byte, error)
}

// PageReader reads the pages of arrays, which lie one behind the other in the order of the arrays. What decodes an
// array, or skips it, moves the reader behind its pages.
type PageReader struct {
	Pages Pages
	Off   int // of the next page
}

// AppendPagedInts appends integers to head, and their pages to pages.
func AppendPagedInts(head, pages []byte, vals []uint64) (headAfter, pagesAfter []byte) {
	return appendInts(head, pages, vals, true)
}

func (p *plan) appendPaged(head, pages []byte, vals []uint64) (headAfter, pagesAfter []byte) {
	head = p.appendHead(append(head, intsPaged), vals[0])
	prev := uint64(0)
	if p.delta {
		prev, vals = vals[0], vals[1:]
	}
	runs := (len(vals) + runLen - 1) / runLen
	inPage := max(intPageBytes*runs/p.size, 1)
	head = binary.AppendUvarint(head, uint64(inPage))
	for before := prev; len(vals) > 0; {
		k, at := min(inPage*runLen, len(vals)), len(pages)
		pages = p.appendRuns(pages, vals[:k], prev)
		head = binary.AppendUvarint(head, uint64(len(pages)-at))
		head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(pages[at:], Castagnoli))
		if p.delta {
			head = binary.AppendVarint(head, int64(prev-before))
			before = prev
		}
		prev, vals = vals[k-1], vals[k:]
	}
	return head, pages
}

// runsHead is what precedes runs.
type runsHead struct {
	delta     bool
	gcd, base uint64
	first     uint64 // of differences: the value before the first run
	inPage    int    // runs in a page; 0: the runs follow
}

// readHead reads the head of n integers of a mode with runs.
func readHead(r *Reader, mode byte) (h runsHead) {
	paged := mode == intsPaged
	if paged {
		mode = r.Byte()
	}
	if mode != intsFrame && mode != intsDelta {
		r.Fail()
		return h
	}
	h.delta, h.gcd, h.base = mode == intsDelta, r.Uvarint(), uint64(r.Varint())
	if h.delta {
		h.first = uint64(r.Varint())
	}
	if paged {
		if h.inPage = r.Count(MaxRows); h.inPage == 0 {
			r.Fail()
		}
	}
	return h
}

// span is values [from, to) of an array, whose runs follow each other.
type span struct {
	from, to int
	before   uint64 // of differences: the value before the first
}

// spans goes over the spans of n integers: the pages, or all where the runs follow the head.
type spans struct {
	span
	runsHead
	r     Reader // behind what was gone over
	n     int
	pages PageReader // likewise

	off, size int // of the page
	crc       uint32
	page      Reader
}

// spansOf reads the head of n integers of a mode with runs.
func spansOf(r Reader, mode byte, n int, pages *PageReader) (s spans, err error) {
	s.r, s.n = r, n
	s.runsHead = readHead(&s.r, mode)
	s.before = s.first
	if s.delta {
		s.to = 1
	}
	if pages != nil {
		s.pages = *pages
	}
	if s.inPage > 0 && s.pages.Pages == nil {
		s.r.Fail()
	}
	return s, s.r.Err()
}

// next goes to the next span; false if there is none, or none that can be read.
func (s *spans) next() bool {
	s.from = s.to
	if s.from >= s.n || s.r.Bad() {
		return false
	}
	if s.inPage == 0 {
		s.to = s.n
		return true
	}
	s.to = min(s.from+s.inPage*runLen, s.n)
	s.size, s.crc = s.r.Count(MaxPageBytes), s.r.Uint32()
	if s.delta {
		s.before += uint64(s.r.Varint())
	}
	s.off = s.pages.Off
	s.pages.Off += s.size
	return !s.r.Bad()
}

// open reads the page of the span, if it has one.
func (s *spans) open() (err error) {
	if s.inPage > 0 {
		s.page.B, err = s.pages.Pages.ReadPage(s.off, s.size, s.crc)
	}
	return err
}

// runs returns the runs of the span that is open.
func (s *spans) runs() *Reader {
	if s.inPage > 0 {
		return &s.page
	}
	return &s.r
}

// end returns what follows the integers, and moves the reader of their pages behind these.
func (s *spans) end(pages *PageReader) ([]byte, error) {
	if pages != nil {
		pages.Off = s.pages.Off
	}
	return s.r.B, s.r.Err()
}

// DecodePagedInts is DecodeInts for integers that may have pages.
func DecodePagedInts(dst []uint64, src []byte, pages *PageReader) ([]byte, error) {
	if len(dst) == 0 {
		return src, nil
	}
	r := Reader{B: src}
	switch mode := r.Byte(); mode {
	case intsConst:
		v := uint64(r.Varint())
		for i := range dst {
			dst[i] = v
		}
	case intsTable:
		return decodeTable(dst, &r)
	default:
		s, err := spansOf(r, mode, len(dst), pages)
		if err != nil {
			return nil, err
		}
		if s.delta {
			dst[0] = s.first
		}
		for s.next() {
			if err := s.open(); err != nil {
				return nil, err
			}
			if err := s.decode(dst[s.from:s.to], s.runs(), s.before); err != nil {
				return nil, err
			}
		}
		return s.end(pages)
	}
	return r.B, r.Err()
}

// SkipPagedInts is SkipInts for integers that may have pages.
func SkipPagedInts(src []byte, n int, pages *PageReader) ([]byte, error) {
	if n == 0 {
		return src, nil
	}
	r := Reader{B: src}
	switch mode := r.Byte(); mode {
	case intsConst:
		r.Varint()
	case intsTable:
		var room [maxTable]uint64
		readTable(&r, &room)
		rest, err := SkipIDs(r.B, n)
		if r.Bad() {
			return nil, ErrCorrupt
		}
		return rest, err
	default:
		s, err := spansOf(r, mode, n, pages)
		if err != nil {
			return nil, err
		}
		for s.next() {
			for at := s.from; s.inPage == 0 && at < s.to && !s.r.Bad(); at += runLen {
				readRun(&s.r, min(s.to-at, runLen), s.delta)
			}
		}
		return s.end(pages)
	}
	return r.B, r.Err()
}
