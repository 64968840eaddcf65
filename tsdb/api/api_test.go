package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/query"
	"belfry/tsdb/store"
	"belfry/tsdb/tsdbtest"
)

// now is the clock of the API under test.
var now = time.Now().Truncate(time.Minute)

type server struct {
	*testing.T
	handler http.Handler
	store   *store.Store
	dir     string
}

func newServer(t *testing.T, change func(*Options)) *server {
	t.Helper()
	cfg := tsdb.DefaultConfig()
	cfg.MinFreeDisk = 0
	dir := t.TempDir()
	s, err := store.Open(store.Options{Dir: dir, Config: cfg})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	o := Options{
		Store:       s,
		Admin:       func(id string) Admin { return s.Admin(id) },
		Engine:      query.NewEngine(query.Options{Config: cfg.Query}),
		Config:      cfg,
		Version:     "0.1.0",
		EnableAdmin: true,
		Now:         func() time.Time { return now },
	}
	if change != nil {
		change(&o)
	}
	return &server{t, tenant.Middleware(New(o)), s, dir}
}

func (s *server) put(id string, ts time.Time, v float64, o storage.AOptions, lbls ...string) {
	s.Helper()
	app := s.store.AppenderV2(tenant.WithID(context.Background(), id))
	_, err := app.Append(0, labels.FromStrings(lbls...), 0, ts.UnixMilli(), v, nil, nil, o)
	require.NoError(s, err)
	require.NoError(s, app.Commit())
}

