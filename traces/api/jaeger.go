package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"belfry/internal/fault"
	"belfry/traces"
	"belfry/traces/traceql"
)

type jaeger struct{ catalog }

// NewJaeger returns Jaeger's HTTP APIs, the legacy JSON one that its UI and
// Grafana use and v3, rooted at /api.
func NewJaeger(o Options) http.Handler {
	j := &jaeger{catalog{o.withDefaults()}}
	mux := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"GET /api/services":                      j.listServices,
		"GET /api/services/{service}/operations": j.listOperations,
		"GET /api/operations":                    j.listOperationKinds,
		"GET /api/traces":                        j.search,
		"GET /api/traces/{id}":                   j.trace,
		"GET /api/dependencies":                  j.dependencies,
	} {
		mux.Handle(pattern, j.envelope(h))
	}
	for pattern, h := range map[string]handler{
		"GET /api/v3/services":         j.servicesV3,
		"GET /api/v3/operations":       j.operationsV3,
		"GET /api/v3/traces":           j.searchV3,
		"POST /api/v3/traces":          j.searchV3,
		"GET /api/v3/trace-summaries":  j.traceSummaries,
		"POST /api/v3/trace-summaries": j.traceSummaries,
		"GET /api/v3/traces/{id}":      j.traceV3,
		"GET /api/v3/dependencies":     j.dependencies,
	} {
		mux.Handle(pattern, h)
	}
	return mux
}

type jaegerAnswer struct {
	Data   any           `json:"data"`
	Total  int           `json:"total"`
	Limit  int           `json:"limit"`
	Offset int           `json:"offset"`
	Errors []jaegerError `json:"errors"`
}

type jaegerError struct {
	Code    int    `json:"code"`
	Message string `json:"msg"`
	TraceID string `json:"traceID,omitempty"`
}

// envelope answers errors as Jaeger does.
func (j *jaeger) envelope(h handler) http.Handler {
	return handler(func(w http.ResponseWriter, r *http.Request) error {
		if err := h(w, r); err != nil {
			status := fault.HTTPStatus(err)
			writeJSON(w, status, jaegerAnswer{Errors: []jaegerError{{Code: status, Message: err.Error()}}})
		}
		return nil
	})
}

func writeList[T any](w http.ResponseWriter, list []T) error {
	if list == nil {
		list = []T{}
	}
	writeJSON(w, http.StatusOK, jaegerAnswer{Data: list, Total: len(list)})
	return nil
}

func (j *jaeger) listServices(w http.ResponseWriter, r *http.Request) error {
	names, err := j.services(r.Context())
	if err != nil {
		return err
	}
	return writeList(w, names)
}

func (j *jaeger) listOperations(w http.ResponseWriter, r *http.Request) error {
	names, err := j.operations(r.Context(), r.PathValue("service"))
	if err != nil {
		return err
	}
	return writeList(w, names)
}

func (j *jaeger) listOperationKinds(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	list, err := j.operationKinds(r.Context(), p.text("service"), p.text("spanKind"))
	if err != nil {
		return err
	}
	return writeList(w, list)
}

func (j *jaeger) trace(w http.ResponseWriter, r *http.Request) error {
	id, err := traces.ParseTraceID(r.PathValue("id"))
	if err != nil {
		return err
	}
	f, err := j.tracesByID(r.Context(), []string{id.String()})
	if err != nil {
		return err
	}
	if len(f.trees) == 0 {
		return fault.NotFoundf("trace not found")
	}
	return writeJaegerTraces(w, f)
}

func (j *jaeger) search(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	if ids := p.values["traceID"]; len(ids) > 0 {
		f, err := j.tracesByID(r.Context(), ids)
		if err != nil {
			return err
		}
		return writeJaegerTraces(w, f)
	}
	req := traceql.SearchRequest{Limit: p.number("limit", 20, j.MaxLimit)}
	req.To = p.instant("end", time.Microsecond, j.Now().UnixNano()) + int64(time.Microsecond)
	req.From = p.instant("start", time.Microsecond, req.To-int64(j.DefaultLookback))
	s := spanSearch{
		service: p.text("service"), operation: p.text("operation"),
		minDuration: p.duration("minDuration"), maxDuration: p.duration("maxDuration"),
	}
	if text := p.text("tags"); text != "" {
		if err := json.Unmarshal([]byte(text), &s.tags); err != nil {
			p.fail("tags", "%q is not a JSON object of texts", text)
		}
	}
	for _, tag := range p.values["tag"] {
		key, value, ok := strings.Cut(tag, ":")
		if !ok {
			p.fail("tag", "%q is not key:value", tag)
		}
		if s.tags == nil {
			s.tags = map[string]tagText{}
		}
		s.tags[key] = tagText(value)
	}
	if p.err != nil {
		return p.err
	}
	var err error
	if req.Query, err = s.query(); err != nil {
		return err
	}
	f, err := j.findTraces(r.Context(), req)
	if err != nil {
		return err
	}
	return writeJaegerTraces(w, f)
}

func writeJaegerTraces(w http.ResponseWriter, f *found) error {
	f.tellCut(w.Header())
	return writeList(w, jaegerTraces(f))
}

type dependency struct {
	Parent    string `json:"parent"`
	Child     string `json:"child"`
	CallCount int64  `json:"callCount"`
}

func (j *jaeger) dependencies(w http.ResponseWriter, r *http.Request) error {
	graph, err := j.graph(r.Context(), paramsOf(r))
	if err != nil {
		return err
	}
	var list []dependency
	for _, e := range graph.Edges {
		list = append(list, dependency{e.Parent, e.Child, e.Calls})
	}
	return writeList(w, list)
}

// tagText is the value of a tag in a search: text, but clients send numbers and
// booleans as well.
type tagText string

// UnmarshalJSON reads text, a number or a boolean.
func (t *tagText) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err == nil {
		*t = tagText(text)
		return nil
	}
	*t = tagText(b)
	return nil
}
