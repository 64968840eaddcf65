package servicegraph_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/servicegraph"
	"belfry/traces/tracestest"
)

func TestEdges(t *testing.T) {
	spans, err := tracestest.ParseSpans(strings.Split(`trace 1
  span 1 service=a
    span 2 service=a
      span 3 service=b status=error
    span 4 service=b
  span 5 service=c parent=99
trace 2
  span 3 service=c
    span 4 service=a start=2h`, "\n"))
	require.NoError(t, err)
	store := tracestest.NewMemory()
	_, err = store.Append(t.Context(), "t", traces.AppendTracesData(nil, spans))
	require.NoError(t, err)
	graph, err := servicegraph.Query(t.Context(), store, "t", tracestest.Epoch, tracestest.Epoch+3600e9, 100)
	require.NoError(t, err)
	require.Equal(t, []servicegraph.Edge{{Parent: "a", Child: "b", Calls: 2, Errors: 1}}, graph.Edges)
}
