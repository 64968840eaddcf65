package fault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind says what went wrong, from the caller's point of view.
type Kind uint8

// The kinds, each with the HTTP status and gRPC code that it becomes.
const (
	Internal      Kind = iota // 500, INTERNAL: ours; not worth repeating
	Invalid                   // 400, INVALID_ARGUMENT: permanent, the input is bad
	Unauthorized              // 401, UNAUTHENTICATED
	Forbidden                 // 403, PERMISSION_DENIED
	NotFound                  // 404, NOT_FOUND
	Conflict                  // 409, ABORTED
	TooLarge                  // 413, INVALID_ARGUMENT: permanent, the input is over a size limit
	Unprocessable             // 422, FAILED_PRECONDITION: a query cut by a bound or that cannot be executed
	Limited                   // 429, RESOURCE_EXHAUSTED: retry after a delay
	Unavailable               // 503, UNAVAILABLE: retry (disk full, shutting down)
	Canceled                  // 499, CANCELLED: the caller went away
	Timeout                   // 504, DEADLINE_EXCEEDED
)

// Error is an error of a known kind.
type Error struct {
	Kind       Kind
	RetryAfter time.Duration // for Limited and Unavailable; zero means unsaid
	Err        error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error of the given kind, formatted as by fmt.Errorf.
func New(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Invalidf returns a permanent error: the input is bad.
func Invalidf(format string, args ...any) error { return New(Invalid, format, args...) }

// NotFoundf returns an error for a thing that does not exist.
func NotFoundf(format string, args ...any) error { return New(NotFound, format, args...) }

// Limitedf returns a retryable error: a limit refused the input for now.
func Limitedf(after time.Duration, format string, args ...any) error {
	return &Error{Kind: Limited, RetryAfter: after, Err: fmt.Errorf(format, args...)}
}

// Unavailablef returns a retryable error: the server cannot take the input now.
func Unavailablef(after time.Duration, format string, args ...any) error {
	return &Error{Kind: Unavailable, RetryAfter: after, Err: fmt.Errorf(format, args...)}
}

// KindOf returns the kind of the outermost fault in err's chain. Context errors
// are Canceled and Timeout; everything else is Internal.
func KindOf(err error) Kind {
	var fe *Error
	switch {
	case errors.As(err, &fe):
		return fe.Kind
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Internal
}

// RetryAfter returns the delay that err asks the caller to wait, or zero.
func RetryAfter(err error) time.Duration {
	var fe *Error
	if errors.As(err, &fe) {
		return fe.RetryAfter
	}
	return 0
}

// Retryable reports whether the same input may succeed later.
func Retryable(err error) bool {
	switch KindOf(err) {
	case Limited, Unavailable, Timeout, Canceled:
		return true
	}
	return false
}
