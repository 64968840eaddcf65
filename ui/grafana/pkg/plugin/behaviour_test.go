package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/stretchr/testify/require"
)

func (p *plugin) resource(t testing.TB, method, path string, body any, out any) int {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	stream, err := p.Client.ResourceClient.CallResource(t.Context(), backend.ToProto().CallResourceRequest(&backend.CallResourceRequest{
		PluginContext: p.context(), Path: pathOf(path), Method: method, URL: path, Body: text,
	}))
	require.NoError(t, err)
	resp, err := stream.Recv()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(resp.Body, out), "%s", resp.Body)
	return int(resp.Code)
}

// proto is the context of a data source as Grafana sends it.
func (p *plugin) proto() *pluginv2.PluginContext { return backend.ToProto().PluginContext(p.context()) }

func pathOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return target
	}
	return u.Path
}

func span30() string {
	return fmt.Sprintf("from=%d&to=%d", base.UnixMilli(), base.Add(30*time.Minute).UnixMilli())
}

func TestHealth(t *testing.T) {
	check := func(url string) *pluginv2.CheckHealthResponse {
		p := newPlugin(t, url, `{}`)
		res, err := p.Client.DiagnosticsClient.CheckHealth(t.Context(), &pluginv2.CheckHealthRequest{PluginContext: p.proto()})
		require.NoError(t, err)
		return res
	}
	good := check(shared.url)
	require.Equal(t, pluginv2.CheckHealthResponse_OK, good.Status, good.Message)
	require.JSONEq(t, `{"metrics": "OK", "logs": "OK", "traces": "OK"}`, string(good.JsonDetails))
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	require.Equal(t, pluginv2.CheckHealthResponse_ERROR, check(other.URL).Status)
}

func TestAlertRules(t *testing.T) {
	p := newPlugin(t, shared.url, `{}`)
	for _, query := range []string{
		`{"queryType": "metrics", "expr": "sum(http_requests_total)", "mode": "instant", "format": "table"}`,
		`{"queryType": "logs", "expr": "sum(count_over_time({} [30m]))"}`,
		`{"queryType": "traces", "expr": "{} | count_over_time()"}`,
	} {
		resp := p.ask(t, query, "FromAlert", "true")
		require.NoError(t, resp.Error, query)
		require.NotEmpty(t, resp.Frames, query)
		for _, f := range resp.Frames {
			require.Contains(t, []data.FrameType{data.FrameTypeTimeSeriesMulti, data.FrameTypeNumericMulti}, f.Meta.Type, query)
			require.Empty(t, f.Meta.DataTopic, query)
		}
	}
	for _, query := range []string{
		`{"queryType": "logs", "expr": "{}"}`, `{"queryType": "traces", "expr": "{}"}`, `{"queryType": "traces", "expr": "` + firstTrace + `"}`,
		`{"queryType": "incidents"}`, `{"queryType": "serviceMap"}`,
	} {
		resp := p.ask(t, query, "FromAlert", "true")
		require.Error(t, resp.Error, query)
		require.Equal(t, backend.StatusBadRequest, resp.Status, query)
	}
	beside := p.ask(t, `{"queryType": "metrics", "expr": "http_server_request_duration_seconds_bucket"}`, "http_X-Grafana-From-Expr", "true")
	require.NoError(t, beside.Error)
	for _, f := range beside.Frames {
		require.Equal(t, data.FrameTypeTimeSeriesMulti, f.Meta.Type, "an expression reads series only")
	}
	empty := p.ask(t, `{"queryType": "metrics", "expr": "nothing"}`, "FromAlert", "true")
	require.NoError(t, empty.Error)
}

