package scraper

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/store"
	"belfry/tsdb/tsdbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStore(t *testing.T) *store.Store {
	t.Helper()
	cfg := tsdb.DefaultConfig()
	cfg.MinFreeDisk = 0
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func parse(t *testing.T, text string) Config {
	t.Helper()
	c := DefaultConfig()
	require.NoError(t, yaml.Unmarshal([]byte(text), &c))
	return c
}

func run(t *testing.T, s *store.Store, dir string, c Config) *Scraper {
	t.Helper()
	sc, err := New(Options{Appendable: s, Config: c, Dir: dir, DiscoveryInterval: 10 * time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, sc.Start(context.Background()))
	t.Cleanup(func() { require.NoError(t, sc.Shutdown(context.Background())) })
	return sc
}

// exporter serves a registry and closes its connections when the test ends.
func exporter(t *testing.T, collectors ...prometheus.Collector) (host string) {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors...)
	srv := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// eventually waits for scrapes, which happen in their own time.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, 20*time.Second, 10*time.Millisecond, what)
}

func has(t *testing.T, s *store.Store, ctx context.Context, prefix string) func() bool {
	return func() bool {
		for _, l := range tsdbtest.Dump(t, ctx, s) {
			if strings.HasPrefix(l, prefix) {
				return true
			}
		}
		return false
	}
}

func TestScrape(t *testing.T) {
	hits := prometheus.NewCounter(prometheus.CounterOpts{Name: "hits_total", Help: "Hits."})
	hits.Add(7)
	lat := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "lat", NativeHistogramBucketFactor: 2})
	lat.Observe(1)
	host := exporter(t, hits, lat)
	s := newStore(t)
	sc := run(t, s, t.TempDir(), parse(t, fmt.Sprintf(`
tenant: acme
global:
  scrape_interval: 50ms
  scrape_timeout: 50ms
  scrape_native_histograms: true
scrape_configs:
  - job_name: shop
    scrape_interval: 100ms
    scrape_timeout: 100ms
    static_configs:
      - targets: [%q]
        labels: {env: prod, secret: x}
    relabel_configs:
      - regex: secret
        action: labeldrop
  - job_name: down
    static_configs:
      - targets: ["127.0.0.1:1"]
`, host)))
	ctx := tenant.WithID(context.Background(), "acme")
	for _, series := range []string{
		fmt.Sprintf(`{__name__="hits_total", env="prod", instance=%q, job="shop"} 7@`, host),
		fmt.Sprintf(`{__name__="lat", env="prod", instance=%q, job="shop"} {count:1, sum:1, (0.5,1]:1}@`, host),
		fmt.Sprintf(`{__name__="up", env="prod", instance=%q, job="shop"} 1@`, host),
		`{__name__="up", instance="127.0.0.1:1", job="down"} 0@`,
		fmt.Sprintf(`{__name__="scrape_samples_scraped", env="prod", instance=%q, job="shop"} `, host),
	} {
		eventually(t, series, has(t, s, ctx, series))
	}
	require.Empty(t, tsdbtest.Dump(t, context.Background(), s), "scraped for another tenant")
	md, err := s.Metadata(ctx, "hits_total")
	require.NoError(t, err)
	require.Equal(t, map[string][]metadata.Metadata{"hits_total": {{Type: model.MetricTypeCounter, Help: "Hits."}}}, md)

	require.ElementsMatch(t, []string{"shop", "down"}, sc.ScrapePools())
	targets := sc.TargetsActive()
	require.ErrorContains(t, targets["down"][0].LastError(), "connection refused")
	require.Equal(t, "acme", sc.Tenant())
	require.Len(t, sc.Prometheus().ScrapeConfigs, 2)
}

