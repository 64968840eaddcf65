package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const count = 1000

// missing returns up to ten of the numbers in want that got lacks.
func missing(want, got map[int]bool) []int {
	var lacking []int
	for n := range want {
		if !got[n] && len(lacking) < 10 {
			lacking = append(lacking, n)
		}
	}
	return lacking
}

func upTo(n int) map[int]bool {
	all := make(map[int]bool, n)
	for i := range n {
		all[i] = true
	}
	return all
}

func TestEveryRecordOfEverySignalComesBack(t *testing.T) {
	s := newServer(t, "")
	s.start()
	at := time.Now().Truncate(time.Second)
	from, to := at.Add(-time.Minute), at.Add(time.Minute)
	for _, x := range []*sender{s.grpcSender(), s.httpSender()} {
		x.sendAll(t, count, at)
		service := "e2e-" + x.via

		points, err := s.promNumbers(service, at)
		require.NoError(t, err)
		require.Empty(t, missing(upTo(count), points), "points by %s", x.via)

		records, err := s.lokiNumbers(service, from, to)
		require.NoError(t, err)
		require.Empty(t, missing(upTo(count), records), "records by %s", x.via)

		spans, err := s.jaegerNumbers(service, from, to)
		require.NoError(t, err)
		require.Empty(t, missing(upTo(count), spans), "spans by %s", x.via)
		for n := range count {
			require.NoError(t, s.tempoHas(x, n))
		}
	}

	t.Run("search finds spans by attribute without naming a service", func(t *testing.T) {
		var found struct{ Traces []struct{ TraceID string } }
		require.NoError(t, s.get("/tempo/api/search", &found, "q", `{ span.e2e.number = 7 }`,
			"start", strconv.FormatInt(from.Unix(), 10), "end", strconv.FormatInt(to.Unix(), 10)))
		require.Len(t, found.Traces, 2, "one by gRPC, one by HTTP")
	})
	t.Run("a log line knows its trace", func(t *testing.T) {
		var answer struct {
			Data struct {
				Result []struct{ Stream map[string]string }
			}
		}
		require.NoError(t, s.get("/loki/api/v1/query_range", &answer, "query", `{service_name="e2e-grpc"} | e2e_number="7"`,
			"start", strconv.FormatInt(from.UnixNano(), 10), "end", strconv.FormatInt(to.UnixNano(), 10)))
		require.Len(t, answer.Data.Result, 1)
		require.Equal(t, s.grpcSender().traceID(7).String(), answer.Data.Result[0].Stream["trace_id"])
	})
	t.Run("data sources pass their health checks", func(t *testing.T) {
		var vector struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		require.NoError(t, s.get("/loki/api/v1/query", &vector, "query", "vector(1)+vector(1)"))
		require.Equal(t, "2", vector.Data.Result[0].Value[1])
		require.NoError(t, s.get("/api/v1/query", &vector, "query", "vector(1)+1"))
		require.NoError(t, s.get("/prometheus/api/v1/status/buildinfo", nil))
		require.NoError(t, s.get("/tempo/api/status/buildinfo", nil))
		var services struct{ Data []string }
		require.NoError(t, s.get("/jaeger/api/services", &services))
		require.Subset(t, services.Data, []string{"e2e-grpc", "e2e-http"})
		require.NoError(t, s.get("/alertmanager/api/v2/status", nil))
	})
	t.Run("large answers are compressed for whoever takes it", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"/loki/api/v1/query_range?query=%7Bservice_name%3D%22e2e-http%22%7D", http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	})
	s.stop()
	s.start()
	records, err := s.lokiNumbers("e2e-http", from, to)
	require.NoError(t, err)
	require.Empty(t, missing(upTo(count), records), "records after an orderly restart")
}

func TestOwnTelemetryIsFoundAsServiceBelfry(t *testing.T) {
	s := newServer(t, "telemetry: {metric_interval: 1s}\n")
	s.start()
	var answer struct {
		Data struct{ Result []any }
	}
	nonEmpty := func(path string, params ...string) func() error {
		return func() error {
			if err := s.get(path, &answer, params...); err != nil {
				return err
			}
			if len(answer.Data.Result) == 0 {
				return fmt.Errorf("nothing at %s", path)
			}
			return nil
		}
	}
	s.eventually("own metrics", nonEmpty("/api/v1/query", "query", `belfry_build_info{service_name="belfry"}`))
	s.eventually("own logs", nonEmpty("/loki/api/v1/query_range", "query", `{service_name="belfry"}`))
	require.NoError(t, s.get("/metrics", nil, "format", "text"), "own metrics on /metrics")
}

func TestSpansBecomeMetrics(t *testing.T) {
	s := newServer(t, "span_metrics: {interval: 1s}\n")
	s.start()
	require.NoError(t, s.grpcSender().sendSpans(t.Context(), 0, 100, time.Now().Add(-time.Second)))
	s.eventually("calls counted in spans", func() error {
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		if err := s.get("/api/v1/query", &answer, "query", `sum(traces_spanmetrics_calls_total{service="e2e-grpc"})`); err != nil {
			return err
		}
		if len(answer.Data.Result) != 1 || answer.Data.Result[0].Value[1] != "100" {
			return fmt.Errorf("answer: %+v", answer)
		}
		return nil
	})
}
