package store

import (
	"encoding/hex"
	"time"

	"belfry/internal/columnar"
	"belfry/traces"
)

// compiler turns filters of the contract into the engine's. They may let more
// rows through, never fewer: arrays and events' times are left to whoever
// evaluates the spans. It knows what conditions on the trace and the place of a
// span in it can be decided.
type compiler struct {
	joined bool        // spans have derived columns that are right
	table  *traceTable // nil: fields of the trace are not known
}

func (k *compiler) compile(f traces.Filter) columnar.Filter {
	if field, ok := fieldOf(f); ok && (field.OfTrace() || field.OfPlace()) {
		return k.compileTree(f, field)
	}
	switch f := f.(type) {
	case traces.And:
		all := make(columnar.And, 0, len(f))
		for _, part := range f {
			if c := k.compile(part); c != nil {
				all = append(all, c)
			}
		}
		return all
	case traces.Or:
		anyOf := make(columnar.Or, 0, len(f))
		for _, part := range f {
			c := k.compile(part)
			if c == nil {
				return nil
			}
			anyOf = append(anyOf, c)
		}
		return anyOf
	case traces.Compare:
		if c, ok := compileSpecial(f.Field, f); ok {
			return c
		}
		if f.Field.Scope == traces.ScopeIntrinsic {
			switch f.Field.Name {
			case traces.TraceIDField, traces.SpanIDField, traces.ParentIDField:
				return compareID(f)
			}
		}
		return eachRef(f.Field, func(r columnar.Ref) columnar.Filter { return compareRef(r, f) })
	case traces.Regexp:
		if c, ok := compileSpecial(f.Field, f); ok {
			return c
		}
		if f.Field.Scope == traces.ScopeIntrinsic {
			switch f.Field.Name {
			case traces.TraceIDField, traces.SpanIDField, traces.ParentIDField:
				return eachRef(f.Field, func(r columnar.Ref) columnar.Filter { return columnar.Exists{Ref: r} })
			}
		}
		return eachRef(f.Field, func(r columnar.Ref) columnar.Filter { return regexpRef(r, f) })
	case traces.Exists:
		if c, ok := compileSpecial(f.Field, f); ok {
			return c
		}
		c := eachRef(f.Field, func(r columnar.Ref) columnar.Filter { return columnar.Exists{Ref: r} })
		if f.Negate {
			if f.Field.Scope != traces.ScopeIntrinsic {
				return nil // a value that is there can be nil all the same
			}
			return columnar.Not{Of: c}
		}
		return c
	}
	return nil
}

// compileSpecial compiles conditions on events and links, which are decided on
// their encoded form. A condition that can hold where there are none cannot be.
func compileSpecial(field traces.Field, f traces.Filter) (c columnar.Filter, ok bool) {
	column := ""
	switch field.Scope {
	case traces.ScopeEvent:
		column = nameEvents
	case traces.ScopeLink:
		column = nameLinks
	case traces.ScopeIntrinsic:
		switch field.Name {
		case traces.EventName, traces.EventTimeSinceStart:
			column = nameEvents
		case traces.LinkTraceID, traces.LinkSpanID:
			column = nameLinks
		}
	}
	if column == "" {
		return nil, false
	}
	if e, isExists := f.(traces.Exists); isExists && e.Negate {
		return nil, true
	}
	ref := columnar.Ref{Name: column, Kind: columnar.KindBytes}
	if field.Name == traces.EventTimeSinceStart && field.Scope == traces.ScopeIntrinsic {
		return columnar.Exists{Ref: ref}, true
	}
	return columnar.Func{Ref: ref, Match: func(v columnar.Value) bool {
		span := traces.Span{Resource: &traces.Resource{}}
		var err error
		if column == nameEvents {
			span.Events, err = parseEvents([]byte(v.Str()))
		} else {
			span.Links, err = parseLinks([]byte(v.Str()))
		}
		return err != nil || traces.Match(f, &span)
	}}, true
}

// eachRef applies a condition to the columns that a field can be in.
func eachRef(f traces.Field, condition func(columnar.Ref) columnar.Filter) columnar.Filter {
	refs := refsOf(f)
	if len(refs) == 1 {
		return condition(refs[0])
	}
	anyOf := columnar.Or{}
	for _, r := range refs {
		anyOf = append(anyOf, condition(r))
	}
	return anyOf
}

func refsOf(f traces.Field) []columnar.Ref {
	span := columnar.Ref{Name: attributeColumn(f.Name)}
	resource := columnar.Ref{Name: resourcePrefix + f.Name, Stream: true}
	switch f.Scope {
	case traces.ScopeSpan:
		return []columnar.Ref{span}
	case traces.ScopeResource:
		return []columnar.Ref{resource}
	case traces.ScopeInstrumentation:
		return []columnar.Ref{{Name: scopePrefix + f.Name, Stream: true}}
	case traces.ScopeAny:
		return []columnar.Ref{span, resource}
	case traces.ScopeIntrinsic:
		if ref, ok := intrinsicRefs[f.Name]; ok {
			return []columnar.Ref{ref}
		}
	}
	return nil
}

