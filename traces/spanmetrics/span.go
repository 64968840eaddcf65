package spanmetrics

import (
	"math"

	"belfry/internal/otlpwire"
	"belfry/traces"
)

// span is what is counted of a span. Its bytes belong to the request.
type span struct {
	traceID, id, parentID []byte
	name                  []byte
	kind                  traces.SpanKind
	status                traces.Status
	seconds               float64
	peer                  peer
}

// peer is the other side of a client's span, as far as its attributes tell.
type peer struct {
	service, dbName, dbSystem []byte
}

// walk calls visit for the valid spans of a request with their service. The span is another one after that.
func walk(request []byte, visit func(service string, s *span)) error {
	var walker otlpwire.Walker
	var s span
	service, found := "", false
	return walker.Walk(request, func(g *otlpwire.Group) error {
		service, found = "", false
		return otlpwire.Attributes(g.Resource, otlpwire.ResourceAttributes, func(key []byte, v otlpwire.AnyValue) error {
			if !found && string(key) == "service.name" {
				service, found = string(v.Raw), true
			}
			return nil
		})
	}, func(message []byte) error {
		err := s.parse(message)
		if err == nil && len(s.traceID) == 16 && len(s.id) == 8 {
			visit(service, &s)
		}
		return err
	})
}

// parse reads a span's message.
func (s *span) parse(message []byte) error {
	*s = span{}
	var start, end uint64
	for b := message; len(b) > 0; {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
		b = rest
		var n uint64
		switch f.Number {
		case 1:
			s.traceID, err = f.AsBytes()
		case 2:
			s.id, err = f.AsBytes()
		case 4:
			s.parentID, err = f.AsBytes()
		case 5:
			s.name, err = f.AsBytes()
		case 6:
			n, err = f.AsVarint()
			s.kind = traces.SpanKind(n)
		case 7:
			start, err = f.AsFixed64()
		case 8:
			end, err = f.AsFixed64()
		case 15:
			s.status, err = parseStatus(&f)
		}
		if err != nil {
			return err
		}
	}
	if end > start && end <= math.MaxInt64 {
		s.seconds = float64(end-start) / 1e9
	}
	if s.kind == traces.SpanKindClient || s.kind == traces.SpanKindProducer {
		return otlpwire.Attributes(message, otlpwire.SpanAttributes, s.peer.attribute)
	}
	return nil
}

func (p *peer) attribute(key []byte, v otlpwire.AnyValue) error {
	if v.Kind != otlpwire.KindString {
		return nil
	}
	switch string(key) {
	case "peer.service":
		p.service = v.Raw
	case "db.name", "db.namespace":
		p.dbName = v.Raw
	case "db.system", "db.system.name":
		p.dbSystem = v.Raw
	}
	return nil
}

func parseStatus(f *otlpwire.Field) (traces.Status, error) {
	message, err := f.AsBytes()
	if err != nil {
		return 0, err
	}
	status := traces.StatusUnset
	for len(message) > 0 {
		f, rest, err := otlpwire.Next(message)
		if err != nil {
			return 0, err
		}
		message = rest
		if f.Number == 3 {
			n, err := f.AsVarint()
			if err != nil {
				return 0, err
			}
			status = traces.Status(n)
		}
	}
	return status, nil
}
