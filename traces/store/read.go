package store

import (
	"maps"
	"slices"

	"belfry/internal/columnar"
	"belfry/traces"
)

// wanted says which columns a query's fields need.
type wanted struct {
	all        bool
	name       bool
	kind       bool
	status     bool
	message    bool
	events     bool
	links      bool
	attributes map[string]bool // by column
}

func wantedOf(fields []traces.Field) *wanted {
	w := &wanted{all: fields == nil, attributes: map[string]bool{}}
	for _, f := range fields {
		switch f.Scope {
		case traces.ScopeSpan, traces.ScopeAny:
			w.attributes[attributeColumn(f.Name)] = true
		case traces.ScopeEvent:
			w.events = true
		case traces.ScopeLink:
			w.links = true
		case traces.ScopeIntrinsic:
			switch f.Name {
			case traces.Name:
				w.name = true
			case traces.SpanKindField:
				w.kind = true
			case traces.StatusField:
				w.status = true
			case traces.StatusMessage:
				w.message = true
			case traces.EventName, traces.EventTimeSinceStart:
				w.events = true
			case traces.LinkTraceID, traces.LinkSpanID:
				w.links = true
			}
		}
	}
	return w
}

// refs are the columns that are wanted, for Select.
func (w *wanted) refs() []columnar.Ref {
	if w.all {
		return nil
	}
	names := []string{nameTraceID, nameSpanID, nameParentID, nameDuration}
	for _, c := range []struct {
		wanted bool
		name   string
	}{
		{w.name, nameName}, {w.kind, nameKind}, {w.status, nameStatus}, {w.message, nameStatusMessage},
		{w.events, nameEvents}, {w.links, nameLinks},
	} {
		if c.wanted {
			names = append(names, c.name)
		}
	}
	refs := make([]columnar.Ref, 0, len(names)+len(w.attributes))
	for _, n := range names {
		refs = append(refs, columnar.RowRef(n))
	}
	for n := range w.attributes {
		refs = append(refs, columnar.RowRef(n))
	}
	return refs
}

func resourceOf(s *columnar.Stream) *traces.Resource {
	out := &traces.Resource{}
	for _, f := range s.Fields { // sorted by name, and so are the attributes
		switch f.Name {
		case fieldScopeName:
			out.ScopeName = f.Value.Str()
			continue
		case fieldScopeVersion:
			out.ScopeVersion = f.Value.Str()
			continue
		case fieldScopeSchemaURL:
			out.ScopeSchemaURL = f.Value.Str()
			continue
		case fieldScopeDropped:
			out.ScopeDroppedAttributes = uint32(f.Value.Int())
			continue
		case fieldResourceSchemaURL:
			out.SchemaURL = f.Value.Str()
			continue
		case fieldResourceDropped:
			out.DroppedAttributes = uint32(f.Value.Int())
			continue
		}
		if key, ok := cutPrefix(f.Name, resourcePrefix); ok {
			out.Attributes = appendUnique(out.Attributes, key, f.Value)
		} else if key, ok := cutPrefix(f.Name, scopePrefix); ok {
			out.ScopeAttributes = appendUnique(out.ScopeAttributes, key, f.Value)
		}
	}
	return out
}

func cutPrefix(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):], true
	}
	return "", false
}

func appendUnique(list []traces.Attribute, key string, v columnar.Value) []traces.Attribute {
	if n := len(list); n > 0 && list[n-1].Key == key {
		return list
	}
	return append(list, traces.Attribute{Key: key, Value: valueOf(v)})
}

// reader turns the rows of blocks into spans. One goroutine uses it.
type reader struct {
	wanted    *wanted
	resources *resources
	spans     []traces.Span
}

// read returns the spans of a block; the slice is good until the next call.
func (r *reader) read(b *columnar.Block) ([]traces.Span, error) {
	n := b.Len()
	if cap(r.spans) < n {
		r.spans = make([]traces.Span, n)
	}
	r.spans = r.spans[:n]
	clear(r.spans)
	for i, t := range b.Times() {
		r.spans[i].Start = t
	}
	for stream, run := range b.StreamRuns() {
		resource := r.resources.of(stream)
		for i := run[0]; i < run[1]; i++ {
			r.spans[i].Resource = resource
		}
	}
	if err := r.readFixed(b); err != nil {
		return nil, err
	}
	if err := r.readAttributes(b); err != nil {
		return nil, err
	}
	return r.spans, nil
}

