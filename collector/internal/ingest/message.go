package ingest

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"belfry/internal/fault"
)

type unmarshaler interface {
	UnmarshalProto(data []byte) error
	UnmarshalJSON(data []byte) error
}

type marshaler interface {
	MarshalProto() ([]byte, error)
	MarshalJSON() ([]byte, error)
}

func unmarshal(into unmarshaler, enc Encoding, body []byte) error {
	if enc == JSON {
		if err := into.UnmarshalJSON(body); err != nil {
			return fault.Invalidf("malformed JSON: %w", err)
		}
		return nil
	}
	if err := into.UnmarshalProto(body); err != nil {
		return fault.Invalidf("malformed protobuf: %w", err)
	}
	return nil
}

func marshal(from marshaler, enc Encoding) ([]byte, error) {
	encode := from.MarshalProto
	if enc == JSON {
		encode = from.MarshalJSON
	}
	body, err := encode()
	if err != nil {
		return nil, fault.New(fault.Internal, "encode response: %w", err)
	}
	return body, nil
}

// maxReason bounds the reason given to a sender, which may log it each time.
const maxReason = 1024

// response returns the body of a successful answer.
func response(signal Signal, enc Encoding, rejected int, reason string) ([]byte, error) {
	if rejected > 0 && reason == "" {
		reason = "records were rejected"
	}
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	// A cut may have split a character, and a reason may quote a bad record:
	// protobuf strings must be valid.
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	switch signal {
	case Logs:
		r := plogotlp.NewExportResponse()
		if rejected > 0 {
			r.PartialSuccess().SetRejectedLogRecords(int64(rejected))
			r.PartialSuccess().SetErrorMessage(reason)
		}
		return marshal(r, enc)
	case Traces:
		r := ptraceotlp.NewExportResponse()
		if rejected > 0 {
			r.PartialSuccess().SetRejectedSpans(int64(rejected))
			r.PartialSuccess().SetErrorMessage(reason)
		}
		return marshal(r, enc)
	}
	r := pmetricotlp.NewExportResponse()
	if rejected > 0 {
		r.PartialSuccess().SetRejectedDataPoints(int64(rejected))
		r.PartialSuccess().SetErrorMessage(reason)
	}
	return marshal(r, enc)
}
