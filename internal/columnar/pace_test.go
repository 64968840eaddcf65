package columnar

import (
	"context"
	"math"
	"strconv"
	"testing"
	"time"

	"belfry/internal/vfs"

	"github.com/stretchr/testify/require"
)

func TestPacer(t *testing.T) {
	const piece, pieces = 2 * time.Millisecond, 1000
	run := func(workers int, busy bool) (worked, rested time.Duration) {
		now := time.Unix(0, 0)
		p := &pacer{
			busy: func() bool { return busy }, workers: workers, since: now,
			now:  func() time.Time { return now },
			rest: func(_ context.Context, d time.Duration) { now = now.Add(d); rested += d },
		}
		for range pieces {
			now = now.Add(piece)
			worked += piece
			require.NoError(t, p.pace(context.Background()))
		}
		return worked, rested
	}
	worked, rested := run(1, true)
	require.InDelta(t, float64(worked), float64(rested), float64(10*piece), "half a processor")
	worked, rested = run(2, true)
	require.InDelta(t, float64(3*worked), float64(rested), float64(30*piece), "two merges: a quarter each")
	_, rested = run(1, false)
	require.Zero(t, rested, "nobody else needs the processor")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, (*pacer)(nil).pace(ctx), context.Canceled)
	begin := time.Now()
	p := &pacer{busy: func() bool { return true }, workers: 1, since: begin.Add(-time.Hour), now: time.Now, rest: rest}
	require.ErrorIs(t, p.pace(ctx), context.Canceled)
}

func TestActivity(t *testing.T) {
	a := &activity{begin: time.Now().Add(-time.Hour)}
	require.False(t, a.busy(), "nothing ever came")
	a.enter()
	require.True(t, a.busy())
	a.enter()
	a.leave()
	require.True(t, a.busy(), "one is left")
	a.leave()
	a.last.Store(int64(time.Minute))
	require.False(t, a.busy(), "the last one was long ago")
}

func TestMergesKeepToTheirMemory(t *testing.T) {
	const parts = 24
	for _, memory := range []int64{1, 40 << 20, 1 << 30} {
		t.Run(strconv.FormatInt(memory, 10), func(t *testing.T) {
			o := toyOptions(vfs.NewMem())
			o.Columns[colTrace].Indexed = memory != 1
			o.MergeMemory = memory
			db := lookupDB(t, o, parts)
			for _, h := range db.parts["t"] {
				require.NotZero(t, h.buffer)
				h.buffer = 1 << 20 // as if the parts were large
			}
			largest := 0
			for {
				group := db.pickMerge()
				if group == nil {
					break
				}
				taken := int64(2 * maxBlockBytes)
				for _, h := range group {
					taken += h.buffer
				}
				require.GreaterOrEqual(t, len(group), 2)
				require.True(t, len(group) == 2 || taken <= memory, "%d parts, %d bytes", len(group), taken)
				largest = max(largest, len(group))
				require.NoError(t, db.merge(context.Background(), group))
			}
			if memory == 1<<30 {
				require.Equal(t, parts, largest)
				require.Len(t, db.parts["t"], 1)
			}
			rows, _, err := db.Select(context.Background(), SelectQuery{
				Query: Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}, Limit: 10_000,
			})
			require.NoError(t, err)
			require.Len(t, rows, parts*100)
			levels := map[uint8]int{}
			for _, h := range db.parts["t"] {
				levels[uint8(h.level)]++
				require.Less(t, levels[uint8(h.level)], mergeFactor, "merges do not stop half way")
			}
		})
	}
}

func TestPacerOfMergesThatHaveFallenBehind(t *testing.T) {
	db := openToy(t, toyOptions(vfs.NewMem()))
	info := partInfo{tenant: "t", day: 5}
	require.NotNil(t, db.pacerFor(info))
	db.mu.Lock()
	for range behindParts {
		db.parts["t"] = append(db.parts["t"], &partHandle{partInfo: info})
	}
	db.mu.Unlock()
	require.Nil(t, db.pacerFor(info))
	require.NotNil(t, db.pacerFor(partInfo{tenant: "t", day: 6}))
	db.mu.Lock()
	delete(db.parts, "t")
	db.mu.Unlock()
}
