package collector

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

const smallLimit = 1 << 20

// nested returns a logs request whose record has a body of arrays in arrays.
func nested(levels int) []byte {
	// Built from the inside out, into the end of the buffer: each level is two
	// tags with lengths.
	buf := make([]byte, 12*levels+64)
	at := len(buf)
	wrap := func(field protowire.Number) {
		head := protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.BytesType), uint64(len(buf)-at))
		at -= len(head)
		copy(buf[at:], head)
	}
	for range levels {
		wrap(1) // ArrayValue.values
		wrap(5) // AnyValue.array_value
	}
	for _, field := range []protowire.Number{5, 2, 2, 1} { // body, log record, scope logs, resource logs
		wrap(field)
	}
	return buf[at:]
}

// hugeWindow is a zstd frame that asks its decoder for 512 MiB and has nothing.
func hugeWindow() []byte {
	frame := binary.LittleEndian.AppendUint32(nil, 0xFD2FB528)
	frame = append(frame, 0, 19<<3)                                    // no single segment; window 2^(10+19)
	return append(frame, byte(1|1<<1|(8<<3)), byte(8>>5), 0, 'x', 'x') // one RLE block
}

// TestBadHTTP sends each bad input to the port and to the handlers of the main
// listener, on both lanes.
func TestBadHTTP(t *testing.T) {
	protobuf := map[string]string{"Content-Type": "application/x-protobuf"}
	json := map[string]string{"Content-Type": "application/json"}
	with := func(base map[string]string, key, value string) map[string]string {
		out := map[string]string{key: value}
		for k, v := range base {
			if k != key {
				out[k] = v
			}
		}
		return out
	}
	good := request(t, "logs", []string{"good"}, 0)
	big := bytes.Repeat([]byte{' '}, smallLimit+1)
	// Compressed, it stays under what the server reads of a refused body, so that
	// the answer is not lost to a connection closed while it is being sent.
	bomb := make([]byte, 32<<20)
	gzipBomb, zstdBomb := gzipped(t, bomb), zstded(t, bomb)
	tests := []struct {
		name   string
		header map[string]string
		body   []byte
		code   int
		reason string // in the Status; empty where the answer is plain text or OK
	}{
		{"wrong content type", map[string]string{"Content-Type": "text/plain"}, good, 415, ""},
		{"no content type", nil, good, 415, ""},
		{"unknown encoding", with(protobuf, "Content-Encoding", "rot13"), good, 415, ""},
		{"malformed protobuf", protobuf, []byte("not protobuf"), 400, "malformed protobuf"},
		{"truncated protobuf", protobuf, good[:len(good)-3], 400, "malformed protobuf"},
		{"malformed JSON", json, []byte(`{"resourceLogs": [`), 400, "malformed JSON"},
		{"JSON of another shape", json, []byte(`{"resourceLogs": 7}`), 400, "malformed JSON"},
		{"not gzip", with(protobuf, "Content-Encoding", "gzip"), good, 400, "gzip"},
		{"torn gzip", with(protobuf, "Content-Encoding", "gzip"), gzipped(t, good)[:20], 400, "EOF"},
		{"not zstd", with(protobuf, "Content-Encoding", "zstd"), good, 400, "magic number"},
		{"large window", with(protobuf, "Content-Encoding", "zstd"), hugeWindow(), 400, "window size"},
		{"large body", json, big, 413, "over the limit of 1048576 bytes"},
		{"gzip bomb", with(protobuf, "Content-Encoding", "gzip"), gzipBomb, 413, "over the limit of 1048576 bytes"},
		{"zstd bomb", with(protobuf, "Content-Encoding", "zstd"), zstdBomb, 413, "over the limit of 1048576 bytes"},
		{"deep protobuf", protobuf, nested(100_000), 400, "nested deeper"},
		{"deep JSON", json, []byte(strings.Repeat(`{"resourceLogs":[`, 10_000)), 400, "nested deeper"},
		{"bad tenant", with(protobuf, "X-Scope-OrgID", "../x"), good, 400, "tenant"},
		{"empty protobuf", protobuf, nil, 200, ""},
		{"empty JSON", json, []byte(`{}`), 200, ""},
	}
	for lane, user := range map[string]map[string]any{"wire": nil, "processors": withProcessor("resource", map[string]any{
		"attributes": []any{map[string]any{"key": "x", "value": "y", "action": "insert"}},
	})} {
		w := start(t, user, func(s *Settings) { s.MaxRequestSize = smallLimit })
		for door, send := range map[string]sender{"port": w.overHTTP(), "mux": w.overMux()} {
			for _, tt := range tests {
				t.Run(lane+"/"+door+"/"+tt.name, func(t *testing.T) {
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					a := send(t, "/v1/logs", tt.header, tt.body)
					runtime.ReadMemStats(&after)
					require.Equal(t, tt.code, a.code, string(a.body))
					if tt.reason != "" {
						st := a.status(t)
						require.Contains(t, st.GetMessage(), tt.reason)
						require.Equal(t, int32(codes.InvalidArgument), st.GetCode())
					}
					require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20), "memory taken")
					require.Empty(t, w.logs.names("default"))
				})
			}
		}
		// After all that the next good request is kept.
		require.Equal(t, http.StatusOK, w.overHTTP()(t, "/v1/logs", protobuf, good).code)
		require.Equal(t, []string{"good"}, w.logs.names("default"))
	}
}

