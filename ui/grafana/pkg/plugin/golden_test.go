package plugin

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/experimental"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden frames anew")

// TestGoldenFrames holds the frames of every type of query against testdata/. The
// front end's tests read the same files.
func TestGoldenFrames(t *testing.T) {
	p := newPlugin(t, shared.url, `{}`)
	for name, query := range map[string]string{
		"metrics-range":      `{"queryType": "metrics", "expr": "sum by (service_name) (rate(http_requests_total[$__rate_interval]))", "legendFormat": "{{service_name}}"}`,
		"metrics-instant":    `{"queryType": "metrics", "expr": "http_requests_total", "mode": "instant", "legendFormat": "__auto"}`,
		"metrics-table":      `{"queryType": "metrics", "expr": "http_requests_total", "mode": "instant", "format": "table"}`,
		"metrics-heatmap":    `{"queryType": "metrics", "expr": "sum by (le) (increase(http_server_request_duration_seconds_bucket[5m]))", "format": "heatmap", "exemplars": false}`,
		"metrics-exemplars":  `{"queryType": "metrics", "expr": "histogram_quantile(0.9, sum by (le) (rate(http_server_request_duration_seconds_bucket[5m])))"}`,
		"metrics-empty":      `{"queryType": "metrics", "expr": "nothing_like_this"}`,
		"metrics-filtered":   `{"queryType": "metrics", "expr": "sum(http_requests_total)", "filters": [{"key": "resource.service.name", "operator": "=|", "values": ["cart", "other"]}], "groupBy": ["http_response_status_code"], "mode": "instant"}`,
		"logs":               `{"queryType": "logs", "expr": "{} |= \"\" !~ \"zzz\" |= \"refused\" or \"twice\""}`,
		"logs-filtered":      `{"queryType": "logs", "expr": "{}", "filters": [{"key": "service_name", "operator": "=", "value": "cart"}, {"key": "user_id", "operator": "=", "value": "1"}]}`,
		"logs-volume":        `{"queryType": "logs", "expr": "{service_name=\"cart\"} # all of it", "purpose": "volume"}`,
		"logs-sample":        `{"queryType": "logs", "expr": "sum(rate({service_name=\"cart\"} |= \"refused\" [5m]))", "purpose": "sample"}`,
		"logs-numbers":       `{"queryType": "logs", "expr": "sum by (service_name) (count_over_time({} [$__interval]))"}`,
		"traces-search":      `{"queryType": "traces", "expr": "{ }"}`,
		"traces-spans":       `{"queryType": "traces", "expr": "{ status = error } | select(span.http.response.status_code)", "table": "spans"}`,
		"trace":              `{"queryType": "traces", "expr": "` + firstTrace + `"}`,
		"trace-missing":      `{"queryType": "traces", "expr": "ffffffffffffffffffffffffffffffff"}`,
		"traces-numbers":     `{"queryType": "traces", "expr": "{ } | count_over_time() by (resource.service.name)"}`,
		"annotations-deploy": `{"queryType": "annotations", "source": "deploys"}`,
		"annotations-metric": `{"queryType": "annotations", "source": "metrics", "expr": "http_requests_total{http_response_status_code=\"500\"} > bool 150", "title": "{{service_name}}"}`,
		"annotations-logs":   `{"queryType": "annotations", "source": "logs", "expr": "{} |= \"refused\"", "title": "{{service_name}} {{detected_level}}"}`,
		"slo":                `{"queryType": "slo", "slo": {"name": "pay", "objective": 99, "window": "30m"}}`,
		"oncall":             `{"queryType": "oncall"}`,
		"oncall-shifts":      `{"queryType": "oncall", "view": "shifts"}`,
		"cardinality":        `{"queryType": "cardinality", "view": "pairs", "limit": 1}`,
		"patterns":           `{"queryType": "patterns", "expr": "{service_name=\"cart\"}", "interval": "10m"}`,
		"service-map":        `{"queryType": "serviceMap"}`,
	} {
		t.Run(name, func(t *testing.T) {
			resp := p.ask(t, query)
			require.NoError(t, resp.Error)
			for _, f := range resp.Frames {
				steady(f)
			}
			experimental.CheckGoldenJSONResponse(t, "testdata", name, &resp, *update)
		})
	}
}

// steady takes out what differs from run to run: what a query cost.
func steady(f *data.Frame) {
	if f.Meta == nil {
		return
	}
	for i := range f.Meta.Stats {
		f.Meta.Stats[i].Value = 1
	}
}

// TestIncidents is apart from the golden frames: incidents open at the present time.
func TestIncidents(t *testing.T) {
	p := newPlugin(t, shared.url, `{"externalUrl": "https://belfry.example"}`)
	resp := p.askAt(t, `{"queryType": "incidents"}`, time.Now().Add(-time.Hour), time.Now().Add(time.Minute))
	require.NoError(t, resp.Error)
	f := resp.Frames[0]
	require.Equal(t, 1, f.Rows())
	require.Equal(t, "Payments are refused", f.Fields[1].At(0))
	require.Equal(t, "critical", f.Fields[2].At(0))
	require.Equal(t, "triggered", f.Fields[3].At(0))
	links := f.Fields[1].Config.Links
	require.Equal(t, "https://belfry.example/incidents/${__data.fields.id}", links[1].URL)
	id, ok := f.Fields[len(f.Fields)-1].At(0).(string)
	require.True(t, ok)

	all := p.ask(t, `{"queryType": "incidents", "incident": "`+id+`"}`)
	require.NoError(t, all.Error)
	require.Len(t, all.Frames, 3)
	require.Equal(t, "Timeline", all.Frames[2].Name)
	require.Equal(t, "opened", all.Frames[2].Fields[1].At(0))

	notes := p.askAt(t, `{"queryType": "annotations", "source": "incidents"}`, time.Now().Add(-time.Hour), time.Now().Add(time.Minute))
	require.NoError(t, notes.Error)
	require.Equal(t, 1, notes.Frames[0].Rows())
	require.Contains(t, notes.Frames[0].Fields[2].At(0), "Payments are refused")
}

// TestCardinality is apart from the golden frames: when metrics were asked for
// depends on the tests before it.
func TestCardinality(t *testing.T) {
	for _, url := range []string{shared.url, withoutCardinality(t)} {
		p := newPlugin(t, url, `{}`)
		resp := p.ask(t, `{"queryType": "cardinality", "limit": 3}`)
		require.NoError(t, resp.Error)
		require.Len(t, resp.Frames, 3)
		require.Equal(t, "http_server_request_duration_seconds_bucket", resp.Frames[0].Fields[0].At(0))
		require.EqualValues(t, 9, resp.Frames[0].Fields[1].At(0))
		for _, view := range []string{"metrics", "labels", "pairs", "churn", "unused"} {
			require.NoError(t, p.ask(t, `{"queryType": "cardinality", "view": "`+view+`"}`).Error)
		}
		require.Error(t, p.ask(t, `{"queryType": "cardinality", "view": "x"}`).Error)
	}
}

// withoutCardinality is the same Belfry without its own endpoint.
func withoutCardinality(t *testing.T) string {
	t.Helper()
	target, err := url.Parse(shared.url)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/cardinality") {
			http.NotFound(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