func TestFaultsAreTheServersOrTheQuerys(t *testing.T) {
	p := newPlugin(t, shared.url, `{}`)
	for _, query := range []string{
		`{"queryType": "metrics", "expr": "sum("}`, `{"queryType": "logs", "expr": "{a="}`, `{"queryType": "traces", "expr": "{ status = }"}`,
		`{"queryType": "nonsense"}`, `{"queryType": "metrics"}`, `{"queryType": "metrics", "expr": "up", "interval": "soon"}`,
	} {
		resp := p.ask(t, query)
		require.Error(t, resp.Error, query)
		require.Equal(t, backend.StatusBadRequest, resp.Status, query)
		require.Equal(t, backend.ErrorSourceDownstream, resp.ErrorSource, query)
	}
	gone := newPlugin(t, "http://127.0.0.1:1", `{}`)
	resp := gone.ask(t, `{"queryType": "metrics", "expr": "up"}`)
	require.Error(t, resp.Error)
	require.Equal(t, backend.ErrorSourceDownstream, resp.ErrorSource)
}

func TestMinimalQueries(t *testing.T) {
	p := newPlugin(t, shared.url, `{}`)
	trace := p.ask(t, `{"query": "`+firstTrace+`", "queryType": "traceql"}`) // as Tempo's links say it
	require.NoError(t, trace.Error)
	require.Equal(t, 3, trace.Frames[0].Rows())
	series := p.ask(t, `{"expr": "http_requests_total"}`)
	require.NoError(t, series.Error)
	require.Len(t, series.Frames, 6, "two codes of a service in one version and one in two")
}

// TestContextIsComplete walks from a line in both directions, one line at a time:
// every other line of the stream is met once, those of one nanosecond included.
func TestContextIsComplete(t *testing.T) {
	p := newPlugin(t, shared.url, `{}`)
	all := p.ask(t, `{"queryType": "logs", "expr": "{service_name=\"cart\"}"}`)
	require.NoError(t, all.Error)
	ids := column(all.Frames[0], "id")
	require.Len(t, ids, 13)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(ids))), 13, "IDs are unique")
	walk := func(i int, direction string) []string {
		var met []string
		f := all.Frames[0]
		at := f.Fields[0].At(i).(time.Time)
		id := ids[i]
		for {
			query := fmt.Sprintf(`{"queryType": "logs", "purpose": "context", "expr": "{service_name=\"cart\"}", "direction": %q, "maxLines": 1, "anchor": {"nanos": "%d", "id": %q}}`,
				direction, at.UnixNano(), id)
			resp := p.ask(t, query)
			require.NoError(t, resp.Error)
			if resp.Frames[0].Rows() == 0 {
				return met
			}
			id = column(resp.Frames[0], "id")[0]
			at = resp.Frames[0].Fields[0].At(0).(time.Time)
			met = append(met, id)
		}
	}
	for _, i := range []int{0, 1, 2, 6, 12} {
		seen := append(walk(i, "forward"), walk(i, "backward")...)
		seen = append(seen, ids[i])
		require.ElementsMatch(t, ids, seen, "from line %d", i)
	}
}

func column(f *data.Frame, name string) []string {
	field, _ := f.FieldByName(name)
	out := make([]string, field.Len())
	for i := range out {
		out[i] = field.At(i).(string)
	}
	return out
}