func (s *server) do(id, method, target, body string, header ...string) *httptest.ResponseRecorder {
	s.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set(tenant.Header, id)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// get returns the data of a successful answer, as JSON without white space.
func (s *server) get(id, target string) string {
	s.Helper()
	w := s.do(id, http.MethodGet, target, "")
	require.Equal(s, 200, w.Code, w.Body.String())
	var e struct {
		Status string          `json:"status"`
		Data   json.RawMessage `json:"data"`
	}
	require.NoError(s, json.Unmarshal(w.Body.Bytes(), &e), w.Body.String())
	require.Equal(s, "success", e.Status)
	return string(e.Data)
}

func TestQueriesPerTenant(t *testing.T) {
	s := newServer(t, nil)
	s.put("a", now, 1, storage.AOptions{}, "__name__", "up", "job", "x")
	s.put("b", now, 2, storage.AOptions{}, "__name__", "up", "job", "y")
	unix := now.Unix()
	at := fmt.Sprintf("time=%d", unix)
	window := fmt.Sprintf("start=%d&end=%d", unix-60, unix+60)
	for _, tc := range []struct{ target, a, b string }{
		{
			"/api/v1/query?query=up&" + at,
			fmt.Sprintf(`{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"x"},"value":[%d,"1"]}]}`, unix),
			fmt.Sprintf(`{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"y"},"value":[%d,"2"]}]}`, unix),
		},
		{
			"/api/v1/query_range?query=sum(up)&step=60&" + window,
			fmt.Sprintf(`{"resultType":"matrix","result":[{"metric":{},"values":[[%d,"1"],[%d,"1"]]}]}`, unix, unix+60),
			fmt.Sprintf(`{"resultType":"matrix","result":[{"metric":{},"values":[[%d,"2"],[%d,"2"]]}]}`, unix, unix+60),
		},
		{"/api/v1/series?match[]=up&" + window, `[{"__name__":"up","job":"x"}]`, `[{"__name__":"up","job":"y"}]`},
		{"/api/v1/label/job/values", `["x"]`, `["y"]`},
		{"/api/v1/labels", `["__name__","job"]`, `["__name__","job"]`},
	} {
		require.Equal(t, tc.a, s.get("a", tc.target), tc.target)
		require.Equal(t, tc.b, s.get("b", tc.target), tc.target)
	}
	require.JSONEq(t, `{"resultType":"vector","result":[]}`, s.get("nobody", "/api/v1/query?query=up&"+at))
	require.Equal(t, `[]`, s.get("nobody", "/api/v1/labels"))

	form := url.Values{"query": {"up"}, "time": {strconv.FormatInt(unix, 10)}}.Encode()
	w := s.do("a", http.MethodPost, "/api/v1/query", form, "Content-Type", "application/x-www-form-urlencoded")
	require.Contains(t, w.Body.String(), `"job":"x"`)
}

func TestErrorsHaveTheirCodes(t *testing.T) {
	s := newServer(t, func(o *Options) {
		o.Config.Query.MaxSamples = 5
		o.Engine = query.NewEngine(query.Options{Config: o.Config.Query})
	})
	for target, code := range map[string]int{
		"/api/v1/query?query=up{":                                400,
		"/api/v1/query?query=up&time=tomorrow":                   400,
		"/api/v1/query?query=count_over_time(vector(1)[10m:1s])": 422,
		"/api/v1/query_range?query=up&start=0&end=1e9&step=1":    400,
		"/api/v1/series":              400,
		"/api/v1/metadata?limit=x":    400,
		"/api/v1/nonsense":            404,
		"/federate?match[]={":         400,
		"/api/v1/status/tsdb?limit=0": 400,
		"/api/v1/targets/relabel_steps?scrapePool=none&labels={}":     404,
		"/api/v1/query_exemplars?query=up&start=2&end=1":              400,
		"/api/v1/parse_query?query=sum(":                              400,
		"/api/v1/search/label_values?search=x&label=&no_such_param=1": 400,
	} {
		require.Equal(t, code, s.do("a", http.MethodGet, target, "").Code, target)
	}
	require.Equal(t, 400, s.do("no/such", http.MethodGet, "/api/v1/query?query=1", "").Code)
}

func TestStatusForGrafana(t *testing.T) {
	s := newServer(t, func(o *Options) { o.Flags = map[string]string{"storage.tsdb.retention.time": "30d"} })
	var info map[string]any
	require.NoError(t, json.Unmarshal([]byte(s.get("a", "/api/v1/status/buildinfo")), &info))
	require.Equal(t, compatibleVersion, info["version"])
	require.Equal(t, "belfry-0.1.0", info["branch"])
	require.NotContains(t, info, "features", "which would make Grafana take it for Mimir")
	for target, part := range map[string]string{
		"/api/v1/status/runtimeinfo":              `"storageRetention":"30d"`,
		"/api/v1/status/flags":                    `"storage.tsdb.retention.time":"30d"`,
		"/api/v1/status/config":                   `"yaml":"`,
		"/api/v1/status/walreplay":                `"current":0`,
		"/api/v1/status/tsdb":                     `"numSeries":0`,
		"/api/v1/status/tsdb/blocks":              `"blocks":[]`,
		"/api/v1/targets":                         `"activeTargets":[]`,
		"/api/v1/scrape_pools":                    `"scrapePools":[]`,
		"/api/v1/alertmanagers":                   `"activeAlertmanagers":[]`,
		"/api/v1/rules":                           `"groups":[]`,
		"/api/v1/alerts":                          `"alerts":[]`,
		"/api/v1/metadata":                        `{}`,
		"/api/v1/format_query?query=sum(up)by(x)": `sum by (x) (up)`,
		"/api/v1/parse_query?query=up":            `"type":"vectorSelector"`,
		"/api/v1/features":                        `{`,
		"/api/v1/notifications":                   `[]`,
	} {
		require.Contains(t, s.get("a", target), part, target)
	}
	require.Empty(t, s.store.Tenants(), "looking creates no tenant")
	require.Equal(t, 204, s.do("a", http.MethodGet, "/api/v1/notifications/live", "").Code)
	require.Equal(t, 200, s.do("a", http.MethodGet, "/api/v1/openapi.yaml", "").Code)
	require.Equal(t, 204, s.do("a", http.MethodOptions, "/api/v1/query", "").Code)
}

func TestNoFlagsAreAnObject(t *testing.T) {
	require.JSONEq(t, `{}`, newServer(t, nil).get("a", "/api/v1/status/flags"))
}

func TestMetadataAndExemplars(t *testing.T) {
	s := newServer(t, nil)
	s.put("a", now, 1, storage.AOptions{
		MetricFamilyName: "hits_total",
		Metadata:         metadata.Metadata{Type: model.MetricTypeCounter, Help: "Hits."},
		Exemplars:        []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "t"), Value: 1, Ts: now.UnixMilli(), HasTs: true}},
	}, "__name__", "hits_total")
	s.put("a", now, 1, storage.AOptions{MetricFamilyName: "g", Metadata: metadata.Metadata{Type: model.MetricTypeGauge}}, "__name__", "g")
	require.JSONEq(t, `{"g":[{"type":"gauge","unit":"","help":""}],"hits_total":[{"type":"counter","unit":"","help":"Hits."}]}`, s.get("a", "/api/v1/metadata"))
	require.JSONEq(t, `{"hits_total":[{"type":"counter","unit":"","help":"Hits."}]}`, s.get("a", "/api/v1/metadata?metric=hits_total"))
	require.JSONEq(t, `{"g":[{"type":"gauge","unit":"","help":""}]}`, s.get("a", "/api/v1/metadata?limit=1"))
	require.Equal(t, `{}`, s.get("b", "/api/v1/metadata"))
	target := fmt.Sprintf("/api/v1/query_exemplars?query=rate(hits_total[5m])&start=%d&end=%d", now.Unix()-60, now.Unix()+60)
	require.Contains(t, s.get("a", target), `"exemplars":[{"labels":{"trace_id":"t"},"value":"1"`)
	require.Equal(t, `[]`, strings.ReplaceAll(s.get("b", target), "null", "[]"))
}