func TestDiscoveries(t *testing.T) {
	up := prometheus.NewGauge(prometheus.GaugeOpts{Name: "here"})
	host := exporter(t, up)
	sd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `[{"targets":[%q],"labels":{"from":"http"}}]`, host)
	}))
	t.Cleanup(sd.Close)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "targets.json"), fmt.Appendf(nil, `[{"targets":[%q],"labels":{"from":"file"}}]`, host), 0o600))
	s := newStore(t)
	run(t, s, dir, parse(t, fmt.Sprintf(`
global: {scrape_interval: 100ms, scrape_timeout: 100ms}
scrape_configs:
  - job_name: http
    http_sd_configs: [{url: %q}]
  - job_name: file
    file_sd_configs: [{files: [targets.json]}]
`, sd.URL)))
	for _, from := range []string{"http", "file"} {
		eventually(t, from, has(t, s, context.Background(), fmt.Sprintf(`{__name__="here", from=%q, instance=%q, job=%q} 0@`, from, host, from)))
	}
}

func TestReload(t *testing.T) {
	var scrapes atomic.Int64
	count := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "n"}, func() float64 { return float64(scrapes.Add(1)) })
	host := exporter(t, count)
	s := newStore(t)
	const page = "global: {scrape_interval: 50ms, scrape_timeout: 50ms}\nscrape_configs:\n  - job_name: %s\n    static_configs: [{targets: [%q]}]\n"
	sc := run(t, s, "", parse(t, fmt.Sprintf(page, "one", host)))
	ctx := context.Background()
	eventually(t, "job one", has(t, s, ctx, fmt.Sprintf(`{__name__="n", instance=%q, job="one"}`, host)))

	require.Error(t, sc.Reload(parse(t, "scrape_configs: [{job_name: x, nonsense: 1}]")))
	require.Equal(t, []string{"one"}, sc.ScrapePools(), "the old one stays")

	require.NoError(t, sc.Reload(parse(t, fmt.Sprintf(page, "two", host))))
	eventually(t, "job two", has(t, s, ctx, fmt.Sprintf(`{__name__="n", instance=%q, job="two"}`, host)))
	eventually(t, "end of job one", func() bool {
		return len(tsdbtest.Dump(t, ctx, s, labels.MustNewMatcher(labels.MatchEqual, "job", "one"))) > 0 && len(sc.ScrapePools()) == 1 && sc.ScrapePools()[0] == "two"
	})
}

func TestSeriesLimitDoesNotFailTheScrape(t *testing.T) {
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "flood"}, []string{"i"})
	for i := range 50 {
		vec.WithLabelValues(strconv.Itoa(i))
	}
	host := exporter(t, vec)
	cfg := tsdb.DefaultConfig()
	cfg.MinFreeDisk = 0
	cfg.Limits.MaxSeries = 30
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	sc := run(t, s, "", parse(t, fmt.Sprintf("global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs:\n  - job_name: f\n    static_configs: [{targets: [%q]}]\n", host)))
	eventually(t, "flood", has(t, s, context.Background(), `{__name__="flood"`))
	eventually(t, "healthy target", func() bool {
		targets := sc.TargetsActive()["f"]
		return len(targets) == 1 && targets[0].Health() == "up"
	})
}

func TestConfigFaults(t *testing.T) {
	for text, want := range map[string]string{
		"scrape_configs: [{job_name: a, nonsense: 1}]":                                          "nonsense",
		"scrape_configs: [{job_name: a}, {job_name: a}]":                                        "multiple scrape configs",
		"global: {scrape_interval: soon}":                                                       "soon",
		"tenant: a/b":                                                                           "tenant:",
		"scrape_configs: [{job_name: a, ec2_sd_configs: [{region: x}]}]":                        "ec2_sd_configs",
		"scrape_configs: [{job_name: a, scrape_timeout: 2m, scrape_interval: 1m}]":              "timeout",
		"scrape_configs: [{job_name: a, relabel_configs: [{action: dance}]}]":                   "dance",
		"scrape_configs: [{job_name: a, metric_relabel_configs: [{regex: '(', action: keep}]}]": "(",
	} {
		require.ErrorContains(t, parse(t, text).Validate(), want, text)
	}
	require.NoError(t, DefaultConfig().Validate())
}
