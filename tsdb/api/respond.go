package api

import (
	"encoding/json"
	"net/http"
	"strconv"

	"belfry/internal/fault"
)

// The names of errors in Prometheus' envelope.
const (
	badData     = "bad_data"
	execution   = "execution"
	unavailable = "unavailable"
	internal    = "internal"
)

type envelope struct {
	Status    string `json:"status"`
	Data      any    `json:"data,omitempty"`
	ErrorType string `json:"errorType,omitempty"`
	Error     string `json:"error,omitempty"`
}

func respond(w http.ResponseWriter, data any) {
	writeJSON(w, http.StatusOK, envelope{Status: "success", Data: data})
}

// respondError answers with err in Prometheus' envelope.
func respondError(w http.ResponseWriter, err error) {
	kind := internal
	switch fault.KindOf(err) {
	case fault.Invalid, fault.TooLarge:
		kind = badData
	case fault.Unprocessable:
		kind = execution
	case fault.Unavailable, fault.Limited:
		kind = unavailable
	}
	if after := fault.RetryAfter(err); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds()+0.999)))
	}
	writeJSON(w, fault.HTTPStatus(err), envelope{Status: "error", ErrorType: kind, Error: err.Error()})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a client that went away needs no answer
}
