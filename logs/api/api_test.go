package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"belfry/logs/memstore"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/snappy"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type fixture struct {
	t     *testing.T
	store *memstore.Store
	h     http.Handler
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	now := func() time.Time { return testNow }
	s := memstore.New(memstore.Options{Now: now})
	return &fixture{t: t, store: s, h: New(Options{Store: s, Now: now}).Handler()}
}

func (f *fixture) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.h.ServeHTTP(w, r)
	return w
}

func (f *fixture) get(path string, params ...string) *httptest.ResponseRecorder {
	form := url.Values{}
	for i := 0; i < len(params); i += 2 {
		form.Add(params[i], params[i+1])
	}
	return f.do(httptest.NewRequest(http.MethodGet, path+"?"+form.Encode(), nil))
}

func (f *fixture) json(w *httptest.ResponseRecorder) string {
	f.t.Helper()
	require.Equal(f.t, 200, w.Code, w.Body.String())
	var v map[string]any
	require.NoError(f.t, json.Unmarshal(w.Body.Bytes(), &v))
	if d, ok := v["data"].(map[string]any); ok {
		delete(d, "stats")
	}
	b, err := json.Marshal(v)
	require.NoError(f.t, err)
	return string(b)
}

func ns(ago time.Duration) string { return strconv.FormatInt(testNow.Add(-ago).UnixNano(), 10) }

func (f *fixture) pushJSON(body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/loki/api/v1/push", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return f.do(r)
}

func (f *fixture) load() {
	f.t.Helper()
	w := f.pushJSON(`{"streams":[
		{"stream":{"app":"shop","env":"prod"},"values":[["` + ns(time.Minute) + `","level=info took=5ms msg=one",{"user":"ann"}],["` + ns(30*time.Second) + `","level=error msg=two"]]},
		{"stream":{"app":"auth"},"values":[["` + ns(20*time.Second) + `","{\"a\":{\"b\":1}}"]]}]}`)
	require.Equal(f.t, 204, w.Code, w.Body.String())
}

