package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/tracestest"
)

// sampleSpans are what the stored samples hold.
const sampleSpans = `
trace 1
  span 1 service=front name=buy kind=server dur=300ms status=error
    span 2 service=front name=call kind=client dur=200ms status=error
      span 3 service=cart name=items kind=server dur=150ms
        span 4 service=cart name=SELECT kind=client dur=50ms span.db.system=postgres
    span 5 service=front name=send kind=producer dur=1ms
trace 2
  span 6 service=front name=look kind=server dur=30ms
    span 7 service=cart name=items kind=server dur=20ms`

// TestSamplesOfOldVersions reads stores that were written with each version of the
// part format, adds to a trace of theirs, and asks for structure. With SAMPLE=DIR it writes one.
func TestSamplesOfOldVersions(t *testing.T) {
	spans, err := tracestest.ParseSpans(strings.Split(sampleSpans, "\n"))
	require.NoError(t, err)
	if dir := os.Getenv("SAMPLE"); dir != "" {
		s := open(t, dir)
		_, err := s.Append(t.Context(), "t", traces.AppendTracesData(nil, spans))
		require.NoError(t, err)
		require.NoError(t, s.Flush(t.Context()))
		return
	}
	late, err := tracestest.ParseSpans([]string{"trace 1", "  span 8 service=late name=more kind=server dur=1ms"})
	require.NoError(t, err)
	late[0].ParentID = spans[1].ID
	for _, version := range []string{"v2", "v4"} {
		t.Run(version, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", version))))
			s, memory := open(t, dir), tracestest.NewMemory()
			add := func(to traces.Appender, spans []traces.Span) {
				_, err := to.Append(context.Background(), "t", traces.AppendTracesData(nil, spans))
				require.NoError(t, err)
			}
			add(memory, spans)
			same := func() {
				for _, query := range []string{
					`{ rootName = "buy" }`, `{ resource.service.name = "front" } >> { resource.service.name = "cart" }`, `{ nestedSetParent = -1 }`,
					`{ span.db.system = "postgres" } << { status = error }`, `{ traceDuration < 100ms }`, `{ span:childCount = 2 } > { }`,
				} {
					want := searchAll(t, memory, query, tracestest.Epoch, tracestest.Epoch+3600e9, fewMarks)
					require.NotEmpty(t, want)
					sameLines(t, want, searchAll(t, s, query, tracestest.Epoch, tracestest.Epoch+3600e9, fewMarks), query)
				}
			}
			same()
			add(memory, late)
			add(s, late)
			same()
			require.NoError(t, s.Flush(t.Context()))
			same()
		})
	}
}
