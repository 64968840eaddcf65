package store

import (
	"context"

	"belfry/internal/columnar"
	"belfry/internal/columnar/keeper"
	"belfry/internal/deletion"
	"belfry/internal/fault"
	"belfry/traces"
)

// Delete implements traces.Deleter.
func (s *Store) Delete(ctx context.Context, r traces.DeleteRequest) (deletion.Deletion, error) {
	filter, err := exactFilter(r.Filter)
	if err != nil {
		return deletion.Deletion{}, err
	}
	d, err := s.db.Delete(ctx, columnar.DeletionRequest{
		Tenant: r.Tenant, From: r.From, To: r.To, Filter: filter, Label: r.Label, Delay: r.Delay,
	})
	return keeper.Of(d), err
}

// exactFilter turns a filter of the contract into one of the engine that means
// the same, where the compiler may let more rows through. What the engine
// cannot decide by itself is refused, and so is what would delete by what an
// attribute is not: arrays and values of other types are too easily forgotten.
func exactFilter(f traces.Filter) (columnar.Filter, error) {
	switch f := f.(type) {
	case nil:
		return nil, nil //nolint:nilnil // a nil filter is every row
	case traces.And:
		parts, err := exactFilters(f)
		return columnar.And(parts), err
	case traces.Or:
		parts, err := exactFilters(f)
		return columnar.Or(parts), err
	case traces.Exists:
		if f.Negate {
			return nil, fault.Invalidf("%s = nil: a deletion names what is to go, not what is missing", f.Field.Name)
		}
		return exactRefs(f.Field, func(r columnar.Ref) (columnar.Filter, error) { return columnar.Exists{Ref: r}, nil })
	case traces.Regexp:
		if f.Negate {
			return nil, fault.Invalidf("%s !~: a deletion names what is to go, not what is to stay", f.Field.Name)
		}
		return exactRefs(f.Field, func(r columnar.Ref) (columnar.Filter, error) {
			if r.Kind == columnar.KindID {
				return nil, fault.Invalidf("%s is an ID, and has no text to be matched", f.Field.Name)
			}
			r.Kind = columnar.KindString
			return columnar.Regexp{Ref: r, Re: f.Re}, nil
		})
	case traces.Compare:
		return exactRefs(f.Field, func(r columnar.Ref) (columnar.Filter, error) { return exactComparison(r, f) })
	}
	return nil, fault.Invalidf("%T is not a condition of a deletion", f)
}

func exactFilters(list []traces.Filter) ([]columnar.Filter, error) {
	out := make([]columnar.Filter, 0, len(list))
	for _, f := range list {
		c, err := exactFilter(f)
		if err != nil {
			return nil, err
		}
		if c != nil {
			out = append(out, c)
		}
	}
	return out, nil
}

// exactRefs applies a condition to the column that a field is in. A field that
// the span may have or else its resource is the resource's only where the span
// has none.
func exactRefs(f traces.Field, condition func(columnar.Ref) (columnar.Filter, error)) (columnar.Filter, error) {
	refs := refsOf(f)
	if len(refs) == 0 {
		return nil, fault.Invalidf("%s %s: a deletion cannot be decided by it", f.Scope, f.Name)
	}
	own, err := condition(refs[0])
	if err != nil || len(refs) == 1 {
		return own, err
	}
	inherited, err := condition(refs[1])
	if err != nil {
		return nil, err
	}
	return columnar.Or{own, columnar.And{columnar.Not{Of: columnar.Exists{Ref: refs[0]}}, inherited}}, nil
}

func exactComparison(r columnar.Ref, f traces.Compare) (columnar.Filter, error) {
	if r.Kind == columnar.KindID {
		return exactID(r, f)
	}
	v, ok := engineValue(f.Value)
	if !ok {
		return nil, fault.Invalidf("%s: a deletion cannot compare with %s", f.Field.Name, f.Value.Kind())
	}
	switch f.Op {
	case traces.OpEqual:
		return columnar.Equal{Ref: r, Value: v}, nil
	case traces.OpNotEqual:
		return nil, fault.Invalidf("%s !=: a deletion names what is to go, not what is to stay", f.Field.Name)
	case traces.OpLess:
		return columnar.Range{Ref: r, Max: v, ExcludeMax: true}, nil
	case traces.OpLessEqual:
		return columnar.Range{Ref: r, Max: v}, nil
	case traces.OpGreater:
		return columnar.Range{Ref: r, Min: v, ExcludeMin: true}, nil
	}
	return columnar.Range{Ref: r, Min: v}, nil
}

func exactID(r columnar.Ref, f traces.Compare) (columnar.Filter, error) {
	if f.Op != traces.OpEqual {
		return nil, fault.Invalidf("%s: an ID is equal to another or not", f.Field.Name)
	}
	id, err := traces.ParseTraceID(f.Value.Str())
	if err != nil {
		return nil, err
	}
	if f.Field.Name == traces.TraceIDField {
		return columnar.Equal{Ref: r, Value: columnar.ID(id[:])}, nil
	}
	return columnar.Equal{Ref: r, Value: columnar.ID(id[8:])}, nil
}
