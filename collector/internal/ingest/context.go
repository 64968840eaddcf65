package ingest

import (
	"context"
	"sync"
)

// Outcome collects what the stores did with the records of one request. Its
// methods may be called concurrently, and after the request has been answered.
type Outcome struct {
	mu       sync.Mutex
	accepted int
	rejected int
	reason   string
}

// Add counts the records of one append.
func (o *Outcome) Add(accepted, rejected int, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.accepted += accepted
	o.rejected += rejected
	switch {
	case o.reason == "":
		o.reason = reason
	case reason != "" && reason != o.reason:
		o.reason += "; " + reason
	}
}

// Get returns the records counted so far, and why some were rejected.
func (o *Outcome) Get() (accepted, rejected int, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.accepted, o.rejected, o.reason
}

type outcomeKey struct{}

// WithOutcome returns a context under which rejections are collected.
func WithOutcome(ctx context.Context) (context.Context, *Outcome) {
	o := new(Outcome)
	return context.WithValue(ctx, outcomeKey{}, o), o
}

// OutcomeOf returns the request's outcome, or nil where nobody waits for it.
func OutcomeOf(ctx context.Context) *Outcome {
	o, _ := ctx.Value(outcomeKey{}).(*Outcome)
	return o
}

type requestKey struct{}

// withRequest returns a context that carries a request's bytes past an empty
// batch.
func withRequest(ctx context.Context, body []byte) context.Context {
	return context.WithValue(ctx, requestKey{}, body)
}

// RequestOf returns the request's bytes in protobuf wire form, or nil where the
// batch itself has the records. The bytes are valid until the call returns.
func RequestOf(ctx context.Context) []byte {
	body, _ := ctx.Value(requestKey{}).([]byte)
	return body
}
