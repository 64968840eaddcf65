package cold

import (
	"encoding/binary"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"belfry/tsdb/internal/scan"
)

// The section of series holds, for each series in order:
//
//	uvarint  labels in common with the series before * 2, + 1 if the names of the
//	         others are those of the series before, too
//	uvarint  number of labels, unless + 1
//	           for each label that is not in common:
//	           uvarint  name, unless + 1
//	           uvarint  value
//	uvarint  number of chunks
//	           uvarint  column of times * 2
//	           uvarint  bytes of the column of values
//	         or, for a chunk kept as it is:
//	           uvarint  number of samples * 2 + 1
//	           u8       encoding
//	           varint   first time, less the last of the chunk before, if there is one
//	           uvarint  last time, less the first
//	           uvarint  bytes
//
// The bytes of chunks follow each other in the order of series. The first of
// every 32 series has nothing in common with the one before, and the section of
// groups says for it: u32 where it begins, u64 where the bytes of its chunks
// begin.
const groupSize = 12

// chunk is some samples of a series.
type chunk struct {
	offset     uint64
	length     uint32
	times      uint32 // column of times, of a column
	n          uint32 // samples
	encoding   chunkenc.Encoding
	mint, maxt int64
}

// isColumn reports whether the chunk is a column of floats.
func (c *chunk) isColumn() bool { return c.encoding == chunkenc.EncNone }

func (c *chunk) overlaps(mint, maxt int64) bool { return c.mint <= maxt && c.maxt >= mint }

// appendSeries appends a series to the section; the one before it has labels
// last. groupStart says that reading may begin here.
func appendSeries(dst []byte, last, ls []label, groupStart bool, chunks []chunk) []byte {
	common := 0
	if !groupStart {
		for common < min(len(last), len(ls)) && last[common] == ls[common] {
			common++
		}
	}
	sameNames := !groupStart && len(last) == len(ls)
	for i := common; sameNames && i < len(ls); i++ {
		sameNames = last[i].name == ls[i].name
	}
	if sameNames {
		dst = binary.AppendUvarint(dst, uint64(common)<<1|1)
	} else {
		dst = binary.AppendUvarint(dst, uint64(common)<<1)
		dst = binary.AppendUvarint(dst, uint64(len(ls)))
	}
	for _, l := range ls[common:] {
		if !sameNames {
			dst = binary.AppendUvarint(dst, uint64(l.name))
		}
		dst = binary.AppendUvarint(dst, uint64(l.value))
	}
	dst = binary.AppendUvarint(dst, uint64(len(chunks)))
	before := int64(0)
	for i := range chunks {
		c := &chunks[i]
		if c.isColumn() {
			dst = binary.AppendUvarint(dst, uint64(c.times)<<1)
		} else {
			dst = binary.AppendUvarint(dst, uint64(c.n)<<1|1)
			dst = append(dst, byte(c.encoding))
			dst = binary.AppendVarint(dst, c.mint-before)
			dst = binary.AppendUvarint(dst, uint64(c.maxt-c.mint))
		}
		dst = binary.AppendUvarint(dst, uint64(c.length))
		before = c.maxt
	}
	return dst
}

// seriesReader reads series by number. Numbers in ascending order are read
// without beginning anew.
type seriesReader struct {
	b      *Block
	s      scan.Scanner
	next   uint32 // number of the series that s is at; 0 if none
	offset uint64 // of its chunks

	labels []label // of the series read last
	chunks []chunk
	lb     labels.ScratchBuilder
}

// read makes labels and chunks those of a series.
func (r *seriesReader) read(id uint32) error {
	if id == 0 || uint64(id) > r.b.meta.Stats.NumSeries {
		return corruptf("no series %d", id)
	}
	group := (id - 1) / seriesGroup
	if r.next == 0 || id < r.next || group != (r.next-1)/seriesGroup {
		entry := r.b.sections[sectionGroups][group*groupSize:]
		start := binary.LittleEndian.Uint32(entry)
		all := r.b.sections[sectionSeries]
		if uint64(start) > uint64(len(all)) {
			return corruptf("group of series %d", id)
		}
		r.s = scanner(all[start:])
		r.offset = binary.LittleEndian.Uint64(entry[4:])
		r.next = group*seriesGroup + 1
		r.labels = r.labels[:0]
	}
	for r.next <= id {
		r.step()
		if r.s.Err() != nil {
			r.next = 0
			return r.s.Err()
		}
		r.next++
	}
	return nil
}

// step reads the series that the scanner is at.
func (r *seriesReader) step() {
	head := r.s.Uvarint()
	common, n := head>>1, uint64(len(r.labels))
	sameNames := head&1 == 1
	if !sameNames {
		n = r.s.Uvarint()
	}
	if common > n || common > uint64(len(r.labels)) || n > MaxLabels {
		r.s.Fail("labels")
		return
	}
	for uint64(len(r.labels)) < n {
		r.labels = append(r.labels, label{})
	}
	r.labels = r.labels[:n]
	for i := common; i < n; i++ {
		l := &r.labels[i]
		if !sameNames {
			l.name = uint32(r.s.Uvarint())
		}
		l.value = uint32(r.s.Uvarint())
		if uint64(l.name) >= uint64(len(r.b.names.of)) || uint64(l.value) >= uint64(r.b.names.of[l.name].n) {
			r.s.Fail("label")
			return
		}
	}
	chunks := r.s.Count()
	r.chunks = r.chunks[:0]
	before := int64(0)
	for range chunks {
		c := r.chunk(before)
		if r.s.Err() != nil {
			return
		}
		r.chunks = append(r.chunks, c)
		r.offset += uint64(c.length)
		before = c.maxt
	}
}

// chunk reads a chunk; the one before it ended at a time.
func (r *seriesReader) chunk(before int64) chunk {
	c := chunk{offset: r.offset}
	which := r.s.Uvarint()
	if which&1 == 0 {
		if which>>1 >= uint64(len(r.b.times)) {
			r.s.Fail("column of times")
			return c
		}
		t := &r.b.times[which>>1]
		c.times, c.n, c.mint, c.maxt = uint32(which>>1), uint32(t.n), t.mint, t.maxt
	} else {
		c.n = uint32(which >> 1)
		if enc := r.s.Bytes(1); enc != nil {
			c.encoding = chunkenc.Encoding(enc[0])
		}
		c.mint = before + r.s.Varint()
		c.maxt = c.mint + int64(r.s.Uvarint())
		if c.encoding == chunkenc.EncNone {
			r.s.Fail("chunk encoding")
		}
	}
	length := r.s.Uvarint()
	if all := uint64(len(r.b.sections[sectionColumns])); length > all || r.offset > all-length {
		r.s.Fail("chunk is outside of the columns")
	}
	c.length = uint32(length)
	return c
}

// build returns the labels of the series read last.
func (r *seriesReader) build() (labels.Labels, error) {
	r.lb.Reset()
	for _, l := range r.labels {
		of := &r.b.names.of[l.name]
		if err := of.load(); err != nil {
			return labels.EmptyLabels(), err
		}
		r.lb.Add(r.b.names.names[l.name], of.strings[l.value])
	}
	return r.lb.Labels(), nil
}
