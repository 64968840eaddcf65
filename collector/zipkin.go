package collector

import (
	"mime"
	"net/http"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/zipkin/zipkinv2"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"belfry/collector/internal/ingest"
	"belfry/internal/fault"
	"belfry/internal/tenant"
)

// zipkinHandler takes Zipkin v2 spans, JSON or protobuf. The answer to spans
// that are kept is 202, as Zipkin's; the protocol has no place for a partial
// success, so only a request of which nothing was kept is refused.
func zipkinHandler(next consumer.Traces, budget *ingest.Budget) http.Handler {
	fromJSON := zipkinv2.NewJSONTracesUnmarshaler(false)
	fromProto := zipkinv2.NewProtobufTracesUnmarshaler(false, false)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := ingest.WithTenant(r.Context(), r.Header.Get(tenant.Header))
		if err != nil {
			fault.WriteHTTP(w, err)
			return
		}
		from, isJSON := fromJSON, true
		switch mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType {
		case "", "application/json":
		case "application/x-protobuf", "application/protobuf":
			from, isJSON = fromProto, false
		default:
			http.Error(w, "unsupported content type, use application/json or application/x-protobuf", http.StatusUnsupportedMediaType)
			return
		}
		body, release, err := budget.ReadBody(r)
		defer release()
		if err != nil {
			fault.WriteHTTP(w, err)
			return
		}
		td, err := decodeZipkin(from, isJSON, body)
		if err != nil {
			fault.WriteHTTP(w, err)
			return
		}
		ctx, outcome := ingest.WithOutcome(ctx)
		if td.SpanCount() > 0 {
			if err := next.ConsumeTraces(ctx, td); err != nil {
				fault.WriteHTTP(w, err)
				return
			}
		}
		if accepted, rejected, reason := outcome.Get(); rejected > 0 && accepted == 0 {
			fault.WriteHTTP(w, fault.Invalidf("all %d spans were rejected: %s", rejected, reason))
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

func decodeZipkin(from ptrace.Unmarshaler, isJSON bool, body []byte) (td ptrace.Traces, err error) {
	// The translator works on what other systems send; a span that it does not
	// expect must not end the process.
	defer func() {
		if p := recover(); p != nil {
			err = fault.Invalidf("malformed spans: %v", p)
		}
	}()
	if isJSON {
		if err := ingest.CheckJSONNesting(body); err != nil {
			return ptrace.Traces{}, err
		}
	}
	td, err = from.UnmarshalTraces(body)
	if err != nil {
		return ptrace.Traces{}, fault.Invalidf("malformed spans: %w", err)
	}
	return td, nil
}
