package encoding

import (
	"github.com/klauspost/compress/zstd"
)

// Level is how hard to compress.
type Level uint8

// The levels: Fast for what will be merged soon, Small for what stays.
const (
	Fast Level = iota
	Small
)

// Codec holds the compressors, which are costly to make and keep buffers. It is
// safe for concurrent use.
type Codec struct {
	fast, small *zstd.Encoder
	dec         *zstd.Decoder
}

// NewCodec returns a Codec whose methods up to n goroutines use at full speed, half as many where it is to compress
// harder: the memory for that is several times as much, and those who do it are in no hurry.
func NewCodec(n int) (*Codec, error) {
	encoder := func(level zstd.EncoderLevel, n int) (*zstd.Encoder, error) {
		return zstd.NewWriter(nil,
			zstd.WithEncoderLevel(level),
			zstd.WithEncoderConcurrency(n),
			zstd.WithWindowSize(128<<10),
			zstd.WithLowerEncoderMem(true),
			zstd.WithEncoderCRC(false), // every page has a checksum of its own
			zstd.WithSingleSegment(true))
	}
	fast, err := encoder(zstd.SpeedFastest, n)
	if err != nil {
		return nil, err
	}
	small, err := encoder(zstd.SpeedDefault, (n+1)/2)
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(n),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxMemory(MaxPageBytes))
	if err != nil {
		return nil, err
	}
	return &Codec{fast: fast, small: small, dec: dec}, nil
}

// Close frees the buffers.
func (c *Codec) Close() {
	_ = c.fast.Close() // nothing is written
	_ = c.small.Close()
	c.dec.Close()
}

const (
	frameRaw  = 0
	frameZstd = 1
)

// AppendFrame appends raw: its length, how it is stored, its length as stored, the bytes.
// It is compressed if that saves an eighth.
func (c *Codec) AppendFrame(dst, raw []byte, level Level, compress bool) []byte {
	r := AppendUvarint(dst, uint64(len(raw)))
	if compress && len(raw) >= 64 {
		enc := c.fast
		if level == Small {
			enc = c.small
		}
		// Compress behind room for the longest header, then move up.
		const room = 6
		start := len(r)
		z := enc.EncodeAll(raw, append(r, make([]byte, room)...))
		body := z[start+room:]
		if len(body) <= len(raw)-len(raw)/8 {
			head := AppendUvarint(append(z[:start], frameZstd), uint64(len(body)))
			return append(head, body...)
		}
		r = z[:start]
	}
	r = append(r, frameRaw)
	r = AppendUvarint(r, uint64(len(raw)))
	return append(r, raw...)
}

// FrameLen returns the raw length of the frame at the beginning of src.
func FrameLen(src []byte) (int, error) {
	r := Reader{B: src}
	n := r.Count(MaxPageBytes)
	return n, r.Err()
}

// Slack is how many bytes behind dst DecodeFrame may overwrite if dst's capacity
// has them; it decodes faster with room to spare.
const Slack = 16

// DecodeFrame fills dst, whose length is FrameLen's, and returns what follows.
func (c *Codec) DecodeFrame(dst, src []byte) ([]byte, error) {
	r := Reader{B: src}
	n := r.Count(MaxPageBytes)
	mode := r.Byte()
	body := r.Bytes()
	if r.Bad() || n != len(dst) {
		return nil, ErrCorrupt
	}
	switch mode {
	case frameRaw:
		if len(body) != n {
			return nil, ErrCorrupt
		}
		copy(dst, body)
	case frameZstd:
		out, err := c.dec.DecodeAll(body, dst[:0:min(cap(dst), n+Slack)])
		if err != nil || len(out) != n {
			return nil, ErrCorrupt
		}
	default:
		return nil, ErrCorrupt
	}
	return r.B, nil
}
