package tracestest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"belfry/internal/fault"
	"belfry/traces"
)

// Store is what a trace store offers.
type Store interface {
	traces.Appender
	traces.Querier
}

// Memory is a store without files, limits or indexes. It decodes with the
// Collector's own model, so that it can be an oracle for those that do not.
type Memory struct {
	mu      sync.Mutex
	tenants map[string][]traces.Span
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{tenants: map[string][]traces.Span{}} }

// Append stores the spans with valid IDs.
func (m *Memory) Append(_ context.Context, tenant string, request []byte) (traces.AppendResult, error) {
	spans, rejected, err := Decode(request)
	if err != nil {
		return traces.AppendResult{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tenants[tenant] = append(m.tenants[tenant], spans...)
	result := traces.AppendResult{Accepted: len(spans), Rejected: rejected}
	if rejected > 0 {
		result.Reason = "invalid ID"
	}
	return result, nil
}

// Decode reads an OTLP request with the Collector's model.
func Decode(request []byte) (spans []traces.Span, rejected int, err error) {
	req := ptraceotlp.NewExportRequest()
	if err := req.UnmarshalProto(request); err != nil {
		return nil, 0, fault.Invalidf("%w", err)
	}
	for _, rs := range req.Traces().ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			resource := &traces.Resource{
				Attributes:             attributes(rs.Resource().Attributes()),
				DroppedAttributes:      rs.Resource().DroppedAttributesCount(),
				SchemaURL:              rs.SchemaUrl(),
				ScopeName:              ss.Scope().Name(),
				ScopeVersion:           ss.Scope().Version(),
				ScopeAttributes:        attributes(ss.Scope().Attributes()),
				ScopeDroppedAttributes: ss.Scope().DroppedAttributesCount(),
				ScopeSchemaURL:         ss.SchemaUrl(),
			}
			for _, s := range ss.Spans().All() {
				if s.TraceID().IsEmpty() || s.SpanID().IsEmpty() {
					rejected++
					continue
				}
				spans = append(spans, spanOf(s, resource))
			}
		}
	}
	return spans, rejected, nil
}

func spanOf(s ptrace.Span, resource *traces.Resource) traces.Span {
	out := traces.Span{
		TraceID: traces.TraceID(s.TraceID()), ID: traces.SpanID(s.SpanID()), ParentID: traces.SpanID(s.ParentSpanID()),
		Start: int64(s.StartTimestamp()), Duration: int64(s.EndTimestamp()) - int64(s.StartTimestamp()),
		Name: s.Name(), Kind: traces.SpanKind(s.Kind()), Status: traces.Status(s.Status().Code()), StatusMessage: s.Status().Message(),
		TraceState: s.TraceState().AsRaw(), Flags: s.Flags(), Attributes: attributes(s.Attributes()), Resource: resource,
		DroppedAttributes: s.DroppedAttributesCount(), DroppedEvents: s.DroppedEventsCount(), DroppedLinks: s.DroppedLinksCount(),
	}
	for _, e := range s.Events().All() {
		out.Events = append(out.Events, traces.Event{
			Time: int64(e.Timestamp()), Name: e.Name(), Attributes: unsorted(e.Attributes()), DroppedAttributes: e.DroppedAttributesCount(),
		})
	}
	for _, l := range s.Links().All() {
		out.Links = append(out.Links, traces.Link{
			TraceID: traces.TraceID(l.TraceID()), SpanID: traces.SpanID(l.SpanID()), TraceState: l.TraceState().AsRaw(),
			Attributes: unsorted(l.Attributes()), DroppedAttributes: l.DroppedAttributesCount(), Flags: l.Flags(),
		})
	}
	return out
}

// attributes returns a map's entries sorted by key, the first of each key.
func attributes(m pcommon.Map) []traces.Attribute {
	out := unsorted(m)
	slices.SortStableFunc(out, func(a, b traces.Attribute) int { return strings.Compare(a.Key, b.Key) })
	return slices.CompactFunc(out, func(a, b traces.Attribute) bool { return a.Key == b.Key })
}

func unsorted(m pcommon.Map) []traces.Attribute {
	var out []traces.Attribute
	for k, v := range m.All() {
		out = append(out, traces.Attribute{Key: k, Value: valueOf(v)})
	}
	return out
}

func valueOf(v pcommon.Value) traces.Value {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return traces.String(v.Str())
	case pcommon.ValueTypeInt:
		return traces.Int(v.Int())
	case pcommon.ValueTypeDouble:
		return traces.Float(v.Double())
	case pcommon.ValueTypeBool:
		return traces.Bool(v.Bool())
	case pcommon.ValueTypeBytes:
		return traces.Bytes(string(v.Bytes().AsRaw()))
	case pcommon.ValueTypeSlice:
		var list []traces.Value
		for _, e := range v.Slice().All() {
			list = append(list, valueOf(e))
		}
		return traces.Array(list...)
	case pcommon.ValueTypeMap:
		return traces.Map(unsorted(v.Map())...)
	}
	return traces.Value{}
}

