package telemetry

import "context"

type markKey struct{}

// Mark returns a context in which work is done on Belfry's own telemetry.
func Mark(ctx context.Context) context.Context { return context.WithValue(ctx, markKey{}, true) }

// Marked reports whether the work under ctx is on Belfry's own telemetry, about
// which nothing more is exported.
func Marked(ctx context.Context) bool {
	marked, _ := ctx.Value(markKey{}).(bool)
	return marked
}
