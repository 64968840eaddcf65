package columnar

import (
	"context"
	"math"
	"testing"

	"belfry/internal/vfs"

	"github.com/stretchr/testify/require"
)

func TestRowsOfManyDaysMakeFewParts(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	o := toyOptions(mem)
	o.BlockRows = 100
	db := openToy(t, o)
	const days = 400
	var rows []toyRow
	for i := range days {
		r := numbered(i)
		r.Time = toyNow - int64(i)*dayNanos
		rows = append(rows, r)
	}
	for i := range 50 { // most are of today
		r := numbered(days + i)
		r.Time = toyNow
		rows = append(rows, r)
	}
	_, err := db.Append(ctx, "t", toyPayload(t, rows...))
	require.NoError(t, err)
	want := numbers(t, db)
	require.Len(t, want, days+50)
	check := func() {
		t.Helper()
		require.ElementsMatch(t, want, numbers(t, db))
		for _, i := range []int{0, 3, 77, 399} { // each day is found by its time
			found, _, err := db.Select(ctx, SelectQuery{
				Query: Query{Tenant: "t", From: rows[i].Time, To: rows[i].Time + 1, Filter: nil}, Limit: 1000,
			})
			require.NoError(t, err)
			if i > 0 {
				require.Len(t, found, 1)
			} else {
				require.Len(t, found, 51)
			}
		}
	}
	check()
	require.NoError(t, db.Flush(ctx))
	require.Len(t, db.parts["t"], maxFlushDays)
	check()
	today := dayOf(toyNow)
	for _, h := range db.parts["t"] {
		if h.day == today {
			require.EqualValues(t, 51, h.rows, "the days with the most rows have a part of their own")
			require.Equal(t, today, dayOf(h.min))
		}
		require.Equal(t, h.day, dayOf(h.max), "what retention goes by")
	}
	// Again, and merged: parts of shared days meet.
	_, err = db.Append(ctx, "t", toyPayload(t, rows[:days]...))
	require.NoError(t, err)
	require.NoError(t, db.Flush(ctx))
	byDay := map[int64][]*partHandle{}
	for _, h := range db.parts["t"] {
		byDay[h.day] = append(byDay[h.day], h)
	}
	for _, group := range byDay {
		if len(group) > 1 {
			require.NoError(t, db.merge(ctx, group))
		}
	}
	require.Len(t, db.parts["t"], len(byDay))
	all, _, err := db.Select(ctx, SelectQuery{Query: Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}, Limit: 10_000})
	require.NoError(t, err)
	require.Len(t, all, 2*days+50)
	require.NoError(t, db.Close())
	db = openToy(t, o)
	all, _, err = db.Select(ctx, SelectQuery{Query: Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}, Limit: 10_000})
	require.NoError(t, err)
	require.Len(t, all, 2*days+50)
}
