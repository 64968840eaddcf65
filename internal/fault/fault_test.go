package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestKindSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("append: %w", Limitedf(2*time.Second, "over 100 series"))
	require.Equal(t, Limited, KindOf(err))
	require.True(t, Retryable(err))
	require.Equal(t, http.StatusTooManyRequests, HTTPStatus(err))
	require.Equal(t, 2*time.Second, RetryAfter(err))
	require.Equal(t, codes.ResourceExhausted, status.Code(GRPC(err)))
}

func TestErrorsWithoutAFault(t *testing.T) {
	require.Equal(t, Internal, KindOf(errors.New("x")))
	require.Equal(t, Canceled, KindOf(fmt.Errorf("q: %w", context.Canceled)))
	require.Equal(t, Timeout, KindOf(context.DeadlineExceeded))
	require.False(t, Retryable(Invalidf("bad")))
}

func TestWriteHTTPRoundsRetryAfterUp(t *testing.T) {
	rec := httptest.NewRecorder()
	WriteHTTP(rec, Unavailablef(1500*time.Millisecond, "disk full"))
	require.Equal(t, 503, rec.Code)
	require.Equal(t, "2", rec.Header().Get("Retry-After"))
	require.Contains(t, rec.Body.String(), "disk full")
}
