package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTablesAreBounded(t *testing.T) {
	const traces = 200_000
	kept := newTables()
	for id := range uint64(50) {
		kept.put(id, &traceTable{durations: make([]int64, traces), names: newTraceTexts(traces), services: newTraceTexts(traces)})
		require.NotNil(t, kept.get(0), "what is used stays")
		require.LessOrEqual(t, kept.bytes, int64(tableBytes))
		require.Len(t, kept.byID, kept.order.Len())
	}
	require.NotNil(t, kept.get(49))
	require.Nil(t, kept.get(1))
	kept.put(100, &traceTable{durations: make([]int64, tableBytes)}) // too large to be kept
	require.Zero(t, kept.bytes)
	require.Empty(t, kept.byID)
}
