package memstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"belfry/internal/otlpwire"
	"belfry/logs"
	"belfry/logs/internal/record"
)

// Options configure a Store; the zero value will do.
type Options struct {
	MaxAge    time.Duration // 0: none
	MaxFuture time.Duration // 1 h
	Now       func() time.Time
}

// Store is a logs store. It is safe for concurrent use.
type Store struct {
	o       Options
	mu      sync.RWMutex
	tenants map[string]*tenantData
}

type tenantData struct {
	streams   map[logs.StreamID]*logs.Stream
	entries   []logs.Entry // by arrival
	types     map[string]logs.FieldType
	deletions []*accepted // by ID
}

var _ logs.Store = (*Store)(nil)

// New returns an empty Store.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{o: o, tenants: map[string]*tenantData{}}
}

// Append implements logs.Appender.
func (s *Store) Append(_ context.Context, tenant string, request []byte) (logs.AppendResult, error) {
	b := &batch{types: map[string]logs.FieldType{}}
	d := record.NewDecoder(record.Bounds{MaxAge: s.o.MaxAge, MaxFuture: s.o.MaxFuture})
	if err := d.Decode(request, s.o.Now(), b); err != nil {
		return logs.AppendResult{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenant]
	if t == nil {
		t = &tenantData{streams: map[logs.StreamID]*logs.Stream{}, types: map[string]logs.FieldType{}}
		s.tenants[tenant] = t
	}
	for i := range b.entries {
		e := &b.entries[i]
		if known, ok := t.streams[e.Stream.ID]; ok {
			e.Stream = known
		}
		t.streams[e.Stream.ID] = e.Stream
	}
	t.entries = append(t.entries, b.entries...)
	maps.Copy(t.types, b.types)
	return logs.AppendResult{Accepted: len(b.entries), Rejected: b.rejected, Reason: b.reason}, nil
}

// batch collects the entries of a request.
type batch struct {
	stream   *logs.Stream
	entries  []logs.Entry
	types    map[string]logs.FieldType
	rejected int
	reason   string
}

func (b *batch) Group(g *otlpwire.Group) error {
	parsed, err := record.ParseStream(g)
	if err != nil {
		return err
	}
	f := fieldSet{labels: parsed.Labels, types: b.types}
	f.add(logs.FieldScopeName, string(otlpwire.Text(parsed.ScopeName, nil)), logs.TypeString)
	f.add(logs.FieldScopeVersion, string(otlpwire.Text(parsed.ScopeVersion, nil)), logs.TypeString)
	for _, attrs := range [][]record.Attr{parsed.Resource, parsed.Scope} {
		if err := f.addAttributes(attrs); err != nil {
			return err
		}
	}
	b.stream = &logs.Stream{Labels: parsed.Labels, Metadata: f.sorted()}
	b.stream.ID = streamID(b.stream)
	return nil
}

func streamID(s *logs.Stream) (id logs.StreamID) {
	h := sha256.New()
	for _, list := range [][]logs.Label{s.Labels, s.Metadata} {
		for _, l := range list {
			h.Write([]byte(strconv.Quote(l.Name) + strconv.Quote(l.Value)))
		}
		h.Write([]byte{0})
	}
	copy(id[:], h.Sum(nil))
	return id
}

func (b *batch) Record(r *record.Record) string {
	f := fieldSet{labels: b.stream.Labels, types: b.types}
	if r.SeverityNumber != 0 {
		f.add(logs.FieldSeverityNumber, strconv.Itoa(int(r.SeverityNumber)), logs.TypeInt)
	}
	f.add(logs.FieldSeverityText, string(otlpwire.Text(r.SeverityText, nil)), logs.TypeString)
	f.add(logs.FieldDetectedLevel, record.Level(r), logs.TypeString)
	if r.Observed != 0 {
		f.add(logs.FieldObservedTime, strconv.FormatInt(r.Observed, 10), logs.TypeInt)
	}
	f.add(logs.FieldTraceID, hex.EncodeToString(r.TraceID), logs.TypeString)
	f.add(logs.FieldSpanID, hex.EncodeToString(r.SpanID), logs.TypeString)
	if r.Flags != 0 {
		f.add(logs.FieldFlags, strconv.Itoa(int(r.Flags)), logs.TypeInt)
	}
	f.add(logs.FieldEventName, string(otlpwire.Text(r.EventName, nil)), logs.TypeString)
	if r.Dropped != 0 {
		f.add(logs.FieldDroppedAttrCount, strconv.Itoa(int(r.Dropped)), logs.TypeInt)
	}
	attrs := make([]record.Attr, 0, len(r.Attributes))
	for _, a := range r.Attributes {
		if !record.IsEmpty(&a.Value) {
			attrs = append(attrs, record.Attr{Key: otlpwire.Text(a.Key, nil), Value: a.Value})
		}
	}
	if f.addAttributes(record.SortAttributes(attrs)) != nil {
		return record.ReasonDepth
	}
	line, err := record.AppendText(nil, &r.Body)
	if err != nil {
		return record.ReasonDepth
	}
	b.entries = append(b.entries, logs.Entry{Time: r.Time, Stream: b.stream, Line: string(line), Metadata: f.sorted()})
	return ""
}

func (b *batch) Reject(reason string) {
	b.rejected++
	if b.reason == "" {
		b.reason = reason
	}
}

// fieldSet collects metadata: of one name the first counts, and names of labels
// get the suffix.
type fieldSet struct {
	labels []logs.Label
	list   []logs.Label
	types  map[string]logs.FieldType
}

func (f *fieldSet) add(name, value string, t logs.FieldType) {
	if logs.Lookup(f.labels, name) != "" {
		name += logs.ExtractedSuffix
	}
	if value == "" || logs.Lookup(f.labels, name) != "" || logs.Lookup(f.list, name) != "" {
		return
	}
	f.list = append(f.list, logs.Label{Name: name, Value: value})
	f.types[name] = t
}

func (f *fieldSet) addAttributes(attrs []record.Attr) error {
	for i := range attrs {
		text, err := record.AppendText(nil, &attrs[i].Value)
		if err != nil {
			return err
		}
		f.add(logs.LabelName(string(attrs[i].Key)), string(text), typeOf(attrs[i].Value.Kind))
	}
	return nil
}

func (f *fieldSet) sorted() []logs.Label {
	slices.SortFunc(f.list, func(a, b logs.Label) int { return cmp.Compare(a.Name, b.Name) })
	return f.list
}

func typeOf(k otlpwire.Kind) logs.FieldType {
	switch k {
	case otlpwire.KindInt:
		return logs.TypeInt
	case otlpwire.KindDouble:
		return logs.TypeFloat
	case otlpwire.KindBool:
		return logs.TypeBool
	case otlpwire.KindBytes:
		return logs.TypeBytes
	case otlpwire.KindArray, otlpwire.KindMap:
		return logs.TypeJSON
	}
	return logs.TypeString
}