// eachValue calls set for the rows that have a value of a column.
func (r *reader) eachValue(b *columnar.Block, name string, kind columnar.Kind, set func(s *traces.Span, v *columnar.Vector, i int) error) error {
	v, err := b.Column(columnar.ColumnKey{Name: name, Kind: kind})
	if err != nil || v == nil {
		return err
	}
	for i := range r.spans {
		if v.Has(i) {
			if err := set(&r.spans[i], v, i); err != nil {
				return err
			}
		}
	}
	return nil
}

type setter = func(s *traces.Span, v *columnar.Vector, i int) error

func (r *reader) readFixed(b *columnar.Block) error {
	w := r.wanted
	for _, c := range []struct {
		wanted bool
		name   string
		kind   columnar.Kind
		set    setter
	}{
		{true, nameTraceID, columnar.KindID, func(s *traces.Span, v *columnar.Vector, i int) error { copyID(s.TraceID[:], v.Bytes(i)); return nil }},
		{true, nameSpanID, columnar.KindID, func(s *traces.Span, v *columnar.Vector, i int) error { copyID(s.ID[:], v.Bytes(i)); return nil }},
		{true, nameParentID, columnar.KindID, func(s *traces.Span, v *columnar.Vector, i int) error { copyID(s.ParentID[:], v.Bytes(i)); return nil }},
		{true, nameDuration, columnar.KindInt, func(s *traces.Span, v *columnar.Vector, i int) error { s.Duration = v.Int(i); return nil }},
		{w.all || w.kind, nameKind, columnar.KindInt, func(s *traces.Span, v *columnar.Vector, i int) error { s.Kind = traces.SpanKind(v.Int(i)); return nil }},
		{w.all || w.status, nameStatus, columnar.KindInt, func(s *traces.Span, v *columnar.Vector, i int) error { s.Status = traces.Status(v.Int(i)); return nil }},
		{w.all || w.name, nameName, columnar.KindString, texts(func(s *traces.Span) *string { return &s.Name })},
		{w.all || w.message, nameStatusMessage, columnar.KindString, texts(func(s *traces.Span) *string { return &s.StatusMessage })},
		{w.all, nameTraceState, columnar.KindString, texts(func(s *traces.Span) *string { return &s.TraceState })},
		{w.all, nameFlags, columnar.KindInt, func(s *traces.Span, v *columnar.Vector, i int) error { s.Flags = uint32(v.Int(i)); return nil }},
		{w.all, nameDroppedAttributes, columnar.KindInt, func(s *traces.Span, v *columnar.Vector, i int) error {
			s.DroppedAttributes = uint32(v.Int(i))
			return nil
		}},
		{w.all, nameDroppedEvents, columnar.KindInt, func(s *traces.Span, v *columnar.Vector, i int) error { s.DroppedEvents = uint32(v.Int(i)); return nil }},
		{w.all, nameDroppedLinks, columnar.KindInt, func(s *traces.Span, v *columnar.Vector, i int) error { s.DroppedLinks = uint32(v.Int(i)); return nil }},
		{w.all || w.events, nameEvents, columnar.KindBytes, func(s *traces.Span, v *columnar.Vector, i int) (err error) {
			s.Events, err = parseEvents(v.Bytes(i))
			return err
		}},
		{w.all || w.links, nameLinks, columnar.KindBytes, func(s *traces.Span, v *columnar.Vector, i int) (err error) {
			s.Links, err = parseLinks(v.Bytes(i))
			return err
		}},
	} {
		if !c.wanted {
			continue
		}
		if err := r.eachValue(b, c.name, c.kind, c.set); err != nil {
			return err
		}
	}
	return nil
}

// texts sets a text; those of a dictionary are copied once.
func texts(field func(s *traces.Span) *string) setter {
	var dict []string
	return func(s *traces.Span, v *columnar.Vector, i int) error {
		n := v.DictLen()
		if n == 0 {
			*field(s) = string(v.Bytes(i))
			return nil
		}
		if dict == nil {
			dict = make([]string, n)
		}
		id := v.DictID(i)
		if dict[id] == "" {
			dict[id] = string(v.DictBytes(id))
		}
		*field(s) = dict[id]
		return nil
	}
}

