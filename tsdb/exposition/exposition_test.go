package exposition

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/store"
	"belfry/tsdb/tsdbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Now().Truncate(time.Minute)

func newStore(t testing.TB) *store.Store {
	t.Helper()
	cfg := tsdb.DefaultConfig()
	cfg.MinFreeDisk = 0
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestFormats(t *testing.T) {
	sec := float64(now.Unix())
	for _, tc := range []struct {
		name, contentType, body string
		want                    []string
		meta                    map[string][]metadata.Metadata
	}{
		{
			name: "text",
			body: "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"1\"} 2\nb 3\n",
			want: []string{fmt.Sprintf(`{__name__="a_total", x="1"} 2@%g`, sec), fmt.Sprintf(`{__name__="b"} 3@%g`, sec)},
			meta: map[string][]metadata.Metadata{"a_total": {{Type: model.MetricTypeCounter, Help: "Things."}}},
		},
		{
			name:        "OpenMetrics",
			contentType: "application/openmetrics-text; version=1.0.0",
			body:        fmt.Sprintf("# TYPE a counter\n# UNIT a_seconds seconds\na_total 2 %d # {trace_id=\"t\"} 1\n# EOF\n", now.Unix()-60),
			want:        []string{fmt.Sprintf(`{__name__="a_total"} 2@%g`, sec-60)},
		},
		{
			name: "histogram of the text format",
			body: "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
			want: []string{
				fmt.Sprintf(`{__name__="h_bucket", le="+Inf"} 2@%g`, sec), fmt.Sprintf(`{__name__="h_bucket", le="1.0"} 1@%g`, sec),
				fmt.Sprintf(`{__name__="h_count"} 2@%g`, sec), fmt.Sprintf(`{__name__="h_sum"} 3@%g`, sec),
			},
			meta: map[string][]metadata.Metadata{"h": {{Type: model.MetricTypeHistogram}}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStore(t)
			app := s.AppenderV2(context.Background())
			rejected, err := Append(app, Page{Body: []byte(tc.body), ContentType: tc.contentType, Now: now.UnixMilli()})
			require.NoError(t, err)
			require.Zero(t, rejected.Total())
			require.NoError(t, app.Commit())
			require.Equal(t, tc.want, tsdbtest.Dump(t, context.Background(), s))
			if tc.meta != nil {
				got, err := s.Metadata(context.Background(), "")
				require.NoError(t, err)
				require.Equal(t, tc.meta, got)
			}
		})
	}
}

func TestMalformedPage(t *testing.T) {
	s := newStore(t)
	app := s.AppenderV2(context.Background())
	_, err := Append(app, Page{Body: []byte("good 1\nbad {\n"), Now: now.UnixMilli()})
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	require.NoError(t, app.Rollback())
	require.Empty(t, tsdbtest.Dump(t, context.Background(), s))
}

func TestRegistryKeepsNativeHistograms(t *testing.T) {
	s := newStore(t)
	reg := prometheus.NewRegistry()
	hits := prometheus.NewCounter(prometheus.CounterOpts{Name: "hits_total", Help: "Hits."})
	lat := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "lat", NativeHistogramBucketFactor: 2})
	reg.MustRegister(hits, lat)
	hits.Inc()
	lat.Observe(1)
	r := NewRegistry(RegistryOptions{
		Gatherer: reg, Appendable: s, Tenant: "own", Labels: map[string]string{"job": "belfry"},
		Interval: time.Hour, Now: func() time.Time { return now },
	})
	require.NoError(t, r.Append(context.Background()))
	got := tsdbtest.Dump(t, tenant.WithID(context.Background(), "own"), s)
	require.Len(t, got, 2)
	require.Equal(t, fmt.Sprintf(`{__name__="hits_total", job="belfry"} 1@%g`, float64(now.Unix())), got[0])
	require.Contains(t, got[1], `{__name__="lat", job="belfry"} {count:1, sum:1, (0.5,1]:1}`)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, r.Run(ctx))
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte("# TYPE a counter\na{x=\"1\"} 2 3\n"), "")
	f.Add([]byte("# TYPE a counter\na_total 2 1.5 # {t=\"1\"} 1\n# EOF\n"), "application/openmetrics-text")
	f.Add([]byte("\x05\x0a\x01a\x18\x00"), "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
	s := newStore(f)
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		app := s.AppenderV2(context.Background())
		if _, err := Append(app, Page{Body: body, ContentType: contentType, Now: now.UnixMilli(), Extra: []labels.Label{{Name: "e", Value: "1"}}}); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatalf("unexpected kind: %v", err)
		}
		if err := app.Rollback(); err != nil {
			t.Fatal(err)
		}
	})
}
