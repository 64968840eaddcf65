package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/traceql"
)

const maxTagValues = 10_000

var attributeScopes = []traces.Scope{
	traces.ScopeResource, traces.ScopeSpan, traces.ScopeEvent, traces.ScopeLink, traces.ScopeInstrumentation,
}

// tagsRequest asks for the names of attributes.
type tagsRequest struct {
	scope    string // one of attributeScopes, "intrinsic", or one of "", "all" and "none" for all of them
	query    string // TraceQL that may be unfinished: names on the spans that it matches
	from, to int64
	limit    int // for each scope; 0: the store's own
}

func (t *tempo) tagsRequestOf(r *http.Request) (tagsRequest, error) {
	p := paramsOf(r)
	req := tagsRequest{scope: p.text("scope"), query: p.text("q"), limit: p.number("limit", 0, maxTagValues)}
	req.from, req.to = p.secondsRange(t.Now(), t.DefaultLookback)
	return req, p.err
}

// names returns names of attributes by scope, and whether those of intrinsics
// are asked for as well.
func (t *tempo) names(ctx context.Context, req tagsRequest) (list []traces.Names, withIntrinsics bool, err error) {
	q := traces.NamesQuery{Limit: req.limit, Filter: lenientFilter(req.query), From: req.from, To: req.to}
	switch req.scope {
	case "", "all", "none":
		q.Scopes, withIntrinsics = attributeScopes, true
	case "intrinsic":
		return nil, true, nil
	default:
		s, ok := traces.ParseScope(req.scope)
		if !ok || !slices.Contains(attributeScopes, s) {
			return nil, false, fault.Invalidf("invalid scope: %s", req.scope)
		}
		q.Scopes = []traces.Scope{s}
	}
	list, err = t.Store.Names(ctx, tenant.ID(ctx), q)
	return list, withIntrinsics, err
}

// flatTags returns names of all scopes in one list.
func (t *tempo) flatTags(ctx context.Context, req tagsRequest) ([]string, error) {
	list, _, err := t.names(ctx, req)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, n := range list {
		names = append(names, n.Names...)
	}
	if req.scope == "intrinsic" {
		names = append(names, traceql.IntrinsicNames()...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// scopedTags returns names by scope, those of intrinsics last.
func (t *tempo) scopedTags(ctx context.Context, req tagsRequest) ([]scopeAnswer, error) {
	list, intrinsics, err := t.names(ctx, req)
	if err != nil {
		return nil, err
	}
	scopes := []scopeAnswer{}
	for _, n := range list {
		scopes = append(scopes, scopeAnswer{n.Scope.String(), n.Names})
	}
	if intrinsics {
		scopes = append(scopes, scopeAnswer{"intrinsic", traceql.IntrinsicNames()})
	}
	return scopes, nil
}

func (t *tempo) tags(w http.ResponseWriter, r *http.Request) error {
	req, err := t.tagsRequestOf(r)
	if err != nil {
		return err
	}
	names, err := t.flatTags(r.Context(), req)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"tagNames": names, "metrics": map[string]any{}})
	return nil
}

type scopeAnswer struct {
	Name string   `json:"name"`
	Tags []string `json:"tags"`
}

func (t *tempo) tagsV2(w http.ResponseWriter, r *http.Request) error {
	req, err := t.tagsRequestOf(r)
	if err != nil {
		return err
	}
	scopes, err := t.scopedTags(r.Context(), req)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"scopes": scopes, "metrics": map[string]any{}})
	return nil
}

// typedValue is a value with TraceQL's name of its type.
type typedValue struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// valuesRequest asks for the values of an attribute or intrinsic.
type valuesRequest struct {
	field    traces.Field
	query    string // TraceQL that may be unfinished: values on the spans that it matches
	from, to int64
	limit    int
}

func (t *tempo) valuesRequestOf(r *http.Request) (valuesRequest, error) {
	p := paramsOf(r)
	req := valuesRequest{query: p.text("q"), limit: p.number("limit", 1000, maxTagValues)}
	req.from, req.to = p.secondsRange(t.Now(), t.DefaultLookback)
	return req, p.err
}

