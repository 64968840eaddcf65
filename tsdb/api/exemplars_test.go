package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
	"belfry/tsdb"
)

// oneSpan is a trace store with a span of 0.3 s of the service cart.
type oneSpan struct{ err error }

func (s oneSpan) FindSpans(ctx context.Context, q tsdb.SpanSearch) ([]tsdb.ExemplarSpan, error) {
	if q.Service != "cart" || tenant.ID(ctx) != "a" || s.err != nil {
		return nil, s.err
	}
	return []tsdb.ExemplarSpan{{TraceID: "aa", SpanID: "bb", Time: now.UnixMilli(), Seconds: 0.3}}, nil
}

func TestExemplarsFromSpans(t *testing.T) {
	s := newServer(t, func(o *Options) { o.Spans = oneSpan{} })
	for _, service := range []string{"cart", "other"} {
		for _, le := range []string{"0.1", "0.5", "1", "+Inf"} {
			s.put("a", now, 1, storage.AOptions{}, "__name__", "latency_seconds_bucket", "service_name", service, "le", le)
		}
	}
	s.put("a", now, 1, storage.AOptions{}, "__name__", "latency_seconds_count", "service_name", "cart")
	ask := func(id, query string) string {
		return s.get(id, fmt.Sprintf("/api/v1/query_exemplars?query=%s&start=%d&end=%d", query, now.Add(-time.Minute).Unix(), now.Unix()))
	}
	want := fmt.Sprintf(`[{"seriesLabels":{"__name__":"latency_seconds_bucket","le":"0.5","service_name":"cart"},"exemplars":[{"labels":{"span_id":"bb","trace_id":"aa"},"value":"0.3","timestamp":%d}]}]`, now.Unix())
	require.JSONEq(t, want, ask("a", "histogram_quantile(0.9,sum%20by(le)(rate(latency_seconds_bucket[5m])))"))
	require.JSONEq(t, `[]`, ask("a", "latency_seconds_count"))
	require.JSONEq(t, `[]`, ask("b", "latency_seconds_bucket"))

	// What the application sent is all there is.
	s.put("a", now.Add(time.Millisecond), 2, storage.AOptions{Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "own"), Value: 0.7, Ts: now.UnixMilli(), HasTs: true}}},
		"__name__", "latency_seconds_bucket", "service_name", "cart", "le", "1")
	got := ask("a", "latency_seconds_bucket")
	require.Contains(t, got, `"own"`)
	require.NotContains(t, got, `"aa"`)
}

func TestExemplarsSurviveTheTraceStore(t *testing.T) {
	s := newServer(t, func(o *Options) { o.Spans = oneSpan{errors.New("no traces today")} })
	s.put("a", now, 2, storage.AOptions{Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "own"), Value: 0.7, Ts: now.UnixMilli(), HasTs: true}}},
		"__name__", "x_bucket", "service_name", "other", "le", "1")
	s.put("a", now, 2, storage.AOptions{}, "__name__", "x_bucket", "service_name", "cart", "le", "1")
	require.Contains(t, s.get("a", fmt.Sprintf("/api/v1/query_exemplars?query=x_bucket&start=%d&end=%d", now.Add(-time.Minute).Unix(), now.Unix())), `"own"`)
}