func (m *Memory) find(tenant string, keep func(*traces.Span) bool) []traces.Span {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []traces.Span
	for i := range m.tenants[tenant] {
		if s := &m.tenants[tenant][i]; keep(s) {
			out = append(out, *s)
		}
	}
	slices.SortStableFunc(out, func(a, b traces.Span) int { return cmp.Compare(a.Start, b.Start) })
	return out
}

func inRange(s *traces.Span, q traces.SpanQuery) bool {
	if q.ByStart {
		return s.Start >= q.From && s.Start < q.To
	}
	return s.Overlaps(q.From, q.To)
}

// Trace returns the spans of one trace.
func (m *Memory) Trace(_ context.Context, tenant string, q traces.TraceQuery) (traces.Trace, error) {
	spans := m.find(tenant, func(s *traces.Span) bool {
		return s.TraceID == q.ID && (q.To == 0 || s.Overlaps(q.From, q.To))
	})
	t := traces.Trace{Spans: spans}
	if q.MaxSpans > 0 && len(spans) > q.MaxSpans {
		t.Spans, t.Stats.Cut = spans[:q.MaxSpans], "spans"
	}
	return t, nil
}

// Traces hands over the spans of several traces.
func (m *Memory) Traces(_ context.Context, tenant string, q traces.TracesQuery, visit traces.Visitor) (traces.Stats, error) {
	spans := m.find(tenant, func(s *traces.Span) bool { return slices.Contains(q.IDs, s.TraceID) })
	return m.hand(spans, visit)
}

func (m *Memory) hand(spans []traces.Span, visit traces.Visitor) (traces.Stats, error) {
	for part := range slices.Chunk(spans, 7) {
		if err := visit(part); errors.Is(err, traces.ErrStop) {
			break
		} else if err != nil {
			return traces.Stats{}, err
		}
	}
	return traces.Stats{Spans: int64(len(spans)), Matched: int64(len(spans))}, nil
}

// Scan hands spans to one visitor.
func (m *Memory) Scan(_ context.Context, tenant string, q traces.SpanQuery, newVisitor func() traces.Visitor) (traces.Stats, error) {
	spans := m.find(tenant, func(s *traces.Span) bool { return inRange(s, q) && traces.Match(q.Filter, s) })
	return m.hand(spans, newVisitor())
}

// Newest hands spans over, the newest first.
func (m *Memory) Newest(_ context.Context, tenant string, q traces.SpanQuery, visit traces.Visitor) (traces.Stats, error) {
	spans := m.find(tenant, func(s *traces.Span) bool { return inRange(s, q) && traces.Match(q.Filter, s) })
	slices.Reverse(spans)
	return m.hand(spans, visit)
}

// Names returns the names of attributes.
func (m *Memory) Names(_ context.Context, tenant string, q traces.NamesQuery) ([]traces.Names, error) {
	found := map[traces.Scope]map[string]bool{}
	add := func(scope traces.Scope, list []traces.Attribute) {
		if len(q.Scopes) > 0 && !slices.Contains(q.Scopes, scope) {
			return
		}
		for _, a := range list {
			if found[scope] == nil {
				found[scope] = map[string]bool{}
			}
			found[scope][a.Key] = true
		}
	}
	for _, s := range m.find(tenant, func(s *traces.Span) bool { return s.Overlaps(q.From, q.To) && traces.Match(q.Filter, s) }) {
		add(traces.ScopeSpan, s.Attributes)
		add(traces.ScopeResource, s.Resource.Attributes)
		add(traces.ScopeInstrumentation, s.Resource.ScopeAttributes)
		for _, e := range s.Events {
			add(traces.ScopeEvent, e.Attributes)
		}
		for _, l := range s.Links {
			add(traces.ScopeLink, l.Attributes)
		}
	}
	var out []traces.Names
	for scope, names := range found {
		list := make([]string, 0, len(names))
		for name := range names {
			list = append(list, name)
		}
		slices.Sort(list)
		out = append(out, traces.Names{Scope: scope, Names: list})
	}
	slices.SortFunc(out, func(a, b traces.Names) int { return cmp.Compare(a.Scope, b.Scope) })
	return out, nil
}

// Values counts the values of a field.
func (m *Memory) Values(_ context.Context, tenant string, q traces.ValuesQuery) ([]traces.ValueCount, traces.Stats, error) {
	index := map[string]int{}
	var out []traces.ValueCount
	for _, s := range m.find(tenant, func(s *traces.Span) bool { return s.Overlaps(q.From, q.To) && traces.Match(q.Filter, s) }) {
		s.Values(q.Field, func(v traces.Value) bool {
			key := v.Kind().String() + v.Text()
			i, known := index[key]
			if !known {
				i = len(out)
				index[key] = i
				out = append(out, traces.ValueCount{Value: v})
			}
			out[i].Spans++
			return true
		})
	}
	slices.SortStableFunc(out, func(a, b traces.ValueCount) int {
		return cmp.Or(cmp.Compare(b.Spans, a.Spans), cmp.Compare(a.Value.Text(), b.Value.Text()))
	})
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[:q.Limit]
	}
	return out, traces.Stats{}, nil
}
