package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/traceql"
	"belfry/traces/tracestest"
)

// TestCompareOfManyValues compares an attribute of more values than are told
// apart, of which one is frequent, and one of few values beside it.
func TestCompareOfManyValues(t *testing.T) {
	spans := shopSpans(6000)
	byRoute, anonymous := map[string]float64{}, 0.0
	for i := range spans {
		user := fmt.Sprintf("user-%07d", i)
		if i%10 < 3 {
			user = "anonymous"
			anonymous++
		}
		spans[i].Attributes[3].Value = traces.String(user)
		byRoute[spans[i].Attributes[2].Value.Str()]++
	}
	s := open(t, t.TempDir())
	for _, request := range requests(spans) {
		_, err := s.Append(t.Context(), "t", request)
		require.NoError(t, err)
	}
	require.NoError(t, s.Flush(t.Context()))
	q, err := traceql.Parse(`{ } | compare({ status = error }, 50)`)
	require.NoError(t, err)
	result, err := traceql.NewEngine(s, traceql.Limits{}).Range(t.Context(), "t", traceql.RangeRequest{
		Query: q, From: tracestest.Epoch, To: tracestest.Epoch + int64(2*time.Hour), Step: int64(time.Hour),
	})
	require.NoError(t, err)
	got, routes, total, tooMany := 0.0, map[string]float64{}, 0.0, false
	for _, series := range result.Series {
		sum := 0.0
		for _, p := range series.Points {
			sum += p.Value
		}
		labels := map[string]string{}
		for _, l := range series.Labels {
			labels[l.Name] = l.Value.Text()
		}
		user, isUser := labels["span.user.id"]
		route, isRoute := labels["span.http.route"]
		switch meta := labels["__meta_type"]; {
		case labels["__meta_error"] != "":
			tooMany = tooMany || isUser
		case isUser && (meta == "baseline_total" || meta == "selection_total"):
			total += sum
		case isUser && user == "anonymous":
			got += sum
		case isRoute && (meta == "baseline" || meta == "selection"):
			routes[route] += sum
		}
	}
	require.Equal(t, byRoute, routes)
	require.InDelta(t, float64(len(spans)), total, 0)
	require.True(t, tooMany)
	require.InDelta(t, anonymous, got, anonymous/5)
}
