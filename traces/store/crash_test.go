package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/tracestest"
)

// TestAcknowledgedSpansSurviveTheProcess opens what a process that never closed
// its store left behind.
func TestAcknowledgedSpansSurviveTheProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	spans := tracestest.NewRandom(9).Spans(60)
	for i, part := range [][]traces.Span{spans[:20], spans[20:40], spans[40:]} {
		_, err := s.Append(t.Context(), "t", traces.AppendTracesData(nil, part))
		require.NoError(t, err)
		if i == 0 {
			require.NoError(t, s.Flush(t.Context()))
		}
	}
	left := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(left, os.DirFS(dir)))
	again := open(t, left)
	for _, span := range spans {
		trace, err := again.Trace(t.Context(), "t", traces.TraceQuery{ID: span.TraceID})
		require.NoError(t, err)
		n := 0
		for _, got := range trace.Spans {
			if got.ID == span.ID {
				n++
			}
		}
		require.Equal(t, 1, n, "span %s", span.ID)
	}
}
