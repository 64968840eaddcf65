package ingest

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"belfry/internal/fault"
)

// Budget bounds the bytes of all requests that are being read or handled. The
// limit of one request says nothing about a thousand at the same time, and the
// memory limiter looks only once a second, at requests that have been read.
// A nil Budget has no bound.
type Budget struct {
	limit  int64
	used   atomic.Int64
	bodies sync.Pool // of *[]byte: memory of bodies that are done with
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// claim is one request's part of a budget.
type claim struct {
	budget *Budget
	held   int64
	body   *[]byte // goes back to the budget's pool; nil: none
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
	if c.body != nil && cap(*c.body) <= keptBody {
		c.budget.bodies.Put(c.body)
	}
	c.body = nil
}

// memory returns an empty slice for a body, which release takes back.
func (c *claim) memory() []byte {
	if c.budget == nil {
		return nil
	}
	var ok bool
	if c.body, ok = c.budget.bodies.Get().(*[]byte); !ok {
		c.body = new([]byte)
	}
	return (*c.body)[:0]
}

const (
	// firstRead is how much memory a body gets before any of it has arrived; what
	// its header announces is only a hint.
	firstRead = 64 << 10
	// keptBody is the largest memory that is kept for other bodies.
	keptBody = 4 << 20
)

// ReadBody reads a bounded body. The caller calls release, which is never nil,
// when it is done with the body: its memory is another body's then.
func (b *Budget) ReadBody(r *http.Request) (body []byte, release func(), err error) {
	c := &claim{budget: b}
	body = c.memory()
	size := int64(firstRead)
	if r.ContentLength >= 0 && r.ContentLength < size {
		size = r.ContentLength + 1 // room to see the end
	}
	granted := 0
	for {
		if len(body) == granted {
			if err := c.hold(size); err != nil {
				return nil, c.release, err
			}
			granted = int(size)
			size *= 2
			if cap(body) < granted {
				body = append(make([]byte, 0, granted), body...)
				if c.body != nil {
					*c.body = body
				}
			}
		}
		n, err := r.Body.Read(body[len(body):granted])
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
