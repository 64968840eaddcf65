package influx

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/store"
	"belfry/tsdb/tsdbtest"
)

var now = time.Now().Add(-20 * time.Minute).Truncate(time.Minute)

func newHandler(t testing.TB) (*Handler, *store.Store) {
	t.Helper()
	cfg := tsdb.DefaultConfig()
	cfg.MinFreeDisk = 0
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return New(Options{Store: s, MaxBytes: 10_000, Now: func() time.Time { return now }}), s
}

func post(h http.Handler, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func dump(t *testing.T, s *store.Store) []string {
	t.Helper()
	ctx := tenant.WithID(context.Background(), tenant.Default)
	return tsdbtest.Dump(t, ctx, s, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
}

func line(ms int64, v float64, lbls ...string) string {
	return fmt.Sprintf("%s %g@%g", labels.FromStrings(lbls...), v, float64(ms)/1000)
}

func TestEveryFieldIsASeries(t *testing.T) {
	h, s := newHandler(t)
	at := now.Add(-time.Minute)
	body := fmt.Sprintf(`# a comment
cpu,host=a,cpu-no=0 usage.idle=97.5,cores=4i,hot=true,note="none" %d
weather,city=S\ ã\,o temp=21u
`, at.UnixNano())
	w := post(h, "/write?db=telegraf", body)
	require.Equal(t, http.StatusNoContent, w.Code, w.Body.String())
	require.ElementsMatch(t, []string{
		line(at.UnixMilli(), 97.5, "__name__", "cpu_usage_idle", "cpu_no", "0", "db", "telegraf", "host", "a"),
		line(at.UnixMilli(), 4, "__name__", "cpu_cores", "cpu_no", "0", "db", "telegraf", "host", "a"),
		line(at.UnixMilli(), 1, "__name__", "cpu_hot", "cpu_no", "0", "db", "telegraf", "host", "a"),
		line(now.UnixMilli(), 21, "__name__", "weather_temp", "city", "S ã,o", "db", "telegraf"),
	}, dump(t, s))
}

func TestPrecisions(t *testing.T) {
	for precision, unit := range map[string]time.Duration{
		"": time.Nanosecond, "ns": time.Nanosecond, "us": time.Microsecond, "ms": time.Millisecond,
		"s": time.Second, "m": time.Minute,
	} {
		h, s := newHandler(t)
		w := post(h, "/api/v2/write?bucket=b&precision="+precision, fmt.Sprintf("m v=1 %d", now.UnixNano()/int64(unit)))
		require.Equal(t, http.StatusNoContent, w.Code, w.Body.String())
		require.Equal(t, []string{line(now.UnixMilli(), 1, "__name__", "m_v", "db", "b")}, dump(t, s), precision)
	}
	h, _ := newHandler(t)
	w := post(h, "/write?precision=day", "m v=1")
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.JSONEq(t, `{"error":"precision \"day\" is not one of ns, us, ms, s, m and h"}`, w.Body.String())
}

func TestABadLineDoesNotTakeTheOthers(t *testing.T) {
	h, s := newHandler(t)
	w := post(h, "/write", "good v=1\nbad v=\n,x=1 v=1\nm v=1,w=2 99999999999999999999\nm,a=1,a=2 v=1\nlast v=2\n")
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), "partial write")
	require.Contains(t, w.Body.String(), "2:", "the line and column")
	require.ElementsMatch(t, []string{
		line(now.UnixMilli(), 1, "__name__", "good_v"), line(now.UnixMilli(), 2, "__name__", "last_v"),
	}, dump(t, s))

	w = post(h, "/api/v2/write", "bad v=")
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), `"code":"invalid"`)
}

func TestBodies(t *testing.T) {
	h, s := newHandler(t)
	zip := func(text string) string {
		var out bytes.Buffer
		zw := gzip.NewWriter(&out)
		_, err := zw.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, zw.Close())
		return out.String()
	}
	require.Equal(t, http.StatusNoContent, post(h, "/write", zip("m v=1"), "Content-Encoding", "gzip").Code)
	require.Len(t, dump(t, s), 1)
	require.Equal(t, http.StatusNoContent, post(h, "/write", "").Code)
	require.Equal(t, http.StatusRequestEntityTooLarge, post(h, "/write", strings.Repeat("#", 10_001)).Code)
	require.Equal(t, http.StatusRequestEntityTooLarge, post(h, "/write", zip(strings.Repeat("#", 1_000_000)), "Content-Encoding", "gzip").Code)
	require.Equal(t, http.StatusBadRequest, post(h, "/write", "m v=1", "Content-Encoding", "gzip").Code)
	require.Equal(t, http.StatusBadRequest, post(h, "/write", "m v=1", "Content-Encoding", "br").Code)
}

func TestWhatAgentsAskFirst(t *testing.T) {
	h, _ := newHandler(t)
	get := func(method, target string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w
	}
	require.Equal(t, http.StatusNoContent, get(http.MethodHead, "/ping").Code)
	require.Equal(t, version, get(http.MethodGet, "/ping").Header().Get("X-Influxdb-Version"))
	require.JSONEq(t, `{"results":[{"statement_id":0}]}`, get(http.MethodPost, "/query?q=CREATE+DATABASE+telegraf").Body.String())
	require.Contains(t, get(http.MethodGet, "/health").Body.String(), `"status":"pass"`)
	require.Equal(t, http.StatusMethodNotAllowed, get(http.MethodGet, "/write").Code)
}

func FuzzLines(f *testing.F) {
	f.Add("cpu,host=a usage=97.5,n=4i 1700000000000000000\nm v=t")
	f.Add("m\\,x,a\\ b=c v=\"text\\\"\",w=1u")
	f.Add(",=\n\x00 v=1 -9223372036854775808")
	f.Fuzz(func(t *testing.T, body string) {
		app := new(discard)
		b := batch{app: app, unit: time.Nanosecond, now: now}
		require.NoError(t, b.append([]byte(body)))
		for _, series := range app.seen {
			require.NotEmpty(t, series.Get("__name__"))
			series.Range(func(l labels.Label) {
				require.Equal(t, l.Name, legal(l.Name, l.Name == "__name__"), "legal stays as it is")
			})
		}
	})
}

// discard is an appender that only looks at what it is given.
type discard struct {
	storage.AppenderV2
	seen []labels.Labels
}

func (d *discard) Append(_ storage.SeriesRef, ls labels.Labels, _, _ int64, _ float64, _ *histogram.Histogram, _ *histogram.FloatHistogram, _ storage.AOptions) (storage.SeriesRef, error) {
	d.seen = append(d.seen, ls)
	return 0, nil
}
