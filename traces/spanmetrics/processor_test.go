package spanmetrics_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/spanmetrics"
	"belfry/traces/tracestest"
)

// lastValues keeps the newest value of every series.
type lastValues map[string]float64

func (l lastValues) AppendSamples(_ context.Context, tenant string, _ time.Time, samples []spanmetrics.Sample) error {
	for _, s := range samples {
		l[tenant+s.Labels.String()] = s.Value
		if s.Exemplar != nil {
			l[tenant+" exemplar "+s.Exemplar.TraceID.String()[30:]+" "+s.Labels.Get("__name__")+" le "+s.Labels.Get("le")] = s.Exemplar.Value
		}
	}
	return nil
}

func (l lastValues) list(contains string) []string {
	var out []string
	for series, v := range l {
		if strings.Contains(series, contains) {
			out = append(out, fmt.Sprintf("%s %g", series, v))
		}
	}
	slices.Sort(out)
	return out
}

func run(t *testing.T, config spanmetrics.Config, lines string) lastValues {
	sink := lastValues{}
	synctest.Test(t, func(t *testing.T) {
		p, err := spanmetrics.New(spanmetrics.Options{Next: tracestest.NewMemory(), Sink: sink, Config: config})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		spans, err := tracestest.ParseSpans(strings.Split(lines, "\n"))
		require.NoError(t, err)
		for _, s := range spans {
			_, err := p.Append(ctx, "t", traces.AppendTracesData(nil, []traces.Span{s}))
			require.NoError(t, err)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // of a synctest bubble: no time passes
		cancel()
		require.NoError(t, <-done)
	})
	return sink
}

const shop = `
trace 1
  span 1 service=front name=buy kind=server dur=300ms status=error
    span 2 service=front name=call kind=client dur=200ms status=error
      span 3 service=cart name=items kind=server dur=150ms
        span 4 service=cart name=SELECT kind=client dur=50ms span.db.system=postgres
    span 5 service=front name=send kind=producer dur=1ms
      span 6 service=mail name=receive kind=consumer dur=2s`

func TestOperations(t *testing.T) {
	sink := run(t, spanmetrics.DefaultConfig(), shop)
	require.Equal(t, []string{
		`t{__name__="traces_spanmetrics_calls_total", service="front", span_kind="SPAN_KIND_SERVER", span_name="buy", status_code="STATUS_CODE_ERROR"} 1`,
	}, slices.DeleteFunc(sink.list("calls_total"), func(s string) bool { return !strings.Contains(s, `"buy"`) }))
	require.Equal(t, 0.3, sink[`t{__name__="traces_spanmetrics_latency_sum", service="front", span_kind="SPAN_KIND_SERVER", span_name="buy", status_code="STATUS_CODE_ERROR"}`])
	require.Equal(t, 0.0, sink[`t{__name__="traces_spanmetrics_latency_bucket", le="0.256", service="front", span_kind="SPAN_KIND_SERVER", span_name="buy", status_code="STATUS_CODE_ERROR"}`])
	require.Equal(t, 1.0, sink[`t{__name__="traces_spanmetrics_latency_bucket", le="0.512", service="front", span_kind="SPAN_KIND_SERVER", span_name="buy", status_code="STATUS_CODE_ERROR"}`])
	require.Equal(t, 0.3, sink[`t exemplar 01 traces_spanmetrics_latency_bucket le 0.512`])
}

func TestServiceGraph(t *testing.T) {
	sink := run(t, spanmetrics.DefaultConfig(), shop)
	require.Equal(t, []string{
		`t{__name__="traces_service_graph_request_total", client="cart", connection_type="database", server="postgres"} 1`,
		`t{__name__="traces_service_graph_request_total", client="front", connection_type="messaging_system", server="mail"} 1`,
		`t{__name__="traces_service_graph_request_total", client="front", server="cart"} 1`,
		`t{__name__="traces_service_graph_request_total", client="user", connection_type="virtual_node", server="front"} 1`,
	}, sink.list("request_total"))
	require.Equal(t, 1.0, sink[`t{__name__="traces_service_graph_request_failed_total", client="front", server="cart"}`])
	require.Equal(t, 0.15, sink[`t{__name__="traces_service_graph_request_server_seconds_sum", client="front", server="cart"}`])
	require.Equal(t, 0.2, sink[`t{__name__="traces_service_graph_request_client_seconds_sum", client="front", server="cart"}`])
}

func TestLimits(t *testing.T) {
	config := spanmetrics.DefaultConfig()
	config.MaxOperations, config.MaxEdges = 2, 1
	sink := run(t, config, shop)
	require.Len(t, sink.list("calls_total"), 2)
	require.Len(t, sink.list("request_total"), 1)
}

func TestIdleSeriesAreForgotten(t *testing.T) {
	config := spanmetrics.DefaultConfig()
	config.IdleTimeout = model.Duration(20 * time.Second)
	sink := lastValues{}
	synctest.Test(t, func(t *testing.T) {
		p, err := spanmetrics.New(spanmetrics.Options{Next: tracestest.NewMemory(), Sink: sink, Config: config})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		_, err = p.Append(ctx, "t", traces.AppendTracesData(nil, tracestest.NewRandom(1).Spans(3)))
		require.NoError(t, err)
		time.Sleep(time.Minute) //nolint:forbidigo // of a synctest bubble: no time passes
		synctest.Wait()
		require.NotEmpty(t, sink)
		clear(sink)
		time.Sleep(time.Minute) //nolint:forbidigo // of a synctest bubble: no time passes
		cancel()
		require.NoError(t, <-done)
	})
	require.Empty(t, sink)
}
