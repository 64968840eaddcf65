package encoding

import (
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// The hash is part of the file format: 64 x 64 bit multiplications folded onto
// themselves, in the manner of wyhash (public domain, Wang Yi), with ASCII
// letters lowered on the way where words are hashed.
const (
	hashK0 = 0xa0761d6478bd642f
	hashK1 = 0xe7037ed1a0b428db
	hashK2 = 0x8ebc6af09c88c6e3
)

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// HashValue returns the hash of a whole value.
func HashValue(b []byte) uint64 {
	n := uint64(len(b))
	h := uint64(hashK0)
	for len(b) > 16 {
		h = mix(binary.LittleEndian.Uint64(b)^hashK1, binary.LittleEndian.Uint64(b[8:])^h)
		b = b[16:]
	}
	lo, hi := tail(b)
	return mix(hashK2^n, mix(lo^hashK1, hi^h))
}

// hashWord returns the hash of an ASCII word in whatever case.
func hashWord(b []byte) uint64 {
	n := uint64(len(b))
	h := uint64(hashK2)
	for len(b) > 16 {
		h = mix(lower8(binary.LittleEndian.Uint64(b))^hashK1, lower8(binary.LittleEndian.Uint64(b[8:]))^h)
		b = b[16:]
	}
	lo, hi := tail(b)
	return mix(hashK0^n, mix(lower8(lo)^hashK1, lower8(hi)^h))
}

// tail loads up to 16 bytes into two words. Short inputs load overlapping bytes,
// which the length, hashed too, makes unambiguous.
func tail(b []byte) (lo, hi uint64) {
	switch n := len(b); {
	case n >= 8:
		return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	case n > 0:
		return uint64(b[0]), uint64(b[n>>1])<<8 | uint64(b[n-1])
	}
	return 0, 0
}

// lower8 lowers the ASCII letters among eight bytes.
func lower8(w uint64) uint64 {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	low7 := w &^ high
	geA := low7 + (0x80-'A')*ones
	gtZ := low7 + (0x80-'Z'-1)*ones
	upper := (geA &^ gtZ) & high &^ w
	return w | upper>>2
}

// wordByte tells the bytes of words: letters, digits, '_', and all of UTF-8's
// multi-byte sequences. 2 marks the latter.
var wordByte = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 0x80:
			t[c] = 2
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
			t[c] = 1
		}
	}
	return t
}()

// IsWordByte reports whether c belongs to words.
func IsWordByte(c byte) bool { return wordByte[c] != 0 }

// NextWord returns the bounds of the first word at or after i; start is len(text) if there is none.
func NextWord(text []byte, i int) (start, end int) {
	for i < len(text) && wordByte[text[i]] == 0 {
		i++
	}
	start = i
	for i < len(text) && wordByte[text[i]] != 0 {
		i++
	}
	return start, i
}

// HashWord returns the hash of a word, the same for all its spellings in
// upper and lower case (Unicode simple folding).
func HashWord(word []byte) uint64 {
	for _, c := range word {
		if c >= 0x80 {
			return hashWord(foldWord(word))
		}
	}
	return hashWord(word)
}

// foldWord maps each rune to the least of those it folds to, so that the Kelvin
// sign and k, or both cases of a Greek letter, hash alike.
func foldWord(word []byte) []byte {
	out := make([]byte, 0, len(word)+8)
	for len(word) > 0 {
		r, n := utf8.DecodeRune(word)
		if r == utf8.RuneError && n <= 1 {
			out = append(out, word[0])
			word = word[1:]
			continue
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		out = utf8.AppendRune(out, least)
		word = word[n:]
	}
	return out
}