type attributeVector struct {
	key    string
	vector *columnar.Vector
	dict   []traces.Value // of dictionary entries, as far as seen
}

// readAttributes fills the spans' attributes, all from one piece of memory.
func (r *reader) readAttributes(b *columnar.Block) error {
	if !r.wanted.all && len(r.wanted.attributes) == 0 {
		return nil
	}
	keys, err := r.attributes(b)
	if err != nil {
		return err
	}
	var columns []attributeVector
	total := 0
	for _, key := range keys { // sorted by name, and escaping keeps that order
		name, isAttribute := attributeKey(key.Name)
		if !isAttribute {
			continue
		}
		v, err := b.Column(key)
		if err != nil {
			return err
		}
		if v == nil || v.Count() == 0 {
			continue
		}
		total += v.Count()
		columns = append(columns, attributeVector{key: name, vector: v, dict: make([]traces.Value, v.DictLen())})
	}
	arena := make([]traces.Attribute, 0, total)
	for i := range r.spans {
		start := len(arena)
		for c := range columns {
			col := &columns[c]
			if !col.vector.Has(i) || len(arena) > start && arena[len(arena)-1].Key == col.key {
				continue
			}
			arena = append(arena, traces.Attribute{Key: col.key, Value: col.value(i)})
		}
		if len(arena) > start {
			r.spans[i].Attributes = arena[start:len(arena):len(arena)]
		}
	}
	return nil
}

// attributes returns the columns that may hold wanted attributes, sorted.
func (r *reader) attributes(b *columnar.Block) ([]columnar.ColumnKey, error) {
	if r.wanted.all {
		return b.Columns()
	}
	names := slices.Sorted(maps.Keys(r.wanted.attributes))
	keys := make([]columnar.ColumnKey, 0, int(columnar.KindJSON)*len(names))
	for _, name := range names {
		for kind := columnar.KindString; kind <= columnar.KindJSON; kind++ {
			keys = append(keys, columnar.ColumnKey{Name: name, Kind: kind})
		}
	}
	return keys, nil
}

func (c *attributeVector) value(i int) traces.Value {
	if len(c.dict) == 0 {
		return valueOf(c.vector.Value(i))
	}
	id := c.vector.DictID(i)
	if c.dict[id].IsNil() {
		c.dict[id] = valueOf(c.vector.Value(i))
	}
	return c.dict[id]
}

// spanOf turns a row of Select into a span.
func spanOf(row *columnar.Row, resources *resources) (traces.Span, error) {
	s := traces.Span{Start: row.Time, Resource: resources.of(row.Stream)}
	var err error
	for i := range row.Fields {
		f := &row.Fields[i]
		if key, ok := attributeKey(f.Name); ok {
			s.Attributes = appendUnique(s.Attributes, key, f.Value)
			continue
		}
		switch f.Name {
		case nameTraceID:
			copyID(s.TraceID[:], []byte(f.Value.Str()))
		case nameSpanID:
			copyID(s.ID[:], []byte(f.Value.Str()))
		case nameParentID:
			copyID(s.ParentID[:], []byte(f.Value.Str()))
		case nameDuration:
			s.Duration = f.Value.Int()
		case nameKind:
			s.Kind = traces.SpanKind(f.Value.Int())
		case nameStatus:
			s.Status = traces.Status(f.Value.Int())
		case nameName:
			s.Name = f.Value.Str()
		case nameStatusMessage:
			s.StatusMessage = f.Value.Str()
		case nameTraceState:
			s.TraceState = f.Value.Str()
		case nameFlags:
			s.Flags = uint32(f.Value.Int())
		case nameDroppedAttributes:
			s.DroppedAttributes = uint32(f.Value.Int())
		case nameDroppedEvents:
			s.DroppedEvents = uint32(f.Value.Int())
		case nameDroppedLinks:
			s.DroppedLinks = uint32(f.Value.Int())
		case nameEvents:
			s.Events, err = parseEvents([]byte(f.Value.Str()))
		case nameLinks:
			s.Links, err = parseLinks([]byte(f.Value.Str()))
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}
