package columnar

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/internal/fault"
	"belfry/internal/vfs"
)

// TestGroupsConcurrently appends rows of few groups from several goroutines, flushes, merges,
// deletes and drops by retention at the same time, and has readers check that what is
// derived from a group that they see as whole is true of the rows that they see.
func TestGroupsConcurrently(t *testing.T) {
	o := groupedOptions(vfs.NewMem())
	o.FlushBytes, o.MaxFrozen = 20<<10, 50
	o.MergeConcurrency = 1
	o.SegmentBytes = 32 << 10
	db := openToy(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var writers, others sync.WaitGroup
	const appends = 60
	for w := range uint64(3) {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(w, 5))
			for n := range appends {
				var rows []toyRow
				for range 25 {
					id := make([]byte, 16)
					binary.BigEndian.PutUint64(id[8:], uint64(n/4*10+r.IntN(40)))
					rows = append(rows, toyRow{
						Time: toyNow - dayNanos/2 + r.Int64N(1e12), Stream: map[string]string{"s": string(rune('a' + r.IntN(3)))},
						Fields: []toyField{field("trace", ID(id))},
					})
				}
				for {
					_, err := db.Append(ctx, "t", toyPayload(t, rows...))
					if err == nil {
						break
					}
					if !fault.Retryable(err) {
						t.Errorf("append: %v", err)
						return
					}
				}
			}
		})
	}
	loop := func(f func() error) {
		others.Go(func() {
			for ctx.Err() == nil {
				if err := f(); err != nil && ctx.Err() == nil {
					t.Errorf("%v", err)
					return
				}
			}
		})
	}
	for range 2 {
		loop(func() error {
			whole, apart := viewRows(t, db)
			seen := map[string]int64{}
			for _, row := range append(whole, apart...) {
				seen[row.id]++
			}
			for _, row := range whole {
				if row.size != seen[row.id] {
					t.Errorf("group %x is whole with %d rows, and has %d", row.id, row.size, seen[row.id])
				}
			}
			return nil
		})
	}
	deletes := 0
	loop(func() error {
		if deletes++; deletes > 6 {
			return db.retain()
		}
		_, err := db.Delete(ctx, DeletionRequest{
			Tenant: "t", From: toyNow - dayNanos, To: toyNow - dayNanos/2 + int64(deletes)*1e11, Filter: Equal{Ref: StreamRef("s"), Value: String("b")},
		})
		return err
	})
	loop(func() error { return db.Flush(ctx) })
	writers.Wait()
	cancel()
	others.Wait()
	whole, apart := viewRows(t, db)
	require.NotEmpty(t, append(whole, apart...))
}
