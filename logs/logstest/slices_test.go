package logstest

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"belfry/logs"
	"belfry/logs/logql"

	"github.com/stretchr/testify/require"
)

// TestRareMatches: a search that looks at more entries than it does in order
// finds the same, in the same order, as a look at all of them.
func TestRareMatches(t *testing.T) {
	const n = 30_000
	for name, s := range map[string]logs.Store{"memstore": newMemstore(t), "store": newStore(t)} {
		var batch []Line
		for i := range n {
			batch = append(batch, Line{At: time.Duration(i/3) * time.Millisecond, Text: fmt.Sprintf(`{"i":%d,"rare":%d}`, i, i%997)})
			if len(batch) == 1000 {
				_, err := s.Append(t.Context(), Tenant, Request([]logs.Label{{Name: "service_name", Value: strconv.Itoa(i % 7)}}, batch...))
				require.NoError(t, err)
				batch = batch[:0]
			}
		}
		engine := logql.NewEngine(logql.Options{Querier: s})
		for _, dir := range []logs.Direction{logs.Backward, logs.Forward} {
			for _, limit := range []int{1, 8, 20, 28, 5000} {
				r, err := engine.Range(t.Context(), logql.Params{
					Tenant: Tenant, Query: `{} | json | rare=5`, Start: Epoch, End: Epoch.Add(time.Hour), Limit: limit, Direction: dir,
				})
				require.NoError(t, err)
				var want, got []string
				for i := 5; i < n; i += 997 {
					want = append(want, fmt.Sprintf(`{"i":%d,"rare":5}`, i))
				}
				if dir == logs.Backward {
					for a, b := 0, len(want)-1; a < b; a, b = a+1, b-1 {
						want[a], want[b] = want[b], want[a]
					}
				}
				for _, e := range r.Entries {
					got = append(got, e.Line)
				}
				require.Equal(t, want[:min(limit, len(want))], got, "%s, direction %d, limit %d", name, dir, limit)
			}
		}
	}
}
