package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// sendDurations sends a histogram of durations without exemplars.
func (x *sender) sendDurations(ctx context.Context, name string, count uint64, at time.Time) error {
	point := metricdata.HistogramDataPoint[float64]{
		StartTime: at.Add(-time.Minute), Time: at, Bounds: []float64{0.01, 0.05, 0.1, 1},
		BucketCounts: []uint64{count, count, count, 0, 0}, Count: 3 * count, Sum: float64(count),
	}
	return x.points.Export(ctx, &metricdata.ResourceMetrics{
		Resource: x.resource(),
		ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
			Name: name, Unit: "s",
			Data: metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.HistogramDataPoint[float64]{point}},
		}}}},
	})
}

// An application sends spans, and a histogram without exemplars: those that are
// found on the histogram lead to its traces, also after the process was killed.
func TestExemplarsOfAHistogramThatWasSentWithout(t *testing.T) {
	s := newServer(t, "")
	s.start()
	x := s.httpSender()
	at := time.Now().Add(-10 * time.Second)
	require.NoError(t, x.sendSpans(t.Context(), 0, 50, at))
	require.NoError(t, x.sendDurations(t.Context(), "http.server.request.duration", 7, at))
	check := func() error {
		var answer struct {
			Data []struct {
				SeriesLabels map[string]string
				Exemplars    []struct{ Labels map[string]string }
			}
		}
		query := `histogram_quantile(0.9, sum by (le) (rate(http_server_request_duration_seconds_bucket{service_name="e2e-http"}[5m])))`
		if err := s.get("/api/v1/query_exemplars", &answer, "query", query, "start", strconv.FormatInt(at.Add(-time.Minute).Unix(), 10), "end", strconv.FormatInt(time.Now().Unix(), 10)); err != nil {
			return err
		}
		if len(answer.Data) == 0 {
			return errors.New("no exemplars")
		}
		found := 0
		for _, series := range answer.Data {
			if series.SeriesLabels["le"] == "" || series.SeriesLabels["service_name"] != "e2e-http" {
				return fmt.Errorf("exemplars of %v", series.SeriesLabels)
			}
			for _, e := range series.Exemplars {
				var trace struct {
					Batches []any
				}
				if err := s.get("/tempo/api/traces/"+url.PathEscape(e.Labels["trace_id"]), &trace); err != nil {
					return fmt.Errorf("trace %q of an exemplar: %w", e.Labels["trace_id"], err)
				}
				if len(trace.Batches) == 0 {
					return fmt.Errorf("trace %q of an exemplar is empty", e.Labels["trace_id"])
				}
				found++
			}
		}
		if found == 0 {
			return fmt.Errorf("no exemplars of %d series", len(answer.Data))
		}
		return nil
	}
	s.eventually("exemplars from spans", check)
	s.kill()
	s.start()
	s.eventually("exemplars from spans after a crash", check)
}
