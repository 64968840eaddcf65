package store

import (
	"belfry/internal/columnar"
	"belfry/traces"
)

// fieldOf returns the field that a condition is about.
func fieldOf(f traces.Filter) (traces.Field, bool) {
	switch f := f.(type) {
	case traces.Compare:
		return f.Field, true
	case traces.Regexp:
		return f.Field, true
	case traces.Exists:
		return f.Field, true
	}
	return traces.Field{}, false
}

// placeColumns are the derived columns of a span's place in its trace, with the
// value of spans that have none stored.
var placeColumns = map[string]struct {
	name    string
	missing int64
	always  bool // every joined span has a value stored
}{
	traces.ChildCount:      {nameChildCount, 0, false},
	traces.NestedSetParent: {nameParentLeft, -1, false},
	traces.NestedSetLeft:   {nameLeft, 0, true},
	traces.NestedSetRight:  {nameRight, 0, true},
	traces.TraceOrdinal:    {nameOrdinal, 0, true},
}

// compileTree compiles a condition that the span alone does not decide; nil if it
// cannot be decided here.
func (k *compiler) compileTree(f traces.Filter, field traces.Field) columnar.Filter {
	if field.OfTrace() {
		if k.table == nil {
			return nil
		}
		return k.table.filter(f, field)
	}
	if !k.joined {
		return nil
	}
	if field.Name == traces.SelfTime {
		return compileSelfTime(f)
	}
	c := placeColumns[field.Name]
	ref := columnar.Ref{Name: c.name, Kind: columnar.KindInt}
	compare, ok := f.(traces.Compare)
	if !ok {
		return nil
	}
	stored := compareRef(ref, compare)
	if c.always || !traces.MatchValue(f, traces.Int(c.missing)) {
		return stored
	}
	return columnar.Or{stored, columnar.Not{Of: columnar.Exists{Ref: ref}}}
}

// compileSelfTime compiles a condition on self time, which is stored of spans with children
// and the duration of others.
func compileSelfTime(f traces.Filter) columnar.Filter {
	compare, ok := f.(traces.Compare)
	if !ok {
		return nil
	}
	ref := func(name string) columnar.Ref { return columnar.Ref{Name: name, Kind: columnar.KindInt} }
	alone := columnar.Not{Of: columnar.Exists{Ref: ref(nameChildCount)}}
	return columnar.Or{compareRef(ref(nameSelfTime), compare), columnar.And{alone, compareRef(ref(nameDuration), compare)}}
}
