package fault

import (
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

type protocolCodes struct {
	http int
	grpc codes.Code
}

// statusClientClosedRequest is nginx's code for a caller that hung up; clients
// never see it, access logs do.
const statusClientClosedRequest = 499

func (k Kind) codes() protocolCodes {
	switch k {
	case Invalid:
		return protocolCodes{http.StatusBadRequest, codes.InvalidArgument}
	case Unauthorized:
		return protocolCodes{http.StatusUnauthorized, codes.Unauthenticated}
	case Forbidden:
		return protocolCodes{http.StatusForbidden, codes.PermissionDenied}
	case NotFound:
		return protocolCodes{http.StatusNotFound, codes.NotFound}
	case Conflict:
		return protocolCodes{http.StatusConflict, codes.Aborted}
	case TooLarge:
		return protocolCodes{http.StatusRequestEntityTooLarge, codes.InvalidArgument}
	case Unprocessable:
		return protocolCodes{http.StatusUnprocessableEntity, codes.FailedPrecondition}
	case Limited:
		return protocolCodes{http.StatusTooManyRequests, codes.ResourceExhausted}
	case Unavailable:
		return protocolCodes{http.StatusServiceUnavailable, codes.Unavailable}
	case Canceled:
		return protocolCodes{statusClientClosedRequest, codes.Canceled}
	case Timeout:
		return protocolCodes{http.StatusGatewayTimeout, codes.DeadlineExceeded}
	}
	return protocolCodes{http.StatusInternalServerError, codes.Internal}
}

// HTTPStatus returns the HTTP status code for err.
func HTTPStatus(err error) int { return KindOf(err).codes().http }

// WriteHTTP answers a request with err as plain text, with Retry-After where
// the error asks for a delay.
func WriteHTTP(w http.ResponseWriter, err error) {
	if after := RetryAfter(err); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	http.Error(w, err.Error(), HTTPStatus(err))
}

// GRPC returns err as a gRPC status error. Retryable limits carry RetryInfo,
// which is what makes an OTLP client wait and send again.
func GRPC(err error) error {
	if err == nil {
		return nil
	}
	st := status.New(KindOf(err).codes().grpc, err.Error())
	if after := RetryAfter(err); after > 0 {
		if detailed, derr := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)}); derr == nil {
			st = detailed
		}
	}
	return st.Err()
}
