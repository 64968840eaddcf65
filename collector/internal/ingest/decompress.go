package ingest

import (
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc"
)

// maxZstdWindow bounds what a zstd frame may make a decoder allocate before it
// has delivered a byte. Encoders use up to 8 MiB unless told otherwise, ours of
// klauspost/compress up to 32 MiB.
const maxZstdWindow = 32 << 20

// Decompressors are pooled decoders for request bodies, by content encoding.
type Decompressors struct {
	gzip sync.Pool
	zstd sync.Pool
}

// Gzip returns a reader of a gzip stream.
func (d *Decompressors) Gzip(body io.ReadCloser) (io.ReadCloser, error) {
	z, _ := d.gzip.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	if err := z.Reset(body); err != nil {
		d.gzip.Put(z)
		return nil, err
	}
	return &pooled{Reader: z, release: func() { d.gzip.Put(z) }, body: body}, nil
}

// Zstd returns a reader of a zstd stream.
func (d *Decompressors) Zstd(body io.ReadCloser) (io.ReadCloser, error) {
	z, _ := d.zstd.Get().(*zstd.Decoder)
	if z == nil {
		var err error
		z, err = zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1), // no goroutines, so a dropped decoder is just garbage
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow),
		)
		if err != nil {
			return nil, err
		}
	}
	if err := z.Reset(body); err != nil {
		return nil, err
	}
	release := func() {
		if z.Reset(nil) == nil {
			d.zstd.Put(z)
		}
	}
	return &pooled{Reader: z, release: release, body: body}, nil
}

// pooled gives its decoder back when it is closed; reading ends there.
type pooled struct {
	io.Reader
	release func()
	body    io.Closer
}

func (p *pooled) Close() error {
	if p.release != nil {
		p.Reader = eofReader{}
		p.release()
		p.release = nil
	}
	return p.body.Close()
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }

// grpcZstd decompresses gRPC messages. The one that configgrpc registers lets a
// frame of a few bytes ask for a window of 512 MiB.
type grpcZstd struct {
	decoders *Decompressors
	limit    int64
}

// ZstdOption makes a server decompress zstd within bounds. limit is the
// server's limit of a message, in bytes.
func ZstdOption(limit int64) grpc.ServerOption {
	//nolint:staticcheck // SA1019: the successor is registered for the whole process, in an init function
	return grpc.RPCDecompressor(&grpcZstd{decoders: new(Decompressors), limit: limit})
}

// Type implements grpc.Decompressor.
func (*grpcZstd) Type() string { return "zstd" }

// Do implements grpc.Decompressor. It reads one byte more than the limit, by
// which the server sees that the message is over it.
func (z *grpcZstd) Do(r io.Reader) ([]byte, error) {
	body, err := z.decoders.Zstd(io.NopCloser(r))
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(io.LimitReader(body, z.limit+1))
}