func TestAdmin(t *testing.T) {
	s := newServer(t, nil)
	for _, id := range []string{"a", "b"} {
		s.put(id, now, 1, storage.AOptions{}, "__name__", "up")
		s.put(id, now, 1, storage.AOptions{}, "__name__", "down")
	}
	var snap struct{ Name string }
	w := s.do("a", http.MethodPost, "/api/v1/admin/tsdb/snapshot", "")
	require.Equal(t, 200, w.Code, w.Body.String())
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &struct{ Data any }{&snap}))
	blocks, err := os.ReadDir(filepath.Join(s.dir, "a", "snapshots", snap.Name))
	require.NoError(t, err)
	require.Len(t, blocks, 1)

	require.Equal(t, 204, s.do("a", http.MethodPut, "/api/v1/admin/tsdb/delete_series?match[]=up", "").Code)
	require.Equal(t, 204, s.do("a", http.MethodPost, "/api/v1/admin/tsdb/clean_tombstones", "").Code)
	require.Len(t, tsdbtest.Dump(t, tenant.WithID(context.Background(), "a"), s.store), 1)
	require.Len(t, tsdbtest.Dump(t, tenant.WithID(context.Background(), "b"), s.store), 2)

	var stats struct {
		HeadStats               struct{ NumSeries, ChunkCount int }
		SeriesCountByMetricName []struct{ Name string }
	}
	require.NoError(t, json.Unmarshal([]byte(s.get("b", "/api/v1/status/tsdb")), &stats))
	require.Equal(t, 2, stats.HeadStats.NumSeries)
	require.Equal(t, 2, stats.HeadStats.ChunkCount)
	require.Len(t, stats.SeriesCountByMetricName, 2)

	closed := newServer(t, func(o *Options) { o.EnableAdmin = false })
	for _, call := range []string{"snapshot", "clean_tombstones", "delete_series?match[]=up"} {
		require.Contains(t, closed.do("a", http.MethodPost, "/api/v1/admin/tsdb/"+call, "").Body.String(), "admin APIs disabled")
	}
}

func TestAdminHandlersAreBounded(t *testing.T) {
	made := 0
	h := newAdminHandlers(func(string) http.Handler { made++; return http.NotFoundHandler() })
	for i := range 3 * maxAdminHandlers {
		h.get(strconv.Itoa(i))
	}
	require.Len(t, h.handlers, maxAdminHandlers)
	h.get(strconv.Itoa(3*maxAdminHandlers - 1))
	require.Equal(t, 3*maxAdminHandlers, made)
}

