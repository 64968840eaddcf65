package ingest

import (
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"belfry/internal/fault"
	"belfry/internal/tenant"
)

// Handler returns a handler for one signal's OTLP requests. It expects bodies
// decompressed and bounded by what is in front of it. A nil budget has no bound.
func Handler(exporter Exporter, signal Signal, budget *Budget) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "method not allowed, use POST", http.StatusMethodNotAllowed)
			return
		}
		enc, ok := encodingOf(r)
		if !ok {
			http.Error(w, "unsupported content type, use application/x-protobuf or application/json", http.StatusUnsupportedMediaType)
			return
		}
		ctx, err := WithTenant(r.Context(), r.Header.Get(tenant.Header))
		if err != nil {
			writeError(w, enc, err)
			return
		}
		body, release, err := budget.ReadBody(r)
		defer release()
		if err != nil {
			writeError(w, enc, err)
			return
		}
		answer, err := exporter.Export(ctx, signal, enc, body)
		if err != nil {
			writeError(w, enc, err)
			return
		}
		w.Header().Set("Content-Type", enc.ContentType())
		_, _ = w.Write(answer)
	})
}

// HTTPError answers a request that failed before it reached a Handler, as one
// with a body that is not what its Content-Encoding says.
func HTTPError(w http.ResponseWriter, r *http.Request, message string, code int) {
	enc, ok := encodingOf(r)
	if strings.HasPrefix(message, "unsupported Content-Encoding") {
		ok, code = false, http.StatusUnsupportedMediaType
	}
	if !ok {
		http.Error(w, message, code)
		return
	}
	kind := fault.Invalid
	switch code {
	case http.StatusUnauthorized:
		kind = fault.Unauthorized
	case http.StatusForbidden:
		kind = fault.Forbidden
	case http.StatusRequestEntityTooLarge:
		kind = fault.TooLarge
	}
	writeError(w, enc, fault.New(kind, "%s", message))
}

func encodingOf(r *http.Request) (Encoding, bool) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return 0, false
	}
	switch mediaType {
	case "application/x-protobuf", "application/protobuf":
		return Protobuf, true
	case "application/json":
		return JSON, true
	}
	return 0, false
}

// writeError answers with a google.rpc.Status, as OTLP over HTTP asks.
func writeError(w http.ResponseWriter, enc Encoding, err error) {
	st, _ := status.FromError(fault.GRPC(err))
	encode := proto.Marshal
	if enc == JSON {
		encode = protojson.Marshal
	}
	message := st.Proto()
	message.Message = strings.ToValidUTF8(message.Message, "\uFFFD")
	body, merr := encode(message)
	if merr != nil {
		fault.WriteHTTP(w, err)
		return
	}
	if after := fault.RetryAfter(err); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(float64(after)/float64(time.Second)))))
	}
	w.Header().Set("Content-Type", enc.ContentType())
	w.WriteHeader(fault.HTTPStatus(err))
	_, _ = w.Write(body)
}
