package ingest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"

	"belfry/internal/fault"
)

// retryDelay is what a sender is asked to wait where the refusal names no delay:
// the memory limiter looks again every second.
const retryDelay = time.Second

// AsFault gives an error of a pipeline its kind. Components other than ours know
// permanent errors and others, and the others are worth sending again.
func AsFault(err error) error {
	var known *fault.Error
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		if known.RetryAfter > 0 || known.Kind != fault.Limited && known.Kind != fault.Unavailable {
			return err
		}
		return &fault.Error{Kind: known.Kind, RetryAfter: retryDelay, Err: err}
	case errors.As(err, &tooLarge):
		return fault.New(fault.TooLarge, "request body is over the limit of %d bytes", tooLarge.Limit)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case consumererror.IsPermanent(err):
		return &fault.Error{Kind: fault.Internal, Err: err}
	}
	return &fault.Error{Kind: fault.Unavailable, RetryAfter: retryDelay, Err: err}
}
