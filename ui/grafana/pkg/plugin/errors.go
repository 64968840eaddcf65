package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/grafana/grafana-plugin-sdk-go/backend"

	"belfry/ui/grafana/pkg/belfry"
)

// invalid is a fault of the query itself.
type invalid struct{ error }

func invalidf(format string, args ...any) error { return invalid{fmt.Errorf(format, args...)} }

func (i invalid) Unwrap() error { return i.error }

// failed is the answer to a query that had none: what the server or the asker is
// to blame for counts as downstream.
func failed(err error) backend.DataResponse {
	resp := backend.DataResponse{Error: err, Status: backend.StatusInternal, ErrorSource: backend.ErrorSourcePlugin}
	var reported *belfry.Error
	var bad invalid
	switch {
	case errors.As(err, &reported):
		resp.Status, resp.ErrorSource = backend.Status(reported.Status), backend.ErrorSourceDownstream
		if !resp.Status.IsValid() {
			resp.Status = backend.StatusBadGateway
		}
	case errors.As(err, &bad):
		resp.Status, resp.ErrorSource = backend.StatusBadRequest, backend.ErrorSourceDownstream
	case errors.Is(err, context.Canceled):
		resp.Status, resp.ErrorSource = http.StatusRequestTimeout, backend.ErrorSourceDownstream
	case errors.Is(err, context.DeadlineExceeded):
		resp.Status, resp.ErrorSource = backend.StatusTimeout, backend.ErrorSourceDownstream
	case backend.IsDownstreamHTTPError(err):
		resp.Status, resp.ErrorSource = backend.StatusBadGateway, backend.ErrorSourceDownstream
	}
	return resp
}
