package scan

import (
	"encoding/binary"
	"fmt"
)

// Scanner takes bytes apart from their beginning. After a failure it returns
// zeros, so that the error need only be looked at where it matters.
type Scanner struct {
	rest    []byte
	corrupt error
	err     error
}

// New returns a scanner of src. The error of a failure has corrupt in its chain.
func New(src []byte, corrupt error) Scanner { return Scanner{rest: src, corrupt: corrupt} }

// Err returns the first failure.
func (s *Scanner) Err() error { return s.err }

// Len returns how many bytes are left, none after a failure.
func (s *Scanner) Len() int { return len(s.rest) }

// Fail notes that what was read makes no sense.
func (s *Scanner) Fail(what string) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %s", s.corrupt, what)
	}
	s.rest = nil
}

// Uvarint returns an unsigned integer, as encoding/binary writes it.
func (s *Scanner) Uvarint() uint64 {
	if len(s.rest) > 0 && s.rest[0] < 0x80 {
		u := s.rest[0]
		s.rest = s.rest[1:]
		return uint64(u)
	}
	u, n := binary.Uvarint(s.rest)
	if n <= 0 {
		s.Fail("number")
		return 0
	}
	s.rest = s.rest[n:]
	return u
}

// Varint returns a signed integer, as encoding/binary writes it.
func (s *Scanner) Varint() int64 {
	u := s.Uvarint()
	return int64(u>>1) ^ -int64(u&1) //nolint:gosec // zigzag
}

// Count is a number of things of at least one byte each that follow.
func (s *Scanner) Count() int {
	n := s.Uvarint()
	if n > uint64(len(s.rest)) {
		s.Fail("count")
		return 0
	}
	return int(n) //nolint:gosec // a length
}

// Bytes returns the next n bytes, in the memory of the source.
func (s *Scanner) Bytes(n uint64) []byte {
	if n > uint64(len(s.rest)) {
		s.Fail("length")
		return nil
	}
	b := s.rest[:n:n]
	s.rest = s.rest[n:]
	return b
}

// Sized returns bytes that follow their length, in the memory of the source.
func (s *Scanner) Sized() []byte { return s.Bytes(s.Uvarint()) }

// Text returns a copy of text that follows its length.
func (s *Scanner) Text() string { return string(s.Sized()) }
