package api

import (
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"belfry/internal/fault"
	"belfry/internal/otlpwire"
	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql/syntax"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

func (a *API) push(w http.ResponseWriter, r *http.Request) {
	if err := a.pushRequest(w, r); err != nil {
		a.writeError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) pushRequest(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, a.o.MaxPushBytes)
	if err != nil {
		return err
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var streams []pushStream
	if mediaType == "application/json" {
		streams, err = decodeJSONPush(body)
	} else {
		if body, err = unsnap(body, a.o.MaxPushBytes); err == nil {
			streams, err = decodeProtoPush(body)
		}
	}
	if err != nil {
		return err
	}
	if len(streams) == 0 {
		return nil
	}
	res, err := a.o.Store.Append(r.Context(), tenant.ID(r.Context()), encodeOTLP(streams))
	if err != nil {
		return err
	}
	if res.Rejected > 0 { // as Loki: the good entries are kept, the sender is told of the bad ones
		return fault.Invalidf("%d of %d entries were rejected: %s", res.Rejected, res.Rejected+res.Accepted, res.Reason)
	}
	return nil
}

// readBody reads a request's body, uncompressed, up to limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	var body io.Reader = http.MaxBytesReader(w, r.Body, limit)
	var err error
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "", "identity", "snappy":
	case "gzip":
		body, err = gzip.NewReader(body)
	case "deflate":
		body, err = zlib.NewReader(body)
	default:
		return nil, fault.Invalidf("Content-Encoding %q is not supported", enc)
	}
	if err != nil {
		return nil, fault.Invalidf("request body: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) || int64(len(b)) > limit:
		return nil, fault.New(fault.TooLarge, "request body is larger than %d bytes", limit)
	case err != nil:
		return nil, fault.Invalidf("request body: %w", err)
	}
	return b, nil
}

func unsnap(b []byte, limit int64) ([]byte, error) {
	n, err := snappy.DecodedLen(b)
	if err != nil {
		return nil, fault.Invalidf("snappy: %w", err)
	}
	if int64(n) > limit {
		return nil, fault.New(fault.TooLarge, "request body is larger than %d bytes", limit)
	}
	out, err := snappy.Decode(nil, b)
	if err != nil {
		return nil, fault.Invalidf("snappy: %w", err)
	}
	return out, nil
}

type pushStream struct {
	labels  []logs.Label
	plain   bool // labels are resource attributes like any sender's
	entries []pushEntry
}

type pushEntry struct {
	time     int64
	line     []byte
	metadata []logs.Label
	extra    []byte // further fields of the record, in wire form
}

func parseLabels(s string) ([]logs.Label, error) {
	ms, err := syntax.ParseMatchers(s)
	if err != nil {
		return nil, fault.Invalidf("error parsing labels %s: %w", s, err)
	}
	if len(ms) == 0 {
		return nil, fault.Invalidf("error at least one label pair is required per stream")
	}
	out := make([]logs.Label, len(ms))
	for i, m := range ms {
		out[i] = logs.Label{Name: m.Name, Value: m.Value}
	}
	return out, nil
}

// decodeProtoPush reads a logproto.PushRequest.
func decodeProtoPush(b []byte) ([]pushStream, error) {
	var out []pushStream
	err := fields(b, func(f *otlpwire.Field) error {
		if f.Number != 1 {
			return nil
		}
		var s pushStream
		raw, err := f.AsBytes()
		if err != nil {
			return err
		}
		var labels string
		if err := fields(raw, func(f *otlpwire.Field) error { return s.field(f, &labels) }); err != nil {
			return err
		}
		if s.labels, err = parseLabels(labels); err != nil {
			return err
		}
		out = append(out, s)
		return nil
	})
	if errors.Is(err, otlpwire.ErrMalformed) {
		return nil, fault.Invalidf("push request: %w", err)
	}
	return out, err
}

// fields calls each for every field of a message.
func fields(b []byte, each func(*otlpwire.Field) error) error {
	for len(b) > 0 {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
		b = rest
		if err := each(&f); err != nil {
			return err
		}
	}
	return nil
}

func (s *pushStream) field(f *otlpwire.Field, labels *string) error {
	if f.Number != 1 && f.Number != 2 {
		return nil
	}
	raw, err := f.AsBytes()
	if err != nil {
		return err
	}
	if f.Number == 1 {
		*labels = string(raw)
		return nil
	}
	var e pushEntry
	err = fields(raw, e.field)
	s.entries = append(s.entries, e)
	return err
}

func (e *pushEntry) field(f *otlpwire.Field) error {
	if f.Number < 1 || f.Number > 3 {
		return nil
	}
	raw, err := f.AsBytes()
	if err != nil {
		return err
	}
	switch f.Number {
	case 1:
		return fields(raw, func(f *otlpwire.Field) error {
			n, err := f.AsVarint()
			switch f.Number {
			case 1:
				e.time += int64(n) * int64(time.Second)
			case 2:
				e.time += int64(int32(n))
			default:
				return nil
			}
			return err
		})
	case 2:
		e.line = raw
		return nil
	}
	var l logs.Label
	err = fields(raw, func(f *otlpwire.Field) error {
		if f.Number != 1 && f.Number != 2 {
			return nil
		}
		text, err := f.AsBytes()
		if f.Number == 1 {
			l.Name = string(text)
		} else {
			l.Value = string(text)
		}
		return err
	})
	e.metadata = append(e.metadata, l)
	return err
}

type jsonPush struct {
	Streams []struct {
		Stream map[string]string   `json:"stream"`
		Values [][]json.RawMessage `json:"values"`
	} `json:"streams"`
}

// decodeJSONPush reads {"streams":[{"stream":{…},"values":[["ns","line",{…}]]}]}.
func decodeJSONPush(b []byte) ([]pushStream, error) {
	var in jsonPush
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fault.Invalidf("push request: %w", err)
	}
	out := make([]pushStream, 0, len(in.Streams))
	for _, s := range in.Streams {
		if len(s.Stream) == 0 {
			return nil, fault.Invalidf("error at least one label pair is required per stream")
		}
		var ps pushStream
		for name, value := range s.Stream {
			ps.labels = append(ps.labels, logs.Label{Name: name, Value: value})
		}
		for _, v := range s.Values {
			e, err := jsonEntry(v)
			if err != nil {
				return nil, err
			}
			ps.entries = append(ps.entries, e)
		}
		out = append(out, ps)
	}
	return out, nil
}

