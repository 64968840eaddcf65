package sender

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/remotewrite"
	"belfry/tsdb/store"
	"belfry/tsdb/tsdbtest"
)

type noScraper struct{}

func (noScraper) Get() (*scrape.Manager, error) { return nil, context.Canceled }

func openStore(t *testing.T) *store.Store {
	t.Helper()
	cfg := tsdb.DefaultConfig()
	cfg.MinFreeDisk = 0
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg, LogMetadata: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.OpenTenant(context.Background(), tenant.Default))
	return s
}

// receiver is another store, and the address of what writes to it.
func receiver(t *testing.T) (*store.Store, string) {
	t.Helper()
	s := openStore(t)
	srv := httptest.NewServer(remotewrite.New(remotewrite.Options{Store: s, Config: tsdb.DefaultConfig().RemoteWrite}))
	t.Cleanup(srv.Close)
	return s, srv.URL
}

func section(t *testing.T, text string) (n yaml.Node) {
	t.Helper()
	if text != "" {
		require.NoError(t, yaml.Unmarshal([]byte(text), &n))
		n = *n.Content[0]
	}
	return n
}

func sendTo(t *testing.T, url, more string) Config {
	t.Helper()
	return Config{
		Tenant: tenant.Default,
		Global: section(t, "external_labels: {site: edge}"),
		RemoteWrite: section(t, fmt.Sprintf(`
- url: %s
  queue_config: {batch_send_deadline: 50ms}
  write_relabel_configs: [{source_labels: [__name__], regex: secret, action: drop}]
  %s`, url, more)),
	}
}

func start(t *testing.T, s *store.Store, cfg Config) *Sender {
	t.Helper()
	out, err := New(Options{Store: s, Config: cfg, Scraped: noScraper{}, Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	require.NoError(t, out.Start(context.Background()))
	t.Cleanup(func() { require.NoError(t, out.Shutdown(context.Background())) })
	return out
}

func appendTo(t *testing.T, s *store.Store, ctx context.Context, name string, at time.Time, v float64) {
	t.Helper()
	app := s.AppenderV2(ctx)
	_, err := app.Append(0, labels.FromStrings("__name__", name), 0, at.UnixMilli(), v, nil, nil, storage.AOptions{
		MetricFamilyName: name, Metadata: metadata.Metadata{Type: model.MetricTypeGauge, Help: "Some."},
	})
	require.NoError(t, err)
	require.NoError(t, app.Commit())
}

func line(name string, at time.Time, v float64) string {
	return fmt.Sprintf(`{__name__=%q, site="edge"} %g@%g`, name, v, float64(at.UnixMilli())/1000)
}

// eventually waits until a store has what another sends. It goes on to append what
// is not sent: a queue that begins looks at the log when there is news.
func eventually(t *testing.T, from, to *store.Store, want ...string) {
	t.Helper()
	at := time.Now()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		at = at.Add(time.Millisecond)
		appendTo(t, from, context.Background(), "secret", at, 0)
		require.Equal(c, want, tsdbtest.Dump(t, context.Background(), to))
	}, 30*time.Second, 20*time.Millisecond)
}

func TestSends(t *testing.T) {
	for version, more := range map[string]string{
		"1.0": "",
		"2.0": "protobuf_message: io.prometheus.write.v2.Request",
	} {
		t.Run(version, func(t *testing.T) {
			from, ctx := openStore(t), context.Background()
			to, url := receiver(t)
			at := time.Now().Add(time.Minute).Truncate(time.Second) // queues send what is newer than they
			start(t, from, sendTo(t, url, more))
			appendTo(t, from, ctx, "x", at, 1)
			appendTo(t, from, tenant.WithID(ctx, "other"), "y", at, 3)
			appendTo(t, from, ctx, "x", at.Add(time.Second), 4)
			eventually(t, from, to, line("x", at, 1), line("x", at.Add(time.Second), 4))
			if version == "2.0" {
				md, err := to.Metadata(ctx, "x")
				require.NoError(t, err)
				require.Equal(t, "Some.", md["x"][0].Help)
			}
		})
	}
}

func TestReload(t *testing.T) {
	from, ctx := openStore(t), context.Background()
	first, firstURL := receiver(t)
	second, secondURL := receiver(t)
	at := time.Now().Add(time.Minute).Truncate(time.Second)
	s := start(t, from, Config{Tenant: tenant.Default})
	appendTo(t, from, ctx, "nobody", at, 0)
	require.NoError(t, s.Reload(sendTo(t, firstURL, "")))
	appendTo(t, from, ctx, "x", at, 1)
	eventually(t, from, first, line("nobody", at, 0), line("x", at, 1))
	require.Error(t, s.Reload(Config{Tenant: tenant.Default, RemoteWrite: section(t, "[{name: x}]")}))
	require.NoError(t, s.Reload(sendTo(t, secondURL, "")))
	appendTo(t, from, ctx, "x", at.Add(time.Second), 2)
	require.NoError(t, s.Reload(Config{Tenant: tenant.Default}), "and the queue is emptied")
	appendTo(t, from, ctx, "x", at.Add(2*time.Second), 3)
	require.NoError(t, s.Shutdown(ctx))
	require.NotContains(t, tsdbtest.Dump(t, ctx, first), line("x", at.Add(time.Second), 2))
	require.NotContains(t, tsdbtest.Dump(t, ctx, second), line("x", at.Add(2*time.Second), 3))
}

func TestFaultsOfTheConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		`[{url: "http://a/"}, {url: "http://b/", no_such: 1}]`: "no_such",
		`[{name: x}]`: "url",
		`[{url: "http://a/", protobuf_message: x}]`: "x",
	} {
		require.ErrorContains(t, Config{Tenant: "default", RemoteWrite: section(t, text)}.Validate(), want)
	}
	require.NoError(t, Config{Tenant: "default"}.Validate())
	require.Error(t, Config{Tenant: "../x"}.Validate())
}
