package traceql

import (
	"slices"
	"strings"

	"belfry/traces"
)

// Intrinsics that need the whole trace, by their short names.
const (
	traceDuration   = traces.TraceDuration
	rootName        = traces.RootName
	rootServiceName = traces.RootServiceName
	childCount      = traces.ChildCount
	selfTime        = traces.SelfTime
	nestedSetLeft   = traces.NestedSetLeft
	nestedSetRight  = traces.NestedSetRight
	nestedSetParent = traces.NestedSetParent
)

// bareIntrinsics can be written without a scope.
var bareIntrinsics = map[string]struct{}{
	traces.Name: {}, traces.Duration: {}, traces.SpanKindField: {}, traces.StatusField: {}, traces.StatusMessage: {},
	traceDuration: {}, rootName: {}, rootServiceName: {},
	nestedSetLeft: {}, nestedSetRight: {}, nestedSetParent: {},
}

// scopedIntrinsics maps what a query says to the name of the intrinsic.
var scopedIntrinsics = map[string]string{
	"span:name": traces.Name, "span:duration": traces.Duration, "span:kind": traces.SpanKindField,
	"span:status": traces.StatusField, "span:statusMessage": traces.StatusMessage,
	"span:id": traces.SpanIDField, "span:parentID": traces.ParentIDField, "span:childCount": childCount,
	"span:selfTime": selfTime,
	"trace:id":      traces.TraceIDField, "trace:duration": traceDuration,
	"trace:rootName": rootName, "trace:rootService": rootServiceName,
	"event:name": traces.EventName, "event:timeSinceStart": traces.EventTimeSinceStart,
	"link:traceID": traces.LinkTraceID, "link:spanID": traces.LinkSpanID,
	"instrumentation:name": traces.InstrumentationName, "instrumentation:version": traces.InstrumentationVersion,
}

var attributeScopes = map[string]traces.Scope{
	"span": traces.ScopeSpan, "resource": traces.ScopeResource, "event": traces.ScopeEvent,
	"link": traces.ScopeLink, "instrumentation": traces.ScopeInstrumentation,
}

// IntrinsicNames are all ways to write an intrinsic, sorted, for completion.
func IntrinsicNames() []string {
	names := make([]string, 0, len(bareIntrinsics)+len(scopedIntrinsics))
	for name := range bareIntrinsics {
		if !strings.HasPrefix(name, "nestedSet") {
			names = append(names, name)
		}
	}
	for name := range scopedIntrinsics {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var quotedName = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// FieldRef is a field of a span, or of its parent.
type FieldRef struct {
	Field  traces.Field
	Parent bool
}

func intrinsicRef(name string) FieldRef { return FieldRef{Field: traces.Intrinsic(name)} }

// ParseField reads a field as a query writes it, such as span.http.route,
// .http.route, resource.service.name or span:name.
func ParseField(text string) (FieldRef, error) {
	tokens, err := lex(text)
	if err != nil {
		return FieldRef{}, err
	}
	if len(tokens) != 2 || tokens[0].kind != tokField {
		return FieldRef{}, errorAt(text, 0, "%q is not a field such as span.http.route or name", text)
	}
	return tokens[0].field, nil
}

// String returns the field as a query writes it.
func (r FieldRef) String() string {
	prefix := ""
	if r.Parent {
		prefix = "parent."
	}
	if r.Field.Scope == traces.ScopeIntrinsic {
		return prefix + r.Field.Name
	}
	name := r.Field.Name
	if r.mustQuote() {
		name = `"` + quotedName.Replace(name) + `"`
	}
	switch {
	case r.Field.Scope != traces.ScopeAny:
		return prefix + r.Field.Scope.String() + "." + name
	case r.Parent:
		return prefix + name
	}
	return "." + name
}

// mustQuote reports whether the name would not be read back as it is.
func (r FieldRef) mustQuote() bool {
	name := r.Field.Name
	if name == "" || isDigit(name[0]) {
		return true
	}
	if r.Parent && r.Field.Scope == traces.ScopeAny && (strings.HasPrefix(name, "span.") || strings.HasPrefix(name, "resource.")) {
		return true
	}
	for i := range len(name) {
		if !isAttributeByte(name[i]) {
			return true
		}
	}
	return false
}

// needsTree reports whether the field cannot be told from its span alone.
func (r FieldRef) needsTree() bool {
	if r.Parent {
		return true
	}
	if r.Field.Scope != traces.ScopeIntrinsic {
		return false
	}
	switch r.Field.Name {
	case traceDuration, rootName, rootServiceName, childCount, selfTime, nestedSetLeft, nestedSetRight, nestedSetParent:
		return true
	}
	return false
}

// fieldType returns the type of an intrinsic, typeUnknown for attributes.
func (r FieldRef) fieldType() Type {
	if r.Field.Scope != traces.ScopeIntrinsic {
		return typeUnknown
	}
	switch r.Field.Name {
	case traces.Duration, traceDuration, selfTime, traces.EventTimeSinceStart:
		return TypeDuration
	case traces.StatusField:
		return TypeStatus
	case traces.SpanKindField:
		return TypeKind
	case childCount, nestedSetLeft, nestedSetRight, nestedSetParent:
		return TypeInt
	}
	return TypeString
}
