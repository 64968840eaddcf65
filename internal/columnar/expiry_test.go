package columnar

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"belfry/internal/vfs"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

const hour = int64(time.Hour)

func hourly(n int, app string) toyRow {
	r := numbered(n)
	r.Time = toyNow - int64(n)*hour
	r.Stream = map[string]string{"app": app}
	return r
}

func TestRetentionRules(t *testing.T) {
	ctx := context.Background()
	now := atomic.Int64{}
	now.Store(toyNow)
	mem := vfs.NewMem()
	o := toyOptions(mem)
	o.Now = func() time.Time { return time.Unix(0, now.Load()) }
	app := func(name string) Filter { return Equal{Ref: StreamRef("app"), Value: String(name)} }
	o.Retention = Retention{MaxAge: 48 * time.Hour, Rules: []RetentionRule{
		{Filter: And{app("chatty"), Equal{Ref: RowRef("n"), Value: Int(6)}}, MaxAge: 200 * time.Hour},
		{Filter: app("chatty"), MaxAge: 4 * time.Hour},
		{Filter: app("audit"), MaxAge: 100 * time.Hour},
	}}
	db := openToy(t, o)
	add := func(app string, hours ...int) {
		for _, n := range hours {
			_, err := db.Append(ctx, "t", toyPayload(t, hourly(n, app)))
			require.NoError(t, err)
		}
	}
	add("chatty", 1, 2, 5, 6, 7)
	add("audit", 90, 110)
	add("other", 40, 50)
	want := []int{1, 2, 6, 40, 90}
	require.Equal(t, want, numbers(t, db), "past their age they are not seen, in memory")
	require.NoError(t, db.Flush(ctx))
	require.Equal(t, want, numbers(t, db), "nor in parts")
	res, err := db.Append(ctx, "t", toyPayload(t, hourly(201, "audit")))
	require.NoError(t, err)
	require.Equal(t, 1, res.Rejected, "older than any rule keeps")

	rows := func() (n uint64) {
		for _, h := range db.parts["t"] {
			n += h.rows
		}
		return n
	}
	require.NoError(t, db.expire(ctx))
	require.Equal(t, want, numbers(t, db))
	require.EqualValues(t, 2, testutil.ToFloat64(db.metrics.erasedRows.WithLabelValues("retention")), "of parts that are old enough as a whole")
	require.EqualValues(t, 7, rows())

	now.Add(30 * hour)
	want = []int{6}
	require.Equal(t, want, numbers(t, db))
	require.NoError(t, db.expire(ctx))
	require.Equal(t, want, numbers(t, db))
	require.EqualValues(t, 1, rows())
	require.EqualValues(t, 8, testutil.ToFloat64(db.metrics.erasedRows.WithLabelValues("retention")))
	db.mu.RLock()
	for _, h := range db.parts["t"] {
		require.True(t, db.reasonsOf(h, db.expiryNow()).none(), "queries need not look again")
	}
	db.mu.RUnlock()
	require.NoError(t, db.Close())
	o.Retention = Retention{}
	require.Equal(t, want, numbers(t, openToy(t, o)), "and it is gone from disk")
}

func TestRetentionRulesForEver(t *testing.T) {
	ctx := context.Background()
	o := toyOptions(vfs.NewMem())
	o.Retention = Retention{MaxAge: time.Hour, Rules: []RetentionRule{{Filter: Equal{Ref: StreamRef("app"), Value: String("audit")}}}}
	db := openToy(t, o)
	for _, app := range []string{"audit", "other"} {
		_, err := db.Append(ctx, "t", toyPayload(t, hourly(10_000, app)))
		require.NoError(t, err)
	}
	require.NoError(t, db.Flush(ctx))
	require.NoError(t, db.retain())
	require.NoError(t, db.expire(ctx))
	streams, err := db.Streams(ctx, "t", math.MinInt64, math.MaxInt64, nil)
	require.NoError(t, err)
	require.Len(t, streams, 1)
	require.Equal(t, []int{10_000}, numbers(t, db))
	require.NoError(t, db.Close())

	o.Retention.Rules = []RetentionRule{{Filter: Regexp{}}}
	_, err = Open(o)
	require.ErrorContains(t, err, "retention rule 1")
}

// TestRetentionRulesAfterMerges: what merged parts have been freed of, the merged part is, too.
func TestRetentionRulesAfterMerges(t *testing.T) {
	ctx := context.Background()
	o := toyOptions(vfs.NewMem())
	o.Retention.Rules = []RetentionRule{{Filter: Equal{Ref: StreamRef("app"), Value: String("app1")}, MaxAge: time.Hour}}
	db := openToy(t, o)
	for round := range 2 {
		for n := range 9 {
			row := numbered(9*round + n)
			row.Time -= dayNanos
			_, err := db.Append(ctx, "t", toyPayload(t, row))
			require.NoError(t, err)
		}
		require.NoError(t, db.Flush(ctx))
		require.NoError(t, db.expire(ctx))
	}
	mergeAll(t, db)
	db.mu.RLock()
	for _, h := range db.parts["t"] {
		require.EqualValues(t, 1, h.expired)
	}
	db.mu.RUnlock()
	for _, n := range numbers(t, db) {
		require.NotEqual(t, 1, n%4)
	}
	_, err := db.Append(ctx, "t", toyPayload(t, toyRow{Time: toyNow - 2*dayNanos, Stream: map[string]string{"app": "app1"}, Fields: []toyField{field("n", Int(1))}}))
	require.NoError(t, err)
	require.NotContains(t, numbers(t, db), 1, "it comes too late")
	require.NoError(t, db.Flush(ctx))
	mergeAll(t, db)
	require.NotContains(t, numbers(t, db), 1)
}