func TestOnlyPost(t *testing.T) {
	w := start(t, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.http+"/v1/traces", nil)
	require.NoError(t, err)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	require.Equal(t, http.MethodPost, resp.Header.Get("Allow"))
}

func TestBadGRPC(t *testing.T) {
	w := start(t, nil, func(s *Settings) { s.MaxRequestSize = smallLimit })
	conn := w.dial(t)
	for _, signal := range signals {
		_, err := export(t.Context(), conn, signal, []byte("not protobuf"))
		require.Equal(t, codes.InvalidArgument, status.Code(err), signal)
		_, err = export(t.Context(), conn, signal, nil)
		require.NoError(t, err, signal)
	}
	_, err := export(t.Context(), conn, "logs", nested(50_000))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, "nested deeper")

	// Too large is not worth sending again, which is what no RetryInfo means.
	_, err = export(t.Context(), conn, "logs", make([]byte, smallLimit+1))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Zero(t, retryDelayOf(err))
	_, err = export(t.Context(), conn, "logs", make([]byte, 64<<20), grpc.UseCompressor("gzip"))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Zero(t, retryDelayOf(err))

	good := request(t, "logs", []string{"good"}, 0)
	_, err = export(t.Context(), conn, "logs", good)
	require.NoError(t, err)
	require.Equal(t, []string{"good"}, w.logs.names("default"))
}

// asIs sends messages as they are, under the name of a compression.
type asIs struct{ name string }

func (c asIs) Type() string                      { return c.name }
func (c asIs) Do(w io.Writer, body []byte) error { _, err := w.Write(body); return err }

func TestCompressedGRPC(t *testing.T) {
	w := start(t, nil, func(s *Settings) { s.MaxRequestSize = smallLimit })
	good := request(t, "logs", []string{"good"}, 0)
	bomb := make([]byte, 64<<20)
	for _, tt := range []struct {
		name, encoding string
		body           []byte
		code           codes.Code
	}{
		{"gzip", "gzip", gzipped(t, good), codes.OK},
		{"zstd", "zstd", zstded(t, good), codes.OK},
		{"not gzip", "gzip", good, codes.Internal},
		{"not zstd", "zstd", good, codes.Internal},
		{"gzip bomb", "gzip", gzipped(t, bomb), codes.ResourceExhausted},
		{"zstd bomb", "zstd", zstded(t, bomb), codes.ResourceExhausted},
		{"large window", "zstd", hugeWindow(), codes.Internal},
		{"unknown", "rot13", good, codes.Unimplemented},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := grpc.NewClient(w.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithCompressor(asIs{tt.encoding})) //nolint:staticcheck // SA1019: the only way to send what is not compressed
			require.NoError(t, err)
			defer func() { require.NoError(t, conn.Close()) }()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = export(t.Context(), conn, "logs", tt.body)
			runtime.ReadMemStats(&after)
			require.Equal(t, tt.code, status.Code(err), "%v", err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20), "memory taken")
		})
	}
	require.Equal(t, []string{"good", "good"}, w.logs.names("default"))
}