func TestPushAndQueryRange(t *testing.T) {
	f := newFixture(t)
	f.load()
	got := f.json(f.get("/loki/api/v1/query_range", "query", `{app="shop"}`))
	require.JSONEq(t, `{"status":"success","data":{"resultType":"streams","result":[
		{"stream":{"app":"shop","env":"prod","service_name":"shop","detected_level":"error"},"values":[["`+ns(30*time.Second)+`","level=error msg=two"]]},
		{"stream":{"app":"shop","env":"prod","service_name":"shop","detected_level":"info","user":"ann"},"values":[["`+ns(time.Minute)+`","level=info took=5ms msg=one"]]}]}}`, got)

	r := httptest.NewRequest(http.MethodPost, "/loki/api/v1/query_range", strings.NewReader(url.Values{
		"query": {`{app="shop"} | logfmt | level="info"`}, "direction": {"forward"}, "limit": {"1"},
	}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Loki-Response-Encoding-Flags", "categorize-labels")
	require.JSONEq(t, `{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[
		{"stream":{"app":"shop","env":"prod","service_name":"shop"},"values":[["`+ns(time.Minute)+`","level=info took=5ms msg=one",
		{"structuredMetadata":{"detected_level":"info","user":"ann"},"parsed":{"level":"info","took":"5ms","msg":"one"}}]]}]}}`, f.json(f.do(r)))

	got = f.json(f.get("/loki/api/v1/query_range", "query", `sum by (app) (count_over_time({app=~".+"}[1m]))`, "start", ns(time.Minute), "end", ns(0), "step", "60"))
	require.JSONEq(t, `{"status":"success","data":{"resultType":"matrix","result":[
		{"metric":{"app":"auth"},"values":[[1772366400,"1"]]},
		{"metric":{"app":"shop"},"values":[[1772366340,"1"],[1772366400,"1"]]}]}}`, got)
}

func TestInstantQuery(t *testing.T) {
	f := newFixture(t)
	// The health check of Grafana's data source.
	require.JSONEq(t, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1772366400,"2"]}]}}`,
		f.json(f.get("/loki/api/v1/query", "query", "vector(1)+vector(1)", "time", ns(0))))
	require.JSONEq(t, `{"status":"success","data":{"resultType":"scalar","result":[1772366400,"2"]}}`,
		f.json(f.get("/loki/api/v1/query", "query", "1+1")))
}

func TestErrorsAreLokis(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		path   string
		params []string
		status int
		text   string
	}{
		{"/loki/api/v1/query_range", []string{"query", `{app="x"`}, 400, "parse error at line 1, col 9: syntax error: unexpected $end"},
		{"/loki/api/v1/query_range", []string{"query", `{}`, "limit", "x"}, 400, "limit"},
		{"/loki/api/v1/query_range", []string{"query", `{}`, "limit", "0"}, 400, "limit must be a positive value"},
		{"/loki/api/v1/query_range", []string{"query", `{}`, "limit", "100000"}, 400, "max entries limit per query exceeded"},
		{"/loki/api/v1/query_range", []string{"query", `{}`, "direction", "up"}, 400, "invalid direction"},
		{"/loki/api/v1/query_range", []string{"query", `{}`, "start", "nonsense"}, 400, "could not parse"},
		{"/loki/api/v1/query_range", []string{"query", `{}`, "start", ns(0), "end", ns(time.Hour)}, 400, "end timestamp must not be before"},
		{"/loki/api/v1/query_range", []string{"query", `rate({}[1m])`, "step", "-1"}, 400, "-1"},
		{"/loki/api/v1/query", []string{"query", `{app="x"}`}, 400, "log queries are not supported as an instant query type"},
		{"/loki/api/v1/tail", []string{"query", `{}`, "delay_for", "6"}, 400, "delay_for can't be greater than 5"},
		{"/loki/api/v1/tail", []string{"query", `rate({}[1m])`}, 400, "only log queries"},
		{"/loki/api/v1/format_query", []string{"query", `{`}, 400, "parse error"},
		{"/loki/api/v1/nothing", nil, 404, ""},
	} {
		w := f.get(c.path, c.params...)
		require.Equal(t, c.status, w.Code, "%s %v: %s", c.path, c.params, w.Body)
		require.Contains(t, w.Body.String(), c.text)
	}
}

func TestLabelsAndSeries(t *testing.T) {
	f := newFixture(t)
	f.load()
	require.JSONEq(t, `{"status":"success","data":["app","env","service_name"]}`, f.json(f.get("/loki/api/v1/labels")))
	require.JSONEq(t, `{"status":"success","data":["app","service_name"]}`, f.json(f.get("/loki/api/v1/labels", "query", `{app="auth"}`)))
	require.JSONEq(t, `{"status":"success","data":["auth","shop"]}`, f.json(f.get("/loki/api/v1/label/app/values")))
	require.JSONEq(t, `{"status":"success","data":["shop"]}`, f.json(f.get("/loki/api/v1/label/app/values", "query", `{env="prod"}`)))
	require.JSONEq(t, `{"status":"success","data":[]}`, f.json(f.get("/loki/api/v1/label/app/values", "start", "1", "end", "2")))
	require.JSONEq(t, `{"status":"success","data":[{"app":"auth","service_name":"auth"}]}`, f.json(f.get("/loki/api/v1/series", "match[]", `{app="auth"}`, "match[]", `{app="none"}`)))
}

func TestIndex(t *testing.T) {
	f := newFixture(t)
	f.load()
	require.JSONEq(t, `{"streams":1,"chunks":1,"entries":2,"bytes":46}`, f.get("/loki/api/v1/index/stats", "query", `{app="shop"}`).Body.String())
	require.JSONEq(t, `{"status":"success","data":{"resultType":"vector","result":[
		{"metric":{"app":"shop"},"value":[1772366400,"46"]},{"metric":{"app":"auth"},"value":[1772366400,"13"]}]}}`,
		f.json(f.get("/loki/api/v1/index/volume", "query", `{app=~".+"}`)))
	require.JSONEq(t, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"env":"prod"},"value":[1772366400,"46"]}]}}`,
		f.json(f.get("/loki/api/v1/index/volume", "query", `{app="shop"}`, "targetLabels", "env")))
	got := f.json(f.get("/loki/api/v1/index/volume_range", "query", `{app="shop"}`, "start", ns(time.Minute), "end", ns(0), "step", "30"))
	require.JSONEq(t, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"app":"shop"},"values":[[1772366340,"27"],[1772366370,"19"]]}]}}`, got)
	require.JSONEq(t, `{"detectedLabels":[{"label":"app","cardinality":2},{"label":"env","cardinality":1},{"label":"service_name","cardinality":2}]}`,
		f.get("/loki/api/v1/detected_labels").Body.String())
}

func TestDetectedFields(t *testing.T) {
	f := newFixture(t)
	f.load()
	require.JSONEq(t, `{"limit":1000,"fields":[
		{"label":"detected_level","type":"string","cardinality":2,"parsers":null},
		{"label":"level","type":"string","cardinality":2,"parsers":["logfmt"]},
		{"label":"msg","type":"string","cardinality":2,"parsers":["logfmt"]},
		{"label":"took","type":"duration","cardinality":1,"parsers":["logfmt"]},
		{"label":"user","type":"string","cardinality":1,"parsers":null}]}`,
		f.get("/loki/api/v1/detected_fields", "query", `{app="shop"}`).Body.String())
	require.JSONEq(t, `{"limit":1000,"values":["1"]}`, f.get("/loki/api/v1/detected_field/a_b/values", "query", `{app="auth"}`).Body.String())
}

func TestSmallEndpoints(t *testing.T) {
	f := newFixture(t)
	f.load()
	require.Contains(t, f.get("/ready").Body.String(), "ready")
	require.Contains(t, f.get("/loki/api/v1/status/buildinfo").Body.String(), `"version":"3.`)
	require.JSONEq(t, `{"status":"success","data":"{a=\"b\"} |= \"c\""}`, f.json(f.get("/loki/api/v1/format_query", "query", "{a=\"b\"}|=\"c\"")))
	require.Contains(t, f.get("/loki/api/v1/drilldown-limits").Body.String(), `"volume_enabled":true`)
	require.Contains(t, f.json(f.get("/loki/api/v1/patterns", "query", `{app="shop"}`)), `"pattern"`)
}

