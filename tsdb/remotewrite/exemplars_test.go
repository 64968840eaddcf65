package remotewrite

import (
	"context"
	"testing"

	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"
)

// TestExemplarsWithoutASeries: 2.0 must not be told that all was kept when an exemplar
// was not; what came with it is kept.
func TestExemplarsWithoutASeries(t *testing.T) {
	h, s := newHandler(t, nil)
	table := writev2.NewSymbolTable()
	refs := func(pairs ...string) (out []uint32) {
		for _, p := range pairs {
			out = append(out, table.Symbolize(p))
		}
		return out
	}
	exemplar := []writev2.Exemplar{{LabelsRefs: refs("trace_id", "t"), Value: 1, Timestamp: t0}}
	req := &writev2.Request{Timeseries: []writev2.TimeSeries{
		{LabelsRefs: refs("__name__", "orphan"), Exemplars: exemplar},
		{LabelsRefs: refs("__name__", "x"), Samples: []writev2.Sample{{Timestamp: t0, Value: 1}}},
		{LabelsRefs: refs("__name__", "x"), Exemplars: exemplar},
	}}
	req.Symbols = table.Symbols()
	w := post(h, typeV2, pack(t, req))
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "1 exemplar_lost")
	require.Equal(t, "1", w.Header().Get("X-Prometheus-Remote-Write-Samples-Written"))
	require.Equal(t, "1", w.Header().Get("X-Prometheus-Remote-Write-Exemplars-Written"))
	require.Equal(t, 1, countExemplars(t, s, context.Background()))
}
