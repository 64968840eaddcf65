package tracestest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/grafana/regexp"

	"belfry/traces"
)

// Random makes spans and filters from a small vocabulary, so that they meet.
type Random struct{ *rand.Rand }

// NewRandom returns a generator that repeats itself for the same seed.
func NewRandom(seed uint64) *Random { return &Random{rand.New(rand.NewPCG(seed, 7))} }

func pick[T any](r *Random, list ...T) T { return list[r.IntN(len(list))] }

// Value returns a value of any kind.
func (r *Random) Value() traces.Value {
	switch r.IntN(8) {
	case 0, 1:
		return traces.String(pick(r, "a", "b", "GET", "a b", "", "ü"))
	case 2, 3:
		return traces.Int(int64(r.IntN(6) - 2))
	case 4:
		return traces.Float(pick(r, 0.5, 1, -2.25))
	case 5:
		return traces.Bool(r.IntN(2) == 0)
	case 6:
		return traces.Array(traces.String(pick(r, "a", "b")), traces.Int(int64(r.IntN(3))))
	}
	return traces.Map(traces.Attribute{Key: "k", Value: traces.String("v")})
}

func (r *Random) attributes(most int) []traces.Attribute {
	var out []traces.Attribute
	for _, key := range []string{":odd", "a", "b.c", "dé", "n"} {
		if r.IntN(5) < most {
			out = append(out, traces.Attribute{Key: key, Value: r.Value()})
		}
	}
	return out
}

// Spans returns n spans of about n/5 traces, which start within two hours from Epoch.
func (r *Random) Spans(n int) []traces.Span {
	resources := make([]*traces.Resource, 5)
	for i := range resources {
		resources[i] = &traces.Resource{
			Attributes: append(r.attributes(2), traces.Attribute{Key: "service.name", Value: traces.String("s" + strconv.Itoa(i%3))}),
			SchemaURL:  pick(r, "", "https://example.org/1"), ScopeName: pick(r, "", "lib"), ScopeVersion: pick(r, "", "1"),
			ScopeAttributes: r.attributes(1),
		}
	}
	spans := make([]traces.Span, n)
	for i := range spans {
		s := &spans[i]
		binary.BigEndian.PutUint64(s.TraceID[8:], uint64(1+r.IntN(n/5+1)))
		binary.BigEndian.PutUint64(s.ID[:], uint64(i+1))
		if r.IntN(3) > 0 {
			binary.BigEndian.PutUint64(s.ParentID[:], uint64(1+r.IntN(n)))
		}
		s.Start = Epoch + r.Int64N(2*3600e9)
		s.Duration = pick[int64](r, 0, 1, 1e6, 5e8, 61e9, 3600e9)
		s.Name = pick(r, "x", "y", "GET /", "")
		s.Kind = traces.SpanKind(r.IntN(6))
		s.Status = traces.Status(r.IntN(3))
		s.StatusMessage = pick(r, "", "", "no")
		s.TraceState = pick(r, "", "k=v")
		s.Flags = uint32(r.IntN(2) * 257)
		s.DroppedAttributes, s.DroppedEvents, s.DroppedLinks = uint32(r.IntN(2)), uint32(r.IntN(2)), uint32(r.IntN(2))
		s.Attributes = r.attributes(2)
		s.Resource = pick(r, resources...)
		for range r.IntN(3) {
			s.Events = append(s.Events, traces.Event{Time: s.Start + r.Int64N(1e9), Name: pick(r, "e", "exception"), Attributes: r.attributes(1)})
		}
		for range r.IntN(2) {
			s.Links = append(s.Links, traces.Link{TraceID: s.TraceID, SpanID: s.ID, Attributes: r.attributes(1), TraceState: pick(r, "", "l=1"), Flags: 1})
		}
	}
	return spans
}

// Field returns a field, of attributes or intrinsic.
func (r *Random) Field() traces.Field {
	name := pick(r, ":odd", "a", "b.c", "dé", "n", "service.name", "nosuch")
	switch r.IntN(9) {
	case 0, 1:
		return traces.Field{Scope: traces.ScopeSpan, Name: name}
	case 2:
		return traces.Field{Scope: traces.ScopeResource, Name: name}
	case 3:
		return traces.Field{Scope: traces.ScopeAny, Name: name}
	case 4:
		return traces.Field{Scope: pick(r, traces.ScopeEvent, traces.ScopeLink, traces.ScopeInstrumentation), Name: name}
	}
	return traces.Intrinsic(pick(r, traces.Name, traces.Duration, traces.SpanKindField, traces.StatusField, traces.StatusMessage,
		traces.TraceIDField, traces.SpanIDField, traces.ParentIDField, traces.EventName, traces.EventTimeSinceStart,
		traces.LinkTraceID, traces.LinkSpanID, traces.InstrumentationName, traces.InstrumentationVersion))
}

// scalar returns a value that a field of the vocabulary may well have.
func (r *Random) scalar(f traces.Field) traces.Value {
	if f.Scope == traces.ScopeIntrinsic {
		switch f.Name {
		case traces.Duration, traces.EventTimeSinceStart:
			return traces.Int(pick[int64](r, 0, 1e6, 5e8, 61e9))
		case traces.SpanKindField, traces.StatusField:
			return traces.Int(int64(r.IntN(4)))
		case traces.TraceIDField, traces.LinkTraceID:
			return traces.String(fmt.Sprintf("%032x", 1+r.IntN(20)))
		case traces.SpanIDField, traces.ParentIDField, traces.LinkSpanID:
			return traces.String(fmt.Sprintf("%016x", 1+r.IntN(20)))
		}
		return traces.String(pick(r, "x", "y", "no", "lib", "1", "e", "exception"))
	}
	for {
		if v := r.Value(); v.Kind() != traces.KindArray && v.Kind() != traces.KindMap {
			return v
		}
	}
}

// Filter returns a filter of limited depth.
func (r *Random) Filter(depth int) traces.Filter {
	if depth > 0 && r.IntN(2) == 0 {
		parts := []traces.Filter{r.Filter(depth - 1), r.Filter(depth - 1)}
		if r.IntN(2) == 0 {
			return traces.And(parts)
		}
		return traces.Or(parts)
	}
	f := r.Field()
	switch r.IntN(6) {
	case 0:
		return traces.Exists{Field: f, Negate: r.IntN(2) == 0}
	case 1:
		return traces.Regexp{Field: f, Re: regexp.MustCompile(pick(r, "^(?s:a|x)$", "^(?s:.*e.*)$", "^(?s:s[01])$")), Negate: r.IntN(2) == 0}
	}
	return traces.Compare{Field: f, Op: traces.Op(r.IntN(6)), Value: r.scalar(f)}
}