// protoPush encodes a logproto.PushRequest with one entry.
func protoPush(labels, line, metaName, metaValue string, at time.Time) []byte {
	str := func(dst []byte, n protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(dst, n, protowire.BytesType), s)
	}
	varint := func(dst []byte, n protowire.Number, v int64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), uint64(v))
	}
	entry := appendMessage(nil, 1, varint(varint(nil, 1, at.Unix()), 2, int64(at.Nanosecond())))
	entry = str(entry, 2, line)
	entry = appendMessage(entry, 3, str(str(nil, 1, metaName), 2, metaValue))
	return appendMessage(nil, 1, appendMessage(str(nil, 1, labels), 2, entry))
}

func TestPushProtobuf(t *testing.T) {
	f := newFixture(t)
	body := snappy.Encode(nil, protoPush(`{job="x", host="h"}`, "the line", "k", "v", testNow.Add(-time.Second)))
	r := httptest.NewRequest(http.MethodPost, "/api/prom/push", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/x-protobuf")
	w := f.do(r)
	require.Equal(t, 204, w.Code, w.Body.String())
	require.Contains(t, f.json(f.get("/loki/api/v1/query_range", "query", `{host="h"} | k="v"`)), "the line")

	r = httptest.NewRequest(http.MethodPost, "/loki/api/v1/push", strings.NewReader("not snappy"))
	require.Equal(t, 400, f.do(r).Code)
}

func TestPushRefusals(t *testing.T) {
	f := newFixture(t)
	for _, body := range []string{
		`{`, `{"streams":[{"stream":{},"values":[["1","x"]]}]}`, `{"streams":[{"stream":{"a":"b"},"values":[["x","y"]]}]}`,
		`{"streams":[{"stream":{"a":"b"},"values":[[1,"y"]]}]}`, `{"streams":[{"stream":{"a":"b"},"values":[["1"]]}]}`,
		`{"streams":[{"stream":{"a":"b"},"values":[["1","y",{"k":5}]]}]}`,
	} {
		require.Equal(t, 400, f.pushJSON(body).Code, body)
	}
	w := f.pushJSON(`{"streams":[{"stream":{"a":"b"},"values":[["` + ns(-48*time.Hour) + `","new"],["` + ns(time.Second) + `","good"]]}]}`)
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "1 of 2 entries were rejected: timestamp is too far in the future")
	require.Contains(t, f.json(f.get("/loki/api/v1/query_range", "query", `{a="b"}`)), "good")
	require.Equal(t, 204, f.pushJSON(`{"streams":[]}`).Code)
}

func TestPushGzip(t *testing.T) {
	f := newFixture(t)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, `{"streams":[{"stream":{"a":"b"},"values":[["`+ns(time.Second)+`","zipped"]]}]}`)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.Equal(t, 204, f.pushJSON(b.String(), "Content-Encoding", "gzip").Code)
	require.Contains(t, f.json(f.get("/loki/api/v1/query_range", "query", `{a="b"}`)), "zipped")
	require.Equal(t, 400, f.pushJSON("x", "Content-Encoding", "gzip").Code)
	require.Equal(t, 400, f.pushJSON("x", "Content-Encoding", "br").Code)
}