func TestFederate(t *testing.T) {
	s := newServer(t, func(o *Options) {
		o.Prometheus = func() config.Config {
			c := config.DefaultConfig
			c.GlobalConfig.ExternalLabels = labels.FromStrings("cluster", "eu")
			return c
		}
	})
	s.put("a", now.Add(-time.Minute), 1, storage.AOptions{}, "__name__", "up", "job", "x")
	s.put("a", now, 2, storage.AOptions{}, "__name__", "up", "job", "x")
	s.put("a", now, 3, storage.AOptions{}, "__name__", "up", "job", "y", "cluster", "us", "instance", "h")
	s.put("a", now.Add(-10*time.Minute), 3, storage.AOptions{}, "__name__", "up", "job", "old")
	s.put("a", now, 4, storage.AOptions{}, "__name__", "other")
	app := s.store.AppenderV2(tenant.WithID(context.Background(), "a"))
	_, err := app.Append(0, labels.FromStrings("__name__", "native"), 0, now.UnixMilli(), 0, tsdbutil.GenerateTestHistogram(1), nil, storage.AOptions{})
	require.NoError(t, err)
	require.NoError(t, app.Commit())

	ms := now.UnixMilli()
	w := s.do("a", http.MethodGet, "/federate?match[]=up&match[]={job=\"x\"}&match[]=native", "")
	require.Equal(t, 200, w.Code)
	require.Equal(t, fmt.Sprintf(`# TYPE up untyped
up{cluster="us",instance="h",job="y"} 3 %d
up{job="x",cluster="eu",instance=""} 2 %d
`, ms, ms), w.Body.String())

	w = s.do("a", http.MethodGet, "/federate?match[]={__name__=~\".%2B\"}", "", "Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	dec := expfmt.NewDecoder(w.Body, expfmt.Format(w.Header().Get("Content-Type")))
	var names []string
	for {
		var mf = new(dto.MetricFamily)
		if dec.Decode(mf) != nil {
			break
		}
		names = append(names, mf.GetName()+" "+mf.GetType().String())
	}
	require.Equal(t, []string{"native HISTOGRAM", "other UNTYPED", "up UNTYPED"}, names)
	require.Empty(t, s.do("b", http.MethodGet, "/federate?match[]=up", "").Body.String())
}

func TestImportText(t *testing.T) {
	s := newServer(t, nil)
	body := "# TYPE hits counter\n# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total{a=\"1\"} 3\ngauge 2.5 " + strconv.FormatInt(now.Add(-time.Minute).UnixMilli(), 10) + "\n"
	w := s.do("a", http.MethodPost, "/api/v1/import/prometheus?extra_label=site=eu", body)
	require.Equal(t, 204, w.Code, w.Body.String())
	require.Equal(t, []string{
		fmt.Sprintf(`{__name__="gauge", site="eu"} 2.5@%g`, float64(now.Unix()-60)),
		fmt.Sprintf(`{__name__="hits_total", a="1", site="eu"} 3@%g`, float64(now.Unix())),
	}, tsdbtest.Dump(t, tenant.WithID(context.Background(), "a"), s.store))
	require.Contains(t, s.get("a", "/api/v1/metadata"), `"hits_total":[{"type":"counter","unit":"","help":"Hits."}]`)

	w = s.do("a", http.MethodPost, "/api/v1/import/prometheus", "good 1\nhits_total{a=\"1\",site=\"eu\"} 4\n")
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "duplicate_timestamp")
	require.Len(t, tsdbtest.Dump(t, tenant.WithID(context.Background(), "a"), s.store), 3)
	require.Equal(t, 400, s.do("a", http.MethodPost, "/api/v1/import/prometheus", "not { text\n").Code)
	require.Equal(t, 400, s.do("a", http.MethodPost, "/api/v1/import/prometheus", "x 1\n", "Content-Encoding", "gzip").Code)
}

func TestRemoteRead(t *testing.T) {
	s := newServer(t, nil)
	s.put("a", now, 1, storage.AOptions{}, "__name__", "up")
	req := &prompb.ReadRequest{Queries: []*prompb.Query{{
		StartTimestampMs: now.UnixMilli() - 1000, EndTimestampMs: now.UnixMilli() + 1000,
		Matchers: []*prompb.LabelMatcher{{Type: prompb.LabelMatcher_EQ, Name: "__name__", Value: "up"}},
	}}}
	data, err := req.Marshal()
	require.NoError(t, err)
	for id, n := range map[string]int{"a": 1, "b": 0} {
		w := s.do(id, http.MethodPost, "/api/v1/read", string(snappy.Encode(nil, data)), "Content-Type", "application/x-protobuf", "Content-Encoding", "snappy")
		require.Equal(t, 200, w.Code, w.Body.String())
		raw, err := snappy.Decode(nil, w.Body.Bytes())
		require.NoError(t, err)
		var res prompb.ReadResponse
		require.NoError(t, res.Unmarshal(raw))
		require.Len(t, res.Results[0].Timeseries, n)
	}
	req.AcceptedResponseTypes = []prompb.ReadRequest_ResponseType{prompb.ReadRequest_STREAMED_XOR_CHUNKS}
	data, err = req.Marshal()
	require.NoError(t, err)
	w := s.do("a", http.MethodPost, "/api/v1/read", string(snappy.Encode(nil, data)))
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Header().Get("Content-Type"), "ChunkedReadResponse")
}

func TestSearch(t *testing.T) {
	s := newServer(t, nil)
	s.put("a", now, 1, storage.AOptions{}, "__name__", "http_requests_total")
	w := s.do("a", http.MethodGet, "/api/v1/search/metric_names?search[]=requests", "")
	require.Equal(t, 200, w.Code, w.Body.String())
	require.Contains(t, w.Body.String(), "http_requests_total")
	require.NotContains(t, s.do("b", http.MethodGet, "/api/v1/search/metric_names", "").Body.String(), "http_requests_total")
}