// values returns values of a field, as TraceQL writes them without quotes.
func (t *tempo) values(ctx context.Context, req valuesRequest) ([]typedValue, error) {
	q := traces.ValuesQuery{Field: req.field, Limit: req.limit, Filter: lenientFilter(req.query), From: req.from, To: req.to}
	out := []typedValue{}
	if req.field.Scope == traces.ScopeIntrinsic {
		switch req.field.Name {
		case traces.StatusField:
			return keywords("error", "ok", "unset"), nil
		case traces.SpanKindField:
			return keywords("client", "consumer", "internal", "producer", "server", "unspecified"), nil
		case "rootName", "rootServiceName":
			q.Field = traces.Intrinsic(traces.Name)
			if req.field.Name == "rootServiceName" {
				q.Field = traces.ServiceName()
			}
			root := traces.Exists{Field: traces.Intrinsic(traces.ParentIDField), Negate: true}
			if q.Filter == nil {
				q.Filter = root
			} else {
				q.Filter = traces.And{root, q.Filter}
			}
		case traces.Name, traces.StatusMessage, traces.EventName, traces.InstrumentationName, traces.InstrumentationVersion:
		default:
			return out, nil // IDs, durations and numbers of nested sets: nothing to choose from
		}
	}
	list, _, err := t.Store.Values(ctx, tenant.ID(ctx), q)
	if err != nil {
		return nil, err
	}
	for _, v := range list {
		out = append(out, typedValue{v.Value.Kind().String(), v.Value.Text()})
	}
	return out, nil
}

func keywords(values ...string) []typedValue {
	out := make([]typedValue, 0, len(values))
	for _, v := range values {
		out = append(out, typedValue{"keyword", v})
	}
	return out
}

// plainField is what the name of a tag means where names have no scope.
func plainField(tag string) traces.Field {
	switch tag {
	case "name", "status", "kind", "statusMessage", "rootName", "rootServiceName":
		return traces.Intrinsic(tag)
	case "status.code":
		return traces.Intrinsic(traces.StatusField)
	case "root.name":
		return traces.Intrinsic("rootName")
	case "root.service.name":
		return traces.Intrinsic("rootServiceName")
	}
	return traces.Field{Scope: traces.ScopeAny, Name: tag}
}

// plainValues returns values without their types.
func (t *tempo) plainValues(ctx context.Context, req valuesRequest) ([]string, error) {
	list, err := t.values(ctx, req)
	if err != nil {
		return nil, err
	}
	values := make([]string, 0, len(list))
	for _, v := range list {
		values = append(values, v.Value)
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}

func (t *tempo) tagValues(w http.ResponseWriter, r *http.Request) error {
	req, err := t.valuesRequestOf(r)
	if err != nil {
		return err
	}
	req.field = plainField(r.PathValue("tag"))
	values, err := t.plainValues(r.Context(), req)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"tagValues": values, "metrics": map[string]any{}})
	return nil
}

func (t *tempo) tagValuesV2(w http.ResponseWriter, r *http.Request) error {
	ref, err := traceql.ParseField(r.PathValue("tag"))
	if err != nil {
		return err
	}
	req, err := t.valuesRequestOf(r)
	if err != nil {
		return err
	}
	req.field = ref.Field
	list, err := t.values(r.Context(), req)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"tagValues": list, "metrics": map[string]any{}})
	return nil
}

// lenientFilter reads the filter of a query that someone is still typing: of
// { a = 1 && b = } it is a = 1. What cannot be read at all is no filter.
func lenientFilter(q string) traces.Filter {
	if q == "" {
		return nil
	}
	if f, err := traceql.ParseFilter(q); err == nil {
		return f
	}
	inner := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(q), "{"), "}")
	var all traces.And
	for part := range strings.SplitSeq(inner, "&&") {
		if f, err := traceql.ParseFilter("{" + part + "}"); err == nil && f != nil {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}
