package ingest

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"belfry/internal/fault"
)

// Budget bounds the bytes of all requests that are being read or handled. The
// limit of one request says nothing about a thousand at the same time, and the
// memory limiter looks only once a second, at requests that have been read.
// A nil Budget has no bound.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// claim is one request's part of a budget.
type claim struct {
	budget *Budget
	held   int64
}

// hold raises the claim to n bytes, or returns a retryable error.
func (c *claim) hold(n int64) error {
	if c.budget == nil || n <= c.held {
		return nil
	}
	more := n - c.held
	if c.budget.used.Add(more) > c.budget.limit {
		c.budget.used.Add(-more)
		return fault.Limitedf(retryDelay, "too many requests at a time: their bodies are over %d bytes together", c.budget.limit)
	}
	c.held = n
	return nil
}

func (c *claim) release() {
	if c.budget != nil {
		c.budget.used.Add(-c.held)
		c.held = 0
	}
}

// firstRead is how much memory a body gets before any of it has arrived; what
// its header announces is only a hint.
const firstRead = 64 << 10

// ReadBody reads a bounded body. The caller calls release, which is never nil,
// when it is done with the body.
func (b *Budget) ReadBody(r *http.Request) (body []byte, release func(), err error) {
	c := claim{budget: b}
	size := int64(firstRead)
	if r.ContentLength >= 0 && r.ContentLength < size {
		size = r.ContentLength + 1 // room to see the end
	}
	for {
		if len(body) == cap(body) {
			if err := c.hold(size); err != nil {
				return nil, c.release, err
			}
			body = append(make([]byte, 0, size), body...)
			size *= 2
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, c.release, nil
		}
		if err != nil {
			return nil, c.release, bodyError(r, err)
		}
	}
}

func bodyError(r *http.Request, err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return AsFault(err)
	case r.Context().Err() != nil:
		return r.Context().Err()
	}
	return fault.Invalidf("read request body: %w", err)
}