func TestPushIsBounded(t *testing.T) {
	f := newFixture(t)
	f.h = New(Options{Store: f.store, MaxPushBytes: 100, Now: func() time.Time { return testNow }}).Handler()
	require.Equal(t, http.StatusRequestEntityTooLarge, f.pushJSON(strings.Repeat("x", 200)).Code)
	r := httptest.NewRequest(http.MethodPost, "/loki/api/v1/push", bytes.NewReader(snappy.Encode(nil, make([]byte, 5000))))
	require.Equal(t, http.StatusRequestEntityTooLarge, f.do(r).Code)
}

func TestTail(t *testing.T) {
	f := newFixture(t)
	f.load()
	api := New(Options{Store: f.store, Now: func() time.Time { return testNow.Add(time.Second) }})
	srv := httptest.NewServer(api.Handler())
	defer srv.Close()
	conn, _, err := websocket.Dial(t.Context(), srv.URL+"/loki/api/v1/tail?query="+url.QueryEscape(`{app="shop"} |= "level"`), nil) //nolint:bodyclose // the connection took it over
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	read := func() string {
		_, b, err := conn.Read(t.Context())
		require.NoError(t, err)
		return string(b)
	}
	first := read()
	require.Contains(t, first, "msg=one")
	require.Less(t, strings.Index(first, "msg=one"), strings.Index(first, "msg=two"), "oldest first")

	require.Equal(t, 204, f.pushJSON(`{"streams":[{"stream":{"app":"shop"},"values":[["`+ns(0)+`","level=info late"]]}]}`).Code)
	next := read()
	require.Contains(t, next, "level=info late")
	require.NotContains(t, next, "msg=one")
	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
}

func TestElasticsearchBulk(t *testing.T) {
	f := newFixture(t)
	es := NewElasticsearch(ElasticsearchOptions{Store: f.store, Now: func() time.Time { return testNow }}).Handler()
	body := `{"create":{"_index":"logs-x"}}
{"@timestamp":"` + testNow.Add(-time.Second).Format(time.RFC3339Nano) + `","message":"hello","service":{"name":"shop"},"http":{"status":500},"tags":["a"],"log":{"level":"warn"}}
{"index":{}}
not json
{"delete":{"_id":"7"}}
`
	w := httptest.NewRecorder()
	es.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/logs-y/_bulk", strings.NewReader(body)))
	require.Equal(t, 200, w.Code)
	require.Equal(t, "Elasticsearch", w.Header().Get("X-Elastic-Product"))
	var out struct {
		Errors bool
		Items  []map[string]bulkItem
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
	require.True(t, out.Errors)
	require.Len(t, out.Items, 3)
	require.Equal(t, 201, out.Items[0]["create"].Status)
	require.Equal(t, 400, out.Items[1]["index"].Status)
	require.Equal(t, "logs-y", out.Items[1]["index"].Index)
	require.Equal(t, 400, out.Items[2]["delete"].Status)

	require.JSONEq(t, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"service_name":"shop","elasticsearch_index":"logs-x",
		"http_status":"500","tags":"[\"a\"]","severity_text":"warn","detected_level":"warn"},"values":[["`+ns(time.Second)+`","hello"]]}]}}`,
		f.json(f.get("/loki/api/v1/query_range", "query", `{service_name="shop"} | http_status >= 500`)))
	for _, path := range []string{"/", "/_license", "/_ilm/policy/x", "/_index_template/x", "/_nodes/http", "/_cluster/health"} {
		w := httptest.NewRecorder()
		es.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, 200, w.Code, path)
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]string{
		"1772366400": "2026-03-01T12:00:00Z", "1772366400.123": "2026-03-01T12:00:00.123Z",
		"1772366400123456789": "2026-03-01T12:00:00.123456789Z", "2026-03-01T12:00:00+01:00": "2026-03-01T11:00:00Z",
	} {
		got, err := parseTime(in)
		require.NoError(t, err)
		require.Equal(t, want, got.Format(time.RFC3339Nano))
	}
}

func FuzzPush(f *testing.F) {
	f.Add(protoPush(`{a="b"}`, "line", "k", "v", testNow), false)
	f.Add([]byte(`{"streams":[{"stream":{"a":"b"},"values":[["1","line",{"k":"v"}]]}]}`), true)
	store := memstore.New(memstore.Options{Now: func() time.Time { return testNow }})
	f.Fuzz(func(t *testing.T, in []byte, asJSON bool) {
		decode := decodeProtoPush
		if asJSON {
			decode = decodeJSONPush
		}
		streams, err := decode(in)
		if err != nil {
			return
		}
		n := 0
		for _, s := range streams {
			n += len(s.entries)
		}
		res, err := store.Append(t.Context(), "fuzz", encodeOTLP(streams))
		require.NoError(t, err)
		require.Equal(t, n, res.Accepted+res.Rejected, "every entry arrives")
	})
}