func TestResources(t *testing.T) {
	p := newPlugin(t, shared.url, `{}`)
	texts := func(path string) []string {
		var out list
		require.Equal(t, http.StatusOK, p.resource(t, http.MethodGet, path+"&"+span30(), nil, &out), path)
		var names []string
		for _, it := range out.Items {
			names = append(names, it.Text)
		}
		return names
	}
	require.Contains(t, texts("names?signal=metrics"), "service_name")
	require.Contains(t, texts("names?signal=logs"), "user_id")
	require.Contains(t, texts("names?signal=traces"), "resource.service.name")
	require.Equal(t, []string{"cart", "checkout"}, texts("values?signal=metrics&name=service_name"))
	require.Equal(t, []string{"cart", "checkout"}, texts("values?signal=traces&name=service_name"))
	require.Equal(t, []string{"0", "1", "2"}, texts("values?signal=logs&name=user_id"))
	require.Equal(t, []string{"checkout"}, texts("values?signal=logs&name=service_name&search=CHECK"))
	require.Equal(t, []string{"cart"}, texts("values?signal=metrics&name=service_name&limit=1"))
	narrowing := url.QueryEscape(`[{"key": "http.route", "operator": "=", "value": "/cart"}]`)
	require.Equal(t, []string{"0", "1", "2"}, texts("values?signal=logs&name=user_id&filters="+narrowing))
	require.Contains(t, texts("metrics?search=requests"), "http_requests_total")
	require.Equal(t, []string{"first-line"}, texts("schedules?"))

	var fault map[string]string
	require.Equal(t, http.StatusBadRequest, p.resource(t, http.MethodGet, "names?signal=smoke", nil, &fault))
	require.Contains(t, fault["message"], "smoke")

	for _, c := range []struct {
		queryType, expr string
		valid           bool
		from            int
	}{
		{"metrics", "sum(rate(up[$__rate_interval]))", true, 0},
		{"metrics", "sum(up) bye (x)", false, 8},
		{"logs", `{a="b"} |= "x" | json`, true, 0},
		{"logs", `{a="b"} |= |`, false, 11},
		{"traces", "{ status = error } | rate()", true, 0},
		{"traces", "{ status = }", false, 11},
	} {
		var v verdict
		p.resource(t, http.MethodPost, "validate", map[string]string{"queryType": c.queryType, "expr": c.expr}, &v)
		require.Equal(t, c.valid, v.Valid, "%s: %s", c.expr, v.Message)
		if !c.valid {
			require.Equal(t, c.from, v.From, "%s: %s", c.expr, v.Message)
		}
	}
}

