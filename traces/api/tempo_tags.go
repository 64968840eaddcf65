package api

import (
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

// names returns the names that a request asks for by scope; intrinsics as well
// if withIntrinsics.
func (t *tempo) names(r *http.Request) (list []traces.Names, withIntrinsics bool, err error) {
	p := paramsOf(r)
	q := traces.NamesQuery{Limit: p.number("limit", 0, maxTagValues), Filter: lenientFilter(p.text("q"))}
	q.From, q.To = p.secondsRange(t.Now(), t.DefaultLookback)
	if p.err != nil {
		return nil, false, p.err
	}
	switch scope := p.text("scope"); scope {
	case "", "all", "none":
		q.Scopes, withIntrinsics = attributeScopes, true
	case "intrinsic":
		return nil, true, nil
	default:
		s, ok := traces.ParseScope(scope)
		if !ok || !slices.Contains(attributeScopes, s) {
			return nil, false, fault.Invalidf("parameter scope: %q is not a scope", scope)
		}
		q.Scopes = []traces.Scope{s}
	}
	list, err = t.Store.Names(r.Context(), tenant.ID(r.Context()), q)
	return list, withIntrinsics, err
}

func (t *tempo) tags(w http.ResponseWriter, r *http.Request) error {
	list, intrinsics, err := t.names(r)
	if err != nil {
		return err
	}
	names := []string{}
	for _, n := range list {
		names = append(names, n.Names...)
	}
	if intrinsics && paramsOf(r).text("scope") == "intrinsic" {
		names = append(names, traceql.IntrinsicNames()...)
	}
	slices.Sort(names)
	writeJSON(w, http.StatusOK, map[string]any{"tagNames": slices.Compact(names), "metrics": map[string]any{}})
	return nil
}

type scopeAnswer struct {
	Name string   `json:"name"`
	Tags []string `json:"tags"`
}

func (t *tempo) tagsV2(w http.ResponseWriter, r *http.Request) error {
	list, intrinsics, err := t.names(r)
	if err != nil {
		return err
	}
	scopes := []scopeAnswer{}
	for _, n := range list {
		scopes = append(scopes, scopeAnswer{n.Scope.String(), n.Names})
	}
	if intrinsics {
		scopes = append(scopes, scopeAnswer{"intrinsic", traceql.IntrinsicNames()})
	}
	writeJSON(w, http.StatusOK, map[string]any{"scopes": scopes, "metrics": map[string]any{}})
	return nil
}

// typedValue is a value with TraceQL's name of its type.
type typedValue struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// values returns the values of a tag, as TraceQL writes them without quotes.
func (t *tempo) values(r *http.Request, ref traceql.FieldRef) ([]typedValue, error) {
	p := paramsOf(r)
	q := traces.ValuesQuery{Field: ref.Field, Limit: p.number("limit", 1000, maxTagValues), Filter: lenientFilter(p.text("q"))}
	q.From, q.To = p.secondsRange(t.Now(), t.DefaultLookback)
	if p.err != nil {
		return nil, p.err
	}
	out := []typedValue{}
	if ref.Field.Scope == traces.ScopeIntrinsic {
		switch ref.Field.Name {
		case traces.StatusField:
			return keywords("error", "ok", "unset"), nil
		case traces.SpanKindField:
			return keywords("client", "consumer", "internal", "producer", "server", "unspecified"), nil
		case "rootName", "rootServiceName":
			q.Field = traces.Intrinsic(traces.Name)
			if ref.Field.Name == "rootServiceName" {
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
	list, _, err := t.Store.Values(r.Context(), tenant.ID(r.Context()), q)
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

func (t *tempo) tagValues(w http.ResponseWriter, r *http.Request) error {
	tag := r.PathValue("tag")
	ref := traceql.FieldRef{Field: traces.Field{Scope: traces.ScopeAny, Name: tag}}
	switch tag {
	case "name", "status", "kind", "statusMessage", "rootName", "rootServiceName":
		ref.Field = traces.Intrinsic(tag)
	case "status.code":
		ref.Field = traces.Intrinsic(traces.StatusField)
	case "root.name":
		ref.Field = traces.Intrinsic("rootName")
	case "root.service.name":
		ref.Field = traces.Intrinsic("rootServiceName")
	}
	list, err := t.values(r, ref)
	if err != nil {
		return err
	}
	values := make([]string, 0, len(list))
	for _, v := range list {
		values = append(values, v.Value)
	}
	slices.Sort(values)
	writeJSON(w, http.StatusOK, map[string]any{"tagValues": slices.Compact(values), "metrics": map[string]any{}})
	return nil
}

func (t *tempo) tagValuesV2(w http.ResponseWriter, r *http.Request) error {
	ref, err := traceql.ParseField(r.PathValue("tag"))
	if err != nil {
		return err
	}
	list, err := t.values(r, ref)
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