func jsonEntry(v []json.RawMessage) (e pushEntry, err error) {
	if len(v) < 2 || len(v) > 3 {
		return e, fault.Invalidf("push request: a value must be [\"timestamp\", \"line\"] or [\"timestamp\", \"line\", {metadata}]")
	}
	var ts, line string
	if err := json.Unmarshal(v[0], &ts); err != nil {
		return e, fault.Invalidf("push request: timestamp %s: must be a string of nanoseconds", v[0])
	}
	if e.time, err = strconv.ParseInt(ts, 10, 64); err != nil {
		return e, fault.Invalidf("push request: timestamp %s: must be a string of nanoseconds", v[0])
	}
	if err := json.Unmarshal(v[1], &line); err != nil {
		return e, fault.Invalidf("push request: line: %w", err)
	}
	e.line = []byte(line)
	if len(v) == 3 {
		var metadata map[string]string
		if err := json.Unmarshal(v[2], &metadata); err != nil {
			return e, fault.Invalidf("push request: structured metadata: %w", err)
		}
		for name, value := range metadata {
			e.metadata = append(e.metadata, logs.Label{Name: name, Value: value})
		}
	}
	return e, nil
}

// streamLabelsMarker makes the store take resource attributes as labels as they
// are; see package store.
const streamLabelsMarker = "belfry.stream_labels"

// encodeOTLP writes streams as an ExportLogsServiceRequest, so that they take the
// way of all logs: the same log, the same columns.
func encodeOTLP(streams []pushStream) []byte {
	var request, resourceLogs, resource, scopeLogs, rec, kv []byte
	for i := range streams {
		s := &streams[i]
		resource = resource[:0]
		if !s.plain {
			resource = appendMessage(resource, otlpwire.ResourceAttributes, appendAttribute(kv[:0], streamLabelsMarker, true))
		}
		for _, l := range sortedLabels(s.labels) {
			kv = appendKV(kv[:0], l)
			resource = appendMessage(resource, otlpwire.ResourceAttributes, kv)
		}
		scopeLogs = scopeLogs[:0]
		for j := range s.entries {
			e := &s.entries[j]
			rec = protowire.AppendTag(rec[:0], 1, protowire.Fixed64Type)
			rec = protowire.AppendFixed64(rec, uint64(e.time))
			kv = protowire.AppendTag(kv[:0], 1, protowire.BytesType)
			kv = protowire.AppendBytes(kv, e.line)
			rec = appendMessage(rec, 5, kv)
			for _, l := range e.metadata {
				kv = appendKV(kv[:0], l)
				rec = appendMessage(rec, otlpwire.LogRecordAttributes, kv)
			}
			rec = append(rec, e.extra...)
			scopeLogs = appendMessage(scopeLogs, otlpwire.ScopeRecords, rec)
		}
		resourceLogs = appendMessage(resourceLogs[:0], otlpwire.ResourceGroup, resource)
		resourceLogs = appendMessage(resourceLogs, otlpwire.ResourceScopes, scopeLogs)
		request = appendMessage(request, otlpwire.RequestResources, resourceLogs)
	}
	return request
}

func appendMessage(dst []byte, number protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), message)
}

func appendKV(dst []byte, l logs.Label) []byte { return appendAttribute(dst, l.Name, l.Value) }

// appendAttribute appends the fields of a KeyValue.
func appendAttribute(dst []byte, key string, value any) []byte {
	dst = protowire.AppendString(protowire.AppendTag(dst, 1, protowire.BytesType), key)
	return appendMessage(dst, 2, appendAny(nil, value))
}

// appendAny appends the fields of an AnyValue that holds what encoding/json
// decodes to.
func appendAny(dst []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return protowire.AppendString(protowire.AppendTag(dst, 1, protowire.BytesType), v)
	case bool:
		return protowire.AppendVarint(protowire.AppendTag(dst, 2, protowire.VarintType), protowire.EncodeBool(v))
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return protowire.AppendVarint(protowire.AppendTag(dst, 3, protowire.VarintType), uint64(n))
		}
		f, err := v.Float64()
		if err != nil {
			return appendAny(dst, v.String())
		}
		return protowire.AppendFixed64(protowire.AppendTag(dst, 4, protowire.Fixed64Type), math.Float64bits(f))
	case []any:
		var list []byte
		for _, e := range v {
			list = appendMessage(list, 1, appendAny(nil, e))
		}
		return appendMessage(dst, 5, list)
	case map[string]any:
		var list []byte
		for _, key := range slices.Sorted(maps.Keys(v)) {
			list = appendMessage(list, 1, appendAttribute(nil, key, v[key]))
		}
		return appendMessage(dst, 6, list)
	}
	return dst
}
