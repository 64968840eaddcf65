package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"belfry/internal/fault"
	"belfry/internal/otlpwire"
	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/internal/record"

	"google.golang.org/protobuf/encoding/protowire"
)

// ElasticsearchOptions configure the Elasticsearch endpoint. Store is required.
type ElasticsearchOptions struct {
	Store        logs.Appender
	MaxBulkBytes int64        // of a request, uncompressed; 32 MiB
	Logger       *slog.Logger // default: discard
	Now          func() time.Time
}

// Elasticsearch takes documents by Elasticsearch's bulk API, and answers the
// questions that shippers ask before they send. Its paths are Elasticsearch's
// own (/_bulk, /{index}/_bulk).
//
// A document's @timestamp is the record's time, its message (or msg, log) the
// body; what identifies the sender (service.name, host.name and the like) goes to
// the resource, everything else to attributes, nested names joined by dots.
type Elasticsearch struct{ o ElasticsearchOptions }

// NewElasticsearch returns the endpoint.
func NewElasticsearch(o ElasticsearchOptions) *Elasticsearch {
	if o.MaxBulkBytes == 0 {
		o.MaxBulkBytes = 32 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Elasticsearch{o: o}
}

// elasticVersion is the version whose bulk API is served.
const elasticVersion = "8.15.0"

// Handler serves the endpoint.
func (e *Elasticsearch) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, method := range []string{"POST", "PUT"} {
		mux.HandleFunc(method+" /_bulk", e.bulk)
		mux.HandleFunc(method+" /{index}/_bulk", e.bulk)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_ = writeJSON(w, map[string]any{
			"name": "belfry", "cluster_name": "belfry", "tagline": "You Know, for Search",
			"version": map[string]any{
				"number": elasticVersion, "build_flavor": "default", "lucene_version": "9.11.1",
				"minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
			},
		})
	})
	mux.HandleFunc("GET /_license", func(w http.ResponseWriter, _ *http.Request) {
		_ = writeJSON(w, map[string]any{"license": map[string]string{"status": "active", "type": "basic", "uid": "belfry"}})
	})
	mux.HandleFunc("GET /_xpack", func(w http.ResponseWriter, _ *http.Request) {
		_ = writeJSON(w, map[string]any{"license": map[string]string{"status": "active", "type": "basic"}, "features": map[string]any{}})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !isAdministration(r.URL.Path) {
			writeElasticError(w, fault.NotFoundf("no handler found for uri [%s] and method [%s]", r.URL.Path, r.Method))
			return
		}
		_ = writeJSON(w, map[string]any{"acknowledged": true})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		mux.ServeHTTP(w, r)
	})
}

