package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

// answer is what an HTTP server said.
type answer struct {
	code   int
	header http.Header
	body   string
}

// send posts a body with headers given as name, value, name, value.
func (s *server) send(target string, body []byte, headers ...string) answer {
	s.t.Helper()
	a, err := s.trySend(target, body, headers...)
	require.NoError(s.t, err)
	return a
}

func (s *server) trySend(target string, body []byte, headers ...string) (answer, error) {
	if strings.HasPrefix(target, "/") {
		target = s.base + target
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

// rawCodec lets a gRPC client send bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string                       { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }

// callRaw calls a unary gRPC method with a message that is already encoded, or
// that is no message at all.
func (s *server) callRaw(addr, method string, message []byte, opts ...grpc.CallOption) ([]byte, error) {
	s.t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	defer conn.Close()
	var out []byte
	err = conn.Invoke(s.t.Context(), method, &message, &out, append(opts, grpc.ForceCodec(rawCodec{}))...)
	return out, err
}

// field encodes one length-delimited field of a protobuf message.
func field(number protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), bytes.Join(parts, nil))
}

func varint(number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), value)
}

// freeAddr returns an address that was free a moment ago.
func (s *server) freeAddr(network string) string {
	s.t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(s.t, err)
		defer c.Close()
		return c.LocalAddr().String()
	}
	return fmt.Sprintf("127.0.0.1:%d", freePorts(s.t, 1)[0])
}

// line is a log line with the labels of its stream.
type line struct {
	text   string
	labels map[string]string
}

// lokiLines returns what a LogQL query finds within an hour around now.
func (s *server) lokiLines(query string) ([]line, error) {
	var found struct {
		Data struct {
			Result []struct {
				Stream map[string]string
				Values [][2]string
			}
		}
	}
	err := s.get("/loki/api/v1/query_range", &found, "query", query, "limit", "1000", "since", "1h")
	var lines []line
	for _, r := range found.Data.Result {
		for _, v := range r.Values {
			lines = append(lines, line{v[1], r.Stream})
		}
	}
	return lines, err
}

// wantLine waits for a query to find one line and returns it.
func (s *server) wantLine(query string) line {
	s.t.Helper()
	var found []line
	s.eventually("a line for "+query, func() (err error) {
		if found, err = s.lokiLines(query); err == nil && len(found) != 1 {
			err = fmt.Errorf("%d lines: %v", len(found), found)
		}
		return err
	})
	return found[0]
}

// sample is a series with its value at an instant.
type sample struct {
	labels    map[string]string
	value     string
	histogram map[string]any
}

func (s *server) promSamples(query string) ([]sample, error) {
	var found struct {
		Data struct {
			Result []struct {
				Metric    map[string]string
				Value     [2]any
				Histogram []any
			}
		}
	}
	err := s.get("/api/v1/query", &found, "query", query)
	var samples []sample
	for _, r := range found.Data.Result {
		x := sample{labels: r.Metric, value: fmt.Sprint(r.Value[1])}
		if len(r.Histogram) == 2 {
			x.histogram, _ = r.Histogram[1].(map[string]any)
		}
		samples = append(samples, x)
	}
	return samples, err
}

// wantSample waits for a query to find one series and returns it.
func (s *server) wantSample(query string) sample {
	s.t.Helper()
	var found []sample
	s.eventually("a series for "+query, func() (err error) {
		if found, err = s.promSamples(query); err == nil && len(found) != 1 {
			err = fmt.Errorf("%d series: %v", len(found), found)
		}
		return err
	})
	return found[0]
}

// tempoTraces returns the IDs of the traces that a TraceQL query finds.
func (s *server) tempoTraces(query string) ([]string, error) {
	var found struct{ Traces []struct{ TraceID string } }
	err := s.get("/tempo/api/search", &found, "q", query, "limit", "1000")
	var ids []string
	for _, t := range found.Traces {
		ids = append(ids, t.TraceID)
	}
	return ids, err
}

// wantTrace waits for a query to find one trace and returns its ID.
func (s *server) wantTrace(query string) string {
	s.t.Helper()
	var found []string
	s.eventually("a trace for "+query, func() (err error) {
		if found, err = s.tempoTraces(query); err == nil && len(found) != 1 {
			err = fmt.Errorf("traces: %v", found)
		}
		return err
	})
	return found[0]
}
