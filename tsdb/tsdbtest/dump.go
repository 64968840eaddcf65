package tsdbtest

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
)

// Dump returns every sample of the matching series (of all series, if there are
// no matchers) of the tenant in ctx as `{labels} value@seconds`, in the order
// of labels and time.
func Dump(t testing.TB, ctx context.Context, q storage.Queryable, matchers ...*labels.Matcher) []string {
	t.Helper()
	querier, err := q.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, querier.Close()) }()
	if len(matchers) == 0 {
		matchers = []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+")}
	}
	set := querier.Select(ctx, true, nil, matchers...)
	out := []string{}
	for set.Next() {
		it := set.At().Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			out = append(out, fmt.Sprintf("%s %s", set.At().Labels(), at(it, kind)))
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return out
}

func at(it chunkenc.Iterator, kind chunkenc.ValueType) string {
	if kind == chunkenc.ValFloat {
		ts, v := it.At()
		if value.IsStaleNaN(v) {
			return fmt.Sprintf("stale@%g", float64(ts)/1000)
		}
		return fmt.Sprintf("%g@%g", v, float64(ts)/1000)
	}
	ts, h := it.AtFloatHistogram(nil)
	return fmt.Sprintf("%s@%g", h, float64(ts)/1000)
}
