package scan

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

var errCorrupt = errors.New("corrupt")

func TestScanner(t *testing.T) {
	var src []byte
	unsigned := []uint64{0, 1, 127, 128, 1 << 40, math.MaxUint64}
	signed := []int64{0, -1, 63, -64, 64, math.MinInt64, math.MaxInt64}
	for _, u := range unsigned {
		src = binary.AppendUvarint(src, u)
	}
	for _, v := range signed {
		src = binary.AppendVarint(src, v)
	}
	src = append(src, "\x03one\x00\x02xyab"...)
	s := New(src, errCorrupt)
	for _, u := range unsigned {
		require.Equal(t, u, s.Uvarint())
	}
	for _, v := range signed {
		require.Equal(t, v, s.Varint())
	}
	require.Equal(t, "one", s.Text())
	require.Empty(t, s.Sized())
	require.Equal(t, 2, s.Count())
	require.Equal(t, []byte("xy"), s.Bytes(2))
	require.Equal(t, 2, s.Len())
	require.NoError(t, s.Err())
}

func TestFailuresLast(t *testing.T) {
	for name, tc := range map[string]struct {
		src  string
		read func(*Scanner)
	}{
		"no number":            {"", func(s *Scanner) { s.Uvarint() }},
		"number without end":   {"\xff\xff", func(s *Scanner) { s.Varint() }},
		"number too large":     {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", func(s *Scanner) { s.Uvarint() }},
		"more things than fit": {"\x05abc", func(s *Scanner) { s.Count() }},
		"too few bytes":        {"abc", func(s *Scanner) { s.Bytes(math.MaxUint64) }},
		"cut text":             {"\x04abc", func(s *Scanner) { _ = s.Text() }},
	} {
		t.Run(name, func(t *testing.T) {
			s := New([]byte(tc.src), errCorrupt)
			tc.read(&s)
			require.ErrorIs(t, s.Err(), errCorrupt)
			require.Zero(t, s.Len())
			require.Zero(t, s.Uvarint())
			require.Empty(t, s.Sized())
			require.ErrorIs(t, s.Err(), errCorrupt)
		})
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte("\x03one\x80\x01\x02"), byte(3))
	f.Fuzz(func(t *testing.T, src []byte, what byte) {
		s := New(src, errCorrupt)
		for s.Len() > 0 {
			before := s.Len()
			switch what % 4 {
			case 0:
				s.Uvarint()
			case 1:
				s.Varint()
			case 2:
				require.LessOrEqual(t, s.Count(), len(src))
			case 3:
				require.LessOrEqual(t, len(s.Sized()), len(src))
			}
			require.Less(t, s.Len(), before)
		}
	})
}
