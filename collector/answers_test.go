package collector

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"belfry/internal/fault"
)

var protobufHeader = map[string]string{"Content-Type": "application/x-protobuf"}

// lanes are configurations under which a request travels as bytes and decoded.
func lanes() map[string]map[string]any {
	return map[string]map[string]any{
		"wire": nil,
		"processors": withProcessor("transform", map[string]any{
			"log_statements": []any{map[string]any{"context": "log", "statements": []any{`set(attributes["x"], "y")`}}},
		}),
	}
}

func TestPartialSuccess(t *testing.T) {
	for lane, user := range lanes() {
		w := start(t, user)
		conn := w.dial(t)
		for _, signal := range signals {
			t.Run(lane+"/"+signal, func(t *testing.T) {
				body := request(t, signal, []string{"a", "b"}, 3)

				got, err := export(t.Context(), conn, signal, body)
				require.NoError(t, err)
				rejected, reason := partial(t, signal, got, false)
				require.EqualValues(t, 3, rejected)
				require.Equal(t, "marked as bad", reason)

				for _, send := range []sender{w.overHTTP(), w.overMux()} {
					a := send(t, "/v1/"+signal, protobufHeader, body)
					require.Equal(t, http.StatusOK, a.code)
					rejected, reason = partial(t, signal, a.body, false)
					require.EqualValues(t, 3, rejected)
					require.Equal(t, "marked as bad", reason)
				}
				a := w.overHTTP()(t, "/v1/"+signal, map[string]string{"Content-Type": "application/json"}, asJSON(t, signal, body))
				require.Equal(t, http.StatusOK, a.code)
				rejected, _ = partial(t, signal, a.body, true)
				require.EqualValues(t, 3, rejected)

				require.Len(t, w.store(signal).names("default"), 4*2)
			})
		}
	}
}

func TestNothingRejectedSaysNothing(t *testing.T) {
	w := start(t, nil)
	a := w.overHTTP()(t, "/v1/logs", protobufHeader, request(t, "logs", []string{"a"}, 0))
	require.Equal(t, http.StatusOK, a.code)
	rejected, reason := partial(t, "logs", a.body, false)
	require.Zero(t, rejected)
	require.Empty(t, reason)
}

func TestStoreErrors(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		http  int
		grpc  codes.Code
		delay time.Duration
	}{
		{"limit", fault.Limitedf(2*time.Second, "too many series"), 429, codes.ResourceExhausted, 2 * time.Second},
		{"limit without a delay", fault.Limitedf(0, "too many series"), 429, codes.ResourceExhausted, time.Second},
		{"disk full", fault.Unavailablef(0, "no space left"), 503, codes.Unavailable, time.Second},
		{"bad request", fault.Invalidf("bad"), 400, codes.InvalidArgument, 0},
		{"too large", fault.New(fault.TooLarge, "large"), 413, codes.InvalidArgument, 0},
		{"unknown", errors.New("broken"), 500, codes.Internal, 0},
	}
	for lane, user := range lanes() {
		w := start(t, user)
		conn := w.dial(t)
		for _, tt := range tests {
			for _, signal := range signals {
				t.Run(lane+"/"+tt.name+"/"+signal, func(t *testing.T) {
					w.store(signal).fail(tt.err)
					body := request(t, signal, []string{"a"}, 0)

					_, err := export(t.Context(), conn, signal, body)
					require.Equal(t, tt.grpc, status.Code(err), "%v", err)
					require.Equal(t, tt.delay, retryDelayOf(err))

					for _, send := range []sender{w.overHTTP(), w.overMux()} {
						a := send(t, "/v1/"+signal, protobufHeader, body)
						require.Equal(t, tt.http, a.code)
						require.Equal(t, int32(tt.grpc), a.status(t).GetCode())
						if tt.delay > 0 {
							require.Equal(t, map[time.Duration]string{time.Second: "1", 2 * time.Second: "2"}[tt.delay], a.header.Get("Retry-After"))
						} else {
							require.Empty(t, a.header.Get("Retry-After"))
						}
					}
					require.Empty(t, w.store(signal).names("default"))
				})
			}
		}
	}
}

func TestMemoryLimiterRefusesRetryably(t *testing.T) {
	w := start(t, map[string]any{"processors": map[string]any{"memory_limiter": map[string]any{
		"check_interval": "1ms", "limit_mib": 1, "limit_percentage": 0, "spike_limit_percentage": 0,
	}}})
	conn := w.dial(t)
	for _, signal := range signals {
		require.Eventually(t, func() bool {
			_, err := export(t.Context(), conn, signal, request(t, signal, []string{"a"}, 0))
			return status.Code(err) == codes.Unavailable && retryDelayOf(err) == time.Second
		}, 10*time.Second, time.Millisecond, signal)
		a := w.overHTTP()(t, "/v1/"+signal, protobufHeader, request(t, signal, []string{"a"}, 0))
		require.Equal(t, http.StatusServiceUnavailable, a.code)
		require.Equal(t, "1", a.header.Get("Retry-After"))
	}
}

// TestRejectedBehindABatch cannot tell the sender, so it counts and logs.
func TestRejectedBehindABatch(t *testing.T) {
	reg := prometheus.NewRegistry()
	w := start(t, withProcessor("batch", map[string]any{"timeout": "1ms"}), func(s *Settings) { s.Registerer = reg })
	require.NotNil(t, w.seen.find("pipeline acknowledges records before they are kept", map[string]string{"pipeline": "logs", "processor": "batch"}))

	header := map[string]string{"Content-Type": "application/x-protobuf", "X-Scope-OrgID": "acme"}
	a := w.overHTTP()(t, "/v1/logs", header, request(t, "logs", []string{"a"}, 2))
	require.Equal(t, http.StatusOK, a.code)
	require.Eventually(t, func() bool {
		return w.seen.find("records rejected by the store", map[string]string{"tenant": "acme", "rejected": "2"}) != nil
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, []string{"a"}, w.logs.names("acme"), "the tenant survives the batch")
	require.Equal(t, 2.0, testutil.ToFloat64(w.counts.Records("logs", "rejected")))
}

func TestMetricsOfTheCollector(t *testing.T) {
	reg := prometheus.NewRegistry()
	w := start(t, nil, func(s *Settings) { s.Registerer = reg })
	send := func() {
		for _, signal := range signals {
			require.Equal(t, http.StatusOK, w.overHTTP()(t, "/v1/"+signal, protobufHeader, request(t, signal, []string{"a"}, 1)).code)
		}
	}
	names := func() []string {
		families, err := reg.Gather()
		require.NoError(t, err)
		var out []string
		for _, f := range families {
			out = append(out, f.GetName())
		}
		return out
	}
	send()
	for _, name := range []string{
		"otelcol_receiver_accepted_log_records_total", "otelcol_receiver_accepted_spans_total",
		"otelcol_receiver_accepted_metric_points_total", "belfry_collector_records_total",
	} {
		require.Contains(t, names(), name)
	}
	require.NoError(t, w.Reload(t.Context(), changed(nil)))
	send()
	require.Contains(t, names(), "otelcol_receiver_accepted_spans_total")
	require.NoError(t, w.Shutdown(t.Context()))
	require.Empty(t, names())
}
