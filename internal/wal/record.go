package wal

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

const (
	segmentMagic   = "BELFWAL\x00"
	segmentVersion = 1
	segmentHeader  = 32

	recordMagic  = 0xb3f1
	recordHeader = 24

	// MaxRecord is the largest payload.
	MaxRecord = 1 << 30
	maxTenant = 1<<16 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Record is an entry of the log.
type Record struct {
	Kind    uint8
	Codec   uint8 // how Payload is compressed; the owner's business
	Tenant  string
	Time    time.Time // when it was received; kept to the nanosecond
	Payload []byte

	// Owner is carried from Append to Committed and is not written.
	Owner any
}

// Position is a place in the log: the offset in a segment where a record begins
// or the one before it ends.
type Position struct {
	Segment uint64
	Offset  int64
}

// Before reports whether p lies before q.
func (p Position) Before(q Position) bool {
	return p.Segment < q.Segment || p.Segment == q.Segment && p.Offset < q.Offset
}

func (r *Record) size() int { return recordHeader + len(r.Tenant) + len(r.Payload) }

// appendHeader appends the header and the tenant; the payload follows. The checksum is that of
// everything behind it, not yet combined with the segment's salt.
func (r *Record) appendHeader(dst []byte) []byte {
	start := len(dst)
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, uint32(len(r.Payload)))
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint16(dst, recordMagic)
	dst = append(dst, r.Kind, r.Codec)
	dst = le.AppendUint64(dst, uint64(r.Time.UnixNano()))
	dst = le.AppendUint16(dst, uint16(len(r.Tenant)))
	dst = le.AppendUint16(dst, 0)
	dst = append(dst, r.Tenant...)
	crc := crc32.Update(crc32.Checksum(dst[start:start+4], castagnoli), castagnoli, dst[start+8:])
	crc = crc32.Update(crc, castagnoli, r.Payload)
	le.PutUint32(dst[start+4:], crc)
	return dst
}

// parseRecord reads the record at the beginning of b and returns its size, 0 if
// there is no whole, undamaged one. The record shares b.
func parseRecord(b []byte, salt uint32) (Record, int) {
	if len(b) < recordHeader {
		return Record{}, 0
	}
	le := binary.LittleEndian
	payload, tenant := int(le.Uint32(b)), int(le.Uint16(b[20:]))
	if le.Uint16(b[8:]) != recordMagic || payload > MaxRecord || len(b) < recordHeader+tenant+payload {
		return Record{}, 0
	}
	n := recordHeader + tenant + payload
	crc := crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, b[8:n])
	if crc^salt != le.Uint32(b[4:]) {
		return Record{}, 0
	}
	return Record{
		Kind:    b[10],
		Codec:   b[11],
		Time:    time.Unix(0, int64(le.Uint64(b[12:]))).UTC(),
		Tenant:  string(b[recordHeader : recordHeader+tenant]),
		Payload: b[recordHeader+tenant : n : n],
	}, n
}

func appendSegmentHeader(dst []byte, number uint64, salt uint32) []byte {
	start := len(dst)
	dst = append(dst, segmentMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, segmentVersion)
	dst = binary.LittleEndian.AppendUint32(dst, salt)
	dst = binary.LittleEndian.AppendUint64(dst, number)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func parseSegmentHeader(b []byte) (salt uint32, version uint32, ok bool) {
	if len(b) < segmentHeader || string(b[:8]) != segmentMagic {
		return 0, 0, false
	}
	if binary.LittleEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli) {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint32(b[12:]), binary.LittleEndian.Uint32(b[8:]), true
}
