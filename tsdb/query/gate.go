package query

import (
	"context"
	"fmt"
)

// gate bounds the queries that run at a time. It implements
// promql.QueryTracker.
type gate struct{ slots chan struct{} }

func newGate(n int) *gate { return &gate{make(chan struct{}, n)} }

func (g *gate) GetMaxConcurrent() int { return cap(g.slots) }

func (g *gate) Insert(ctx context.Context, _ string) (int, error) {
	select {
	case g.slots <- struct{}{}:
		return 0, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for other queries: %w", ctx.Err())
	}
}

func (g *gate) Delete(int) { <-g.slots }

func (g *gate) Close() error { return nil }