// TestTailEndsWithItsClient follows lines over gRPC: lines come, and the stream
// ends when nobody listens, which Belfry notices.
func TestTailEndsWithItsClient(t *testing.T) {
	s, err := startServer(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(s.stop)
	p := newPlugin(t, s.url, `{}`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	query := []byte(`{"queryType": "logs", "expr": "{service_name=\"tail\"}"}`)
	sub, err := p.streams.SubscribeStream(ctx, &pluginv2.SubscribeStreamRequest{PluginContext: p.proto(), Path: "tail/A/1", Data: query})
	require.NoError(t, err)
	require.Equal(t, pluginv2.SubscribeStreamResponse_OK, sub.Status)
	stream, err := p.streams.RunStream(ctx, &pluginv2.RunStreamRequest{PluginContext: p.proto(), Path: "tail/A/1", Data: query})
	require.NoError(t, err)

	var got []string
	next := func() (schema bool) {
		packet, err := stream.Recv()
		require.NoError(t, err)
		var f struct {
			Schema *json.RawMessage `json:"schema"`
			Data   struct {
				Values []json.RawMessage `json:"values"`
			} `json:"data"`
		}
		require.NoError(t, json.Unmarshal(packet.Data, &f))
		var bodies []string
		require.NoError(t, json.Unmarshal(f.Data.Values[1], &bodies))
		got = append(got, bodies...)
		return f.Schema != nil
	}
	say := func(line string) {
		require.NoError(t, s.post(s.otlp+"/v1/logs", object{"resourceLogs": []object{{
			"resource": resource("tail", "1"), "scopeLogs": []object{{"logRecords": []object{{
				"timeUnixNano": fmt.Sprint(time.Now().UnixNano()), "body": object{"stringValue": line},
			}}}},
		}}}))
	}
	say("one")
	require.True(t, next(), "the first frame has a schema")
	say("two")
	require.False(t, next(), "later frames have data only")
	require.Equal(t, []string{"one", "two"}, got)

	// A server that comes back is followed on, and no line comes twice.
	s.stop()
	require.NoError(t, s.start())
	say("three")
	for len(got) < 3 {
		next()
	}
	require.Equal(t, []string{"one", "two", "three"}, got)

	cancel()
	_, err = stream.Recv()
	require.Error(t, err)

	for _, bad := range []string{`{"expr": "sum(rate({}[1m]))"}`, `not JSON`} {
		sub, err := p.streams.SubscribeStream(t.Context(), &pluginv2.SubscribeStreamRequest{PluginContext: p.proto(), Path: "tail/A/2", Data: []byte(bad)})
		require.NoError(t, err)
		require.Equal(t, pluginv2.SubscribeStreamResponse_NOT_FOUND, sub.Status)
	}
	pub, err := p.streams.PublishStream(t.Context(), &pluginv2.PublishStreamRequest{PluginContext: p.proto(), Path: "tail/A/1"})
	require.NoError(t, err)
	require.Equal(t, pluginv2.PublishStreamResponse_PERMISSION_DENIED, pub.Status)
}

func TestSettings(t *testing.T) {
	for _, bad := range []string{`{"maxLines": 100000}`, `{"scrapeInterval": "x"}`, `{"derivedFields": [{"name": "a", "matcher": "("}]}`, `[]`} {
		_, err := readSettings(backend.DataSourceInstanceSettings{JSONData: []byte(bad)})
		require.Error(t, err, bad)
	}
	s, err := readSettings(backend.DataSourceInstanceSettings{URL: "http://b", JSONData: []byte(`{"maxLines": 7, "exemplars": false}`)})
	require.NoError(t, err)
	require.Equal(t, 7, s.MaxLines)
	require.Equal(t, defaultTraces, s.TraceLimit)
	require.False(t, on(s.Exemplars))
	require.True(t, on(s.NodeGraph))
	require.Equal(t, "http://b", s.ExternalURL)
}

// TestSettingsReachTheServer checks headers, targets of links and derived fields.
func TestSettingsReachTheServer(t *testing.T) {
	p := newPlugin(t, shared.url, `{"tenant": "other"}`)
	resp := p.ask(t, `{"queryType": "logs", "expr": "{}"}`)
	require.NoError(t, resp.Error)
	require.Zero(t, resp.Frames[0].Rows(), "another tenant has no lines")

	p = newPlugin(t, shared.url, `{"maxLines": 3, "targets": {"traces": {"uid": "t", "type": "tempo"}}, "derivedFields": [
		{"name": "ms", "matcher": "took (\\d+)ms", "url": "https://x/${__value.raw}", "title": "Look"},
		{"name": "user", "matcherType": "label", "matcher": "user_id", "datasourceUid": "j", "datasourceType": "jaeger"}]}`)
	resp = p.ask(t, `{"queryType": "logs", "expr": "{service_name=\"cart\"} |~ \"refused|took\""}`)
	require.NoError(t, resp.Error)
	f := resp.Frames[0]
	require.Equal(t, 3, f.Rows())
	ms, _ := f.FieldByName("ms")
	require.Equal(t, "19", *ms.At(0).(*string))
	require.Equal(t, "https://x/${__value.raw}", ms.Config.Links[0].URL)
	user, _ := f.FieldByName("user")
	require.Equal(t, "j", user.Config.Links[0].Internal.DatasourceUID)
	require.Contains(t, fmt.Sprint(user.Config.Links[0].Internal.Query), "query:${__value.raw}")
}

// TestDashboards asks everything that the bundled dashboards ask.
func TestDashboards(t *testing.T) {
	p := newPlugin(t, shared.url, `{}`)
	files, err := filepath.Glob("../../src/dashboards/*.json")
	require.NoError(t, err)
	require.Len(t, files, 6)
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		filled := regexp.MustCompile(`\$(service|host)\b`).ReplaceAll(text, []byte(".*"))
		var dashboard struct {
			Panels []struct {
				Title   string            `json:"title"`
				Targets []json.RawMessage `json:"targets"`
			} `json:"panels"`
		}
		require.NoError(t, json.Unmarshal(filled, &dashboard))
		require.NotEmpty(t, dashboard.Panels)
		for _, panel := range dashboard.Panels {
			for _, target := range panel.Targets {
				resp := p.ask(t, string(target))
				require.NoError(t, resp.Error, "%s: %s: %s", name, panel.Title, target)
			}
		}
	}
}
