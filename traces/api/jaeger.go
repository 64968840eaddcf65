package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/servicegraph"
	"belfry/traces/traceql"
)

const (
	// catalogLookback is the range of listings of services and operations, for
	// which the APIs of Jaeger and Zipkin have no parameter.
	catalogLookback = 7 * 24 * time.Hour
	maxServices     = 10_000
	// maxGraphSpans bounds what a graph of dependencies is computed from.
	maxGraphSpans = 1_000_000
)

// catalog answers what Jaeger's and Zipkin's APIs have in common.
type catalog struct{ Options }

func (c *catalog) recent() (from, to int64) {
	now := c.Now()
	return now.Add(-catalogLookback).UnixNano(), now.Add(time.Hour).UnixNano()
}

func (c *catalog) values(r *http.Request, field traces.Field, filter traces.Filter) ([]string, error) {
	q := traces.ValuesQuery{Field: field, Filter: filter, Limit: maxServices}
	q.From, q.To = c.recent()
	list, _, err := c.Store.Values(r.Context(), tenant.ID(r.Context()), q)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list))
	for _, v := range list {
		names = append(names, v.Value.Text())
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (c *catalog) services(r *http.Request) ([]string, error) {
	return c.values(r, traces.ServiceName(), nil)
}

func ofService(service string, more ...traces.Filter) traces.Filter {
	filter := traces.And(more)
	if service != "" {
		filter = append(filter, traces.Compare{Field: traces.ServiceName(), Value: traces.String(service)})
	}
	return filter
}

func (c *catalog) operations(r *http.Request, service string, more ...traces.Filter) ([]string, error) {
	return c.values(r, traces.Intrinsic(traces.Name), ofService(service, more...))
}

// findTraces returns the whole of the traces that a query matches, the newest first.
func (c *catalog) findTraces(r *http.Request, req traceql.SearchRequest) ([]*traces.Tree, error) {
	found, err := c.Engine.Search(r.Context(), tenant.ID(r.Context()), req)
	if err != nil {
		return nil, err
	}
	ids := make([]traces.TraceID, 0, len(found.Traces))
	for _, s := range found.Traces {
		ids = append(ids, s.ID)
	}
	return c.traces(r, ids, req.From, req.To)
}

// traces returns whole traces in the order of their IDs, without those that do not exist.
func (c *catalog) traces(r *http.Request, ids []traces.TraceID, from, to int64) ([]*traces.Tree, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	spans := make(map[traces.TraceID][]traces.Span, len(ids))
	_, err := c.Store.Traces(r.Context(), tenant.ID(r.Context()), traces.TracesQuery{IDs: ids, From: from, To: to}, func(batch []traces.Span) error {
		for _, s := range batch {
			if len(spans[s.TraceID]) < c.MaxTraceSpans {
				spans[s.TraceID] = append(spans[s.TraceID], s)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var trees []*traces.Tree
	for _, id := range ids {
		if list := spans[id]; len(list) > 0 {
			trees = append(trees, traces.NewTree(list))
			delete(spans, id)
		}
	}
	return trees, nil
}

func (c *catalog) graph(r *http.Request, p *params) (*servicegraph.Graph, error) {
	to := p.instant("endTs", time.Millisecond, c.Now().UnixNano())
	lookback := p.instant("lookback", time.Millisecond, int64(c.DefaultLookback))
	if p.err != nil {
		return nil, p.err
	}
	return servicegraph.Query(r.Context(), c.Store, tenant.ID(r.Context()), to-lookback, to, maxGraphSpans)
}

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
		"GET /api/v3/services":     j.servicesV3,
		"GET /api/v3/operations":   j.operationsV3,
		"GET /api/v3/traces":       j.searchV3,
		"GET /api/v3/traces/{id}":  j.traceV3,
		"GET /api/v3/dependencies": j.dependencies,
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
	names, err := j.services(r)
	if err != nil {
		return err
	}
	return writeList(w, names)
}

func (j *jaeger) listOperations(w http.ResponseWriter, r *http.Request) error {
	names, err := j.operations(r, r.PathValue("service"))
	if err != nil {
		return err
	}
	return writeList(w, names)
}

type operation struct {
	Name     string `json:"name"`
	SpanKind string `json:"spanKind"`
}

func (j *jaeger) operationKinds(r *http.Request, service, kind string) ([]operation, error) {
	list := []operation{}
	for k := traces.SpanKindUnspecified; k <= traces.SpanKindConsumer; k++ {
		name := k.String()
		if k == traces.SpanKindUnspecified {
			name = ""
		}
		if kind != "" && !strings.EqualFold(kind, name) {
			continue
		}
		names, err := j.operations(r, service, traces.Compare{Field: traces.Intrinsic(traces.SpanKindField), Value: traces.Int(int64(k))})
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			list = append(list, operation{n, name})
		}
	}
	return list, nil
}

func (j *jaeger) listOperationKinds(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	list, err := j.operationKinds(r, p.text("service"), p.text("spanKind"))
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
	trees, err := j.tracesByID(r, []string{id.String()})
	if err != nil {
		return err
	}
	if len(trees) == 0 {
		return fault.NotFoundf("trace not found")
	}
	return writeList(w, jaegerTraces(trees))
}

func (j *jaeger) tracesByID(r *http.Request, texts []string) ([]*traces.Tree, error) {
	var ids []traces.TraceID
	for _, text := range texts {
		id, err := traces.ParseTraceID(text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return j.traces(r, ids, 0, 0)
}

func (j *jaeger) search(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	if ids := p.values["traceID"]; len(ids) > 0 {
		trees, err := j.tracesByID(r, ids)
		if err != nil {
			return err
		}
		return writeList(w, jaegerTraces(trees))
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
	trees, err := j.findTraces(r, req)
	if err != nil {
		return err
	}
	return writeList(w, jaegerTraces(trees))
}

type dependency struct {
	Parent    string `json:"parent"`
	Child     string `json:"child"`
	CallCount int64  `json:"callCount"`
}

func (j *jaeger) dependencies(w http.ResponseWriter, r *http.Request) error {
	graph, err := j.graph(r, paramsOf(r))
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

// spanSearch is a search for traces with a span that meets all conditions, as
// Jaeger and Zipkin ask for it.
type spanSearch struct {
	service, operation       string
	minDuration, maxDuration time.Duration
	tags                     map[string]tagText
	events                   []string // names of events
	foldOperation            bool     // Zipkin shows names in lower case, and asks for them so
}

func (s *spanSearch) query() (*traceql.Query, error) {
	var conditions []string
	if s.service != "" {
		conditions = append(conditions, "resource.service.name = "+strconv.Quote(s.service))
	}
	switch {
	case s.operation == "" || s.operation == "all":
	case s.foldOperation:
		conditions = append(conditions, "name =~ "+strconv.Quote("(?i)"+quoteMeta(s.operation)))
	default:
		conditions = append(conditions, "name = "+strconv.Quote(s.operation))
	}
	if s.minDuration > 0 {
		conditions = append(conditions, "duration >= "+s.minDuration.String())
	}
	if s.maxDuration > 0 {
		conditions = append(conditions, "duration <= "+s.maxDuration.String())
	}
	for key, value := range s.tags {
		conditions = append(conditions, exactTag(key, string(value)))
	}
	for _, e := range s.events {
		conditions = append(conditions, "event:name = "+strconv.Quote(e))
	}
	return traceql.Parse("{ " + strings.Join(conditions, " && ") + " }")
}

// exactTag is the condition that a tag, wherever Jaeger would show it, has a
// value that reads as the text.
func exactTag(key, value string) string {
	switch key {
	case "error":
		if value == "true" {
			return "(status = error || .error = true)"
		}
	case "span.kind":
		if _, ok := traces.ParseSpanKind(strings.ToLower(value)); ok {
			return "kind = " + strings.ToLower(value)
		}
	case "otel.status_code":
		if _, ok := traces.ParseStatus(strings.ToLower(value)); ok {
			return "status = " + strings.ToLower(value)
		}
	case "otel.status_description":
		return "statusMessage = " + strconv.Quote(value)
	case "otel.scope.name", "otel.library.name":
		return "instrumentation:name = " + strconv.Quote(value)
	case "otel.scope.version", "otel.library.version":
		return "instrumentation:version = " + strconv.Quote(value)
	}
	literals := []string{strconv.Quote(value)}
	if f, err := strconv.ParseFloat(value, 64); err == nil && !strings.ContainsAny(value, "xXnNiI_pP") {
		literals = append(literals, strings.TrimPrefix(value, "+"))
		_ = f
	}
	if value == "true" || value == "false" {
		literals = append(literals, value)
	}
	var either []string
	for _, scope := range []traces.Scope{traces.ScopeAny, traces.ScopeEvent} {
		field := traceql.FieldRef{Field: traces.Field{Scope: scope, Name: key}}.String()
		for _, literal := range literals {
			either = append(either, field+" = "+literal)
		}
	}
	return "(" + strings.Join(either, " || ") + ")"
}