// isAdministration reports whether a path is of templates, policies, pipelines
// and the like: they are accepted and have no effect.
func isAdministration(path string) bool {
	for _, prefix := range [...]string{
		"/_ilm", "/_index_template", "/_component_template", "/_template", "/_ingest", "/_nodes", "/_logstash", "/_cluster",
		"/_cat", "/_data_stream", "/_alias",
	} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

type bulkItem struct {
	Index  string     `json:"_index"`
	ID     string     `json:"_id"`
	Status int        `json:"status"`
	Result string     `json:"result,omitempty"`
	Error  *bulkError `json:"error,omitempty"`
}

type bulkError struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

func (e *Elasticsearch) bulk(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	body, err := readBody(w, r, e.o.MaxBulkBytes)
	if err != nil {
		writeElasticError(w, err)
		return
	}
	b := bulkRequest{now: e.o.Now().UnixNano(), byResource: map[string]int{}}
	if err := b.read(body, r.PathValue("index")); err != nil {
		writeElasticError(w, err)
		return
	}
	if len(b.streams) > 0 {
		res, err := e.o.Store.Append(r.Context(), tenant.ID(r.Context()), encodeOTLP(b.streams))
		if err != nil {
			writeElasticError(w, err)
			return
		}
		if res.Rejected > 0 {
			e.o.Logger.Warn("documents were rejected", "rejected", res.Rejected, "reason", res.Reason)
		}
	}
	_ = writeJSON(w, map[string]any{"took": time.Since(started).Milliseconds(), "errors": b.failed, "items": b.items})
}

func writeElasticError(w http.ResponseWriter, err error) {
	status := fault.HTTPStatus(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": bulkError{"illegal_argument_exception", err.Error()}, "status": status})
}

// bulkRequest is a request while it is read.
type bulkRequest struct {
	now        int64
	streams    []pushStream
	byResource map[string]int
	items      []map[string]bulkItem
	failed     bool
}

func (b *bulkRequest) read(body []byte, index string) error {
	for len(body) > 0 {
		var line []byte
		line, body, _ = bytes.Cut(body, []byte("\n"))
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var action map[string]struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		if err := json.Unmarshal(line, &action); err != nil || len(action) != 1 {
			return fault.Invalidf("malformed action line, expected one of create, index, update, delete")
		}
		for verb, meta := range action {
			item := bulkItem{Index: cmp.Or(meta.Index, index), ID: meta.ID, Status: http.StatusCreated, Result: "created"}
			if verb != "delete" {
				line, body, _ = bytes.Cut(body, []byte("\n"))
			}
			switch verb {
			case "create", "index":
				if err := b.document(line, item.Index); err != nil {
					item.Status, item.Result = http.StatusBadRequest, ""
					item.Error = &bulkError{"document_parsing_exception", err.Error()}
				}
			default:
				item.Status, item.Result = http.StatusBadRequest, ""
				item.Error = &bulkError{"illegal_argument_exception", "only create and index are supported"}
			}
			b.failed = b.failed || item.Error != nil
			b.items = append(b.items, map[string]bulkItem{verb: item})
		}
	}
	return nil
}

type attribute struct {
	key   string
	value any
}

// document adds a document to the stream of its resource.
func (b *bulkRequest) document(line []byte, index string) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		return err
	}
	flat := flatten(nil, "", doc, 0)
	slices.SortFunc(flat, func(a, b attribute) int { return cmp.Compare(a.key, b.key) })
	entry := pushEntry{time: b.now}
	var resource []logs.Label
	if index != "" {
		resource = append(resource, logs.Label{Name: "elasticsearch.index", Value: index})
	}
	message := messageKey(flat)
	for _, a := range flat {
		text, isText := a.value.(string)
		switch {
		case a.key == "@timestamp":
			t, err := documentTime(a.value)
			if err != nil {
				return err
			}
			entry.time = t
		case a.key == message:
			entry.line = []byte(text)
		case isText && record.IsIndexed(a.key):
			resource = append(resource, logs.Label{Name: a.key, Value: text})
		case isText && (a.key == "level" || a.key == "log.level"):
			entry.extra = protowire.AppendString(protowire.AppendTag(entry.extra, 3, protowire.BytesType), text)
		default:
			entry.extra = appendMessage(entry.extra, otlpwire.LogRecordAttributes, appendAttribute(nil, a.key, a.value))
		}
	}
	key := ""
	var keySb236 strings.Builder
	for _, l := range resource {
		keySb236.WriteString(l.Name + "\x00" + l.Value + "\x00")
	}
	key += keySb236.String()
	at, ok := b.byResource[key]
	if !ok {
		at = len(b.streams)
		b.byResource[key] = at
		b.streams = append(b.streams, pushStream{labels: resource, plain: true})
	}
	b.streams[at].entries = append(b.streams[at].entries, entry)
	return nil
}

func messageKey(flat []attribute) string {
	for _, key := range [...]string{"message", "msg", "log"} {
		for _, a := range flat {
			if _, ok := a.value.(string); ok && a.key == key {
				return key
			}
		}
	}
	return ""
}

const maxDocumentDepth = 32

func flatten(dst []attribute, prefix string, v any, depth int) []attribute {
	m, ok := v.(map[string]any)
	if !ok || depth > maxDocumentDepth {
		if v != nil {
			dst = append(dst, attribute{prefix, v})
		}
		return dst
	}
	for key, value := range m {
		if prefix != "" {
			key = prefix + "." + key
		}
		dst = flatten(dst, key, value, depth+1)
	}
	return dst
}

// documentTime reads RFC 3339, or milliseconds since the epoch.
func documentTime(v any) (int64, error) {
	switch v := v.(type) {
	case json.Number:
		if ms, err := v.Float64(); err == nil {
			return int64(ms * 1e6), nil
		}
	case string:
		for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
			if t, err := time.Parse(layout, strings.TrimSpace(v)); err == nil {
				return t.UnixNano(), nil
			}
		}
	}
	return 0, fault.Invalidf("failed to parse field [@timestamp]: %v", v)
}