var intrinsicRefs = map[string]columnar.Ref{
	traces.Name:                   {Name: nameName, Kind: columnar.KindString},
	traces.Duration:               {Name: nameDuration, Kind: columnar.KindInt},
	traces.SpanKindField:          {Name: nameKind, Kind: columnar.KindInt},
	traces.StatusField:            {Name: nameStatus, Kind: columnar.KindInt},
	traces.StatusMessage:          {Name: nameStatusMessage, Kind: columnar.KindString},
	traces.TraceIDField:           {Name: nameTraceID, Kind: columnar.KindID},
	traces.SpanIDField:            {Name: nameSpanID, Kind: columnar.KindID},
	traces.ParentIDField:          {Name: nameParentID, Kind: columnar.KindID},
	traces.InstrumentationName:    {Name: fieldScopeName, Stream: true},
	traces.InstrumentationVersion: {Name: fieldScopeVersion, Stream: true},
}

func compareID(f traces.Compare) columnar.Filter {
	ref := intrinsicRefs[f.Field.Name]
	if f.Op != traces.OpEqual {
		return columnar.Exists{Ref: ref}
	}
	id, err := hex.DecodeString(f.Value.Str())
	if err != nil {
		return columnar.Or{}
	}
	return columnar.Equal{Ref: ref, Value: columnar.ID(id)}
}

// hasJSON holds for rows whose value is an array or a map.
func hasJSON(r columnar.Ref) columnar.Filter {
	r.Kind = columnar.KindJSON
	return columnar.Exists{Ref: r}
}

// orArray adds rows with arrays, whose elements the engine does not look at.
func orArray(r columnar.Ref, f columnar.Filter) columnar.Filter {
	if r.Kind != columnar.KindAny {
		return f
	}
	return columnar.Or{f, hasJSON(r)}
}

func engineValue(v traces.Value) (columnar.Value, bool) {
	switch v.Kind() {
	case traces.KindString:
		return columnar.String(v.Str()), true
	case traces.KindInt:
		return columnar.Int(v.Int()), true
	case traces.KindFloat:
		return columnar.Float(v.Float()), true
	case traces.KindBool:
		return columnar.Bool(v.Bool()), true
	case traces.KindBytes:
		return columnar.Bytes([]byte(v.Str())), true
	}
	return columnar.Value{}, false
}

func compareRef(r columnar.Ref, f traces.Compare) columnar.Filter {
	v, ok := engineValue(f.Value)
	if !ok {
		return columnar.Exists{Ref: r}
	}
	switch f.Op {
	case traces.OpEqual:
		return orArray(r, columnar.Equal{Ref: r, Value: v})
	case traces.OpNotEqual:
		return columnar.And{columnar.Exists{Ref: r}, columnar.Not{Of: columnar.Equal{Ref: r, Value: v}}}
	}
	if f.Value.Kind() == traces.KindBool {
		return columnar.Exists{Ref: r}
	}
	rng := columnar.Range{Ref: r}
	switch f.Op {
	case traces.OpLess:
		rng.Max, rng.ExcludeMax = v, true
	case traces.OpLessEqual:
		rng.Max = v
	case traces.OpGreater:
		rng.Min, rng.ExcludeMin = v, true
	case traces.OpGreaterEqual:
		rng.Min = v
	}
	return orArray(r, rng)
}

func regexpRef(r columnar.Ref, f traces.Regexp) columnar.Filter {
	ofText := r
	ofText.Kind = columnar.KindString
	var c columnar.Filter = columnar.Regexp{Ref: ofText, Re: f.Re}
	if f.Negate {
		c = columnar.And{columnar.Exists{Ref: ofText}, columnar.Not{Of: c}}
	}
	return orArray(r, c)
}

// maxSpanLength is how long before a range a span may have started and still
// be found in it.
const maxSpanLength = 24 * time.Hour

// lookbacks are the borders of the bands in which longer and longer spans are
// looked for: a span that started between the second and the third of them before
// a range reaches into it only if it is at least as long as the second.
var lookbacks = []time.Duration{0, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 8 * time.Hour, maxSpanLength}

// engineQuery is the query for the spans of q; those that started before the
// range are checked again by Overlaps.
func engineQuery(tenant string, q traces.SpanQuery) columnar.Query {
	return engineQueryOf(tenant, q, &compiler{})
}

func engineQueryOf(tenant string, q traces.SpanQuery, k *compiler) columnar.Query {
	out := columnar.Query{Tenant: tenant, From: q.From, To: q.To, Filter: k.compile(q.Filter)}
	if q.ByStart {
		return out
	}
	bands := columnar.Or{columnar.TimeRange{From: q.From, To: q.To}}
	duration := intrinsicRefs[traces.Duration]
	for i := 1; i < len(lookbacks); i++ {
		near, far := int64(lookbacks[i-1]), int64(lookbacks[i])
		if q.From-far > q.From { // before the beginning of time
			break
		}
		bands = append(bands, columnar.And{
			columnar.TimeRange{From: q.From - far, To: q.From - near},
			columnar.Range{Ref: duration, Min: columnar.Int(max(near, 1))},
		})
		out.From = q.From - far
	}
	if out.Filter == nil {
		out.Filter = bands
	} else {
		out.Filter = columnar.And{bands, out.Filter}
	}
	return out
}
