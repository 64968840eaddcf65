package evidence_test

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"belfry/alerting/evidence"
	"belfry/alerting/incident"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store answers the same to everything and keeps what it was asked.
type store struct {
	series  []evidence.Series
	lines   []evidence.Line
	trace   string
	err     error
	hang    bool
	asked   []string
	operand string
}

func (s *store) Range(ctx context.Context, _, expr string, _, _ time.Time, _ time.Duration) ([]evidence.Series, error) {
	if s.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.asked = append(s.asked, expr)
	return s.series, s.err
}

func (s *store) Operand(string) (string, bool) { return s.operand, s.operand != "" }

func (s *store) Newest(_ context.Context, _, query string, _, _ time.Time, limit int) ([]evidence.Line, error) {
	s.asked = append(s.asked, query)
	return s.lines[:min(len(s.lines), limit)], s.err
}

func (s *store) Example(_ context.Context, _, query string, _, _ time.Time) (string, error) {
	s.asked = append(s.asked, query)
	return s.trace, s.err
}

var now = time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)

func points(v ...float64) (out []evidence.Point) {
	for n, one := range v {
		out = append(out, evidence.Point{T: now.Add(time.Duration(n-len(v)+1) * time.Minute).UnixMilli(), V: one})
	}
	return out
}

func collect(t *testing.T, c evidence.Config, s evidence.Stores, link string, labels map[string]string) *evidence.Evidence {
	t.Helper()
	require.NoError(t, c.Validate())
	col, err := evidence.New(c, s, nil)
	require.NoError(t, err)
	return col.Collect(t.Context(), &incident.Incident{}, []incident.Alert{{Labels: labels, GeneratorURL: link}}, now)
}

func TestWhatIsFound(t *testing.T) {
	m := &store{operand: "rate(x[5m])", series: []evidence.Series{{Labels: map[string]string{"instance": "a"}, Points: points(1, 2)},
		{Labels: map[string]string{"instance": "b"}, Points: points(3, 4)}}}
	l := &store{lines: []evidence.Line{{At: now, Text: `login failed password="hunter2" card 4111-1111 for https://u:pw@db`}, {At: now, Text: "Authorization: Bearer abcdefghijkl"}}}
	tr := &store{trace: "abc"}
	c := evidence.DefaultConfig()
	c.LogLines = 5
	c.Redact = []evidence.Redaction{{Pattern: `\b\d{4}-\d{4}\b`, Replace: "####"}}
	e := collect(t, c, evidence.Stores{Rangers: map[string]evidence.Ranger{evidence.Metrics: m}, Lines: l, Traces: tr},
		"https://b.test/graph?g0.expr=rate%28x%5B5m%5D%29+%3E+3.5&g0.tab=1", map[string]string{"instance": "b", "service_name": `sh"op`})
	require.Equal(t, "> 3.5", e.Threshold)
	require.Equal(t, "b", e.Series[0].Labels["instance"], "the alert's own first")
	v, ok := e.Last()
	require.True(t, ok)
	require.InDelta(t, 4, v, 0)
	require.Equal(t, []string{"rate(x[5m])"}, m.asked, "without the threshold")
	require.Equal(t, []string{`{service_name="sh\"op"} | detected_level=~"error|critical"`}, l.asked)
	require.Equal(t, []string{`{ resource.service.name = "sh\"op" && status = error }`}, tr.asked)
	require.Equal(t, `login failed password="<redacted>" card #### for https://u:<redacted>@db`, e.Lines[0].Text)
	require.NotContains(t, e.Lines[1].Text, "abcdefghijkl")
	require.Equal(t, "abc", e.TraceID)
	img, err := png.Decode(bytes.NewReader(e.PNG()))
	require.NoError(t, err)
	require.Equal(t, 640, img.Bounds().Dx())
	again := e.PNG()
	require.Equal(t, e.PNG(), again, "the same every time")
}

func TestRulesOnLogsAndTracesAreTheirOwnEvidence(t *testing.T) {
	l, tr := &store{}, &store{}
	stores := evidence.Stores{Lines: l, Traces: tr}
	collect(t, evidence.DefaultConfig(), stores, `/logs?q=sum(rate({app="a {b[}"} |= "x" | unwrap d [5m])) > 1`, map[string]string{"service_name": "s"})
	require.Equal(t, []string{`{app="a {b[}"} |= "x"`}, l.asked)
	collect(t, evidence.DefaultConfig(), stores, `/traces?q={ span.a = "}" } | rate()`, nil)
	require.Equal(t, `{ span.a = "}" }`, tr.asked[len(tr.asked)-1])
}

func TestAPageDoesNotWait(t *testing.T) {
	c := evidence.DefaultConfig()
	c.Timeout = model.Duration(time.Millisecond)
	hung, broken, broken2 := &store{hang: true}, &store{err: errors.New("no")}, &store{err: errors.New("no")}
	e := collect(t, c, evidence.Stores{Rangers: map[string]evidence.Ranger{evidence.Metrics: hung}, Lines: broken, Traces: broken2},
		"/graph?g0.expr=up", map[string]string{"job": "a"})
	require.Equal(t, "up", e.Expr)
	require.Empty(t, e.Series)
	require.Nil(t, e.PNG())
	c.Off = true
	require.Nil(t, collect(t, c, evidence.Stores{Lines: broken}, "/graph?g0.expr=up", nil))
	require.Nil(t, collect(t, evidence.DefaultConfig(), evidence.Stores{}, "http://elsewhere/", nil))
}

func TestThresholds(t *testing.T) {
	for expr, want := range map[string]string{`{ span.a = 1 } | rate() > 0.2`: `{ span.a = 1 } | rate()`, "x == bool 1e3": "x", "{ span.a > 5 }": "", "sum(x > 5)": "", "x": ""} {
		got, ok := evidence.WithoutThreshold(expr)
		require.Equal(t, want, got, expr)
		require.Equal(t, want != "", ok)
	}
	one := &evidence.Evidence{From: now.Add(-time.Hour), To: now, Series: []evidence.Series{{Points: points(1)}}}
	require.False(t, one.Drawable())
	require.Nil(t, one.PNG(), "one point is no line")
}

func TestConfigFaults(t *testing.T) {
	c := evidence.Config{LogLines: 99, Redact: []evidence.Redaction{{Pattern: "("}, {}}}
	err := c.Validate()
	for _, want := range []string{"log_lines:", "timeout:", "redact[0].pattern:", "redact[1].pattern: is missing"} {
		require.ErrorContains(t, err, want)
	}
}

func FuzzPicture(f *testing.F) {
	f.Add(1.0, 2.0, 3.0, "> 5")
	f.Add(0.0, 0.0, 0.0, "> 1e308")
	f.Add(-1e300, 1e300, 5e-324, "")
	f.Fuzz(func(t *testing.T, a, b, c float64, limit string) {
		for _, v := range []float64{a, b, c} {
			if v != v || v-v != 0 {
				return
			}
		}
		e := evidence.Evidence{From: now.Add(-time.Hour), To: now, Threshold: limit, Series: []evidence.Series{{Points: points(a, b, c)}}}
		if picture := e.PNG(); picture != nil {
			_, err := png.Decode(bytes.NewReader(picture))
			require.NoError(t, err)
		}
	})
}

func FuzzBehind(f *testing.F) {
	f.Add(`sum(rate({a="b"} |= "x" [5m]))`)
	f.Add("{`")
	f.Fuzz(func(_ *testing.T, expr string) {
		_ = evidence.LinesBehind(expr)
		_ = evidence.SpansBehind(expr)
	})
}
