package store

import (
	"belfry/internal/otlpwire"
	"belfry/traces"
)

// parseEvents reads what the decoder kept of a span's events.
func parseEvents(raw []byte) ([]traces.Event, error) {
	var out []traces.Event
	err := eachMessage(raw, func(message []byte) error {
		e, err := parseEvent(message)
		out = append(out, e)
		return err
	})
	return out, err
}

// parseLinks reads what the decoder kept of a span's links.
func parseLinks(raw []byte) ([]traces.Link, error) {
	var out []traces.Link
	err := eachMessage(raw, func(message []byte) error {
		l, err := parseLink(message)
		out = append(out, l)
		return err
	})
	return out, err
}

func eachMessage(raw []byte, yield func(message []byte) error) error {
	for len(raw) > 0 {
		f, rest, err := otlpwire.Next(raw)
		if err != nil {
			return err
		}
		raw = rest
		message, err := f.AsBytes()
		if err != nil {
			return err
		}
		if err := yield(message); err != nil {
			return err
		}
	}
	return nil
}

func text(f *otlpwire.Field) (string, error) {
	raw, err := f.AsBytes()
	return string(otlpwire.Text(raw, nil)), err
}

func attributeOf(key []byte, v otlpwire.AnyValue) (traces.Attribute, error) {
	value, err := traces.FromWire(v)
	return traces.Attribute{Key: string(otlpwire.Text(key, nil)), Value: value}, err
}

func appendAttribute(list []traces.Attribute, f *otlpwire.Field) ([]traces.Attribute, error) {
	raw, err := f.AsBytes()
	if err != nil {
		return list, err
	}
	key, v, err := otlpwire.ParseKeyValue(raw)
	if err != nil {
		return list, err
	}
	a, err := attributeOf(key, v)
	return append(list, a), err
}

func parseEvent(message []byte) (e traces.Event, err error) {
	for len(message) > 0 {
		f, rest, err := otlpwire.Next(message)
		if err != nil {
			return e, err
		}
		message = rest
		var n uint64
		switch f.Number {
		case 1:
			n, err = f.AsFixed64()
			e.Time = int64(n)
		case 2:
			e.Name, err = text(&f)
		case eventAttributes:
			e.Attributes, err = appendAttribute(e.Attributes, &f)
		case 4:
			n, err = f.AsVarint()
			e.DroppedAttributes = uint32(n)
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

func parseLink(message []byte) (l traces.Link, err error) {
	for len(message) > 0 {
		f, rest, err := otlpwire.Next(message)
		if err != nil {
			return l, err
		}
		message = rest
		var n uint64
		var raw []byte
		switch f.Number {
		case 1:
			raw, err = f.AsBytes()
			copyID(l.TraceID[:], raw)
		case 2:
			raw, err = f.AsBytes()
			copyID(l.SpanID[:], raw)
		case 3:
			l.TraceState, err = text(&f)
		case linkAttributes:
			l.Attributes, err = appendAttribute(l.Attributes, &f)
		case 5:
			n, err = f.AsVarint()
			l.DroppedAttributes = uint32(n)
		case 6:
			l.Flags, err = f.AsFixed32()
		}
		if err != nil {
			return l, err
		}
	}
	return l, nil
}

// copyID takes an ID of the right length; a link with another one points nowhere.
func copyID(dst, src []byte) {
	if len(src) == len(dst) {
		copy(dst, src)
	}
}

// checkEvent reports what parseEvent would fail on, and builds nothing.
func checkEvent(message []byte) error {
	for len(message) > 0 {
		f, rest, err := otlpwire.Next(message)
		if err != nil {
			return err
		}
		message = rest
		switch f.Number {
		case 1:
			_, err = f.AsFixed64()
		case 2:
			_, err = f.AsBytes()
		case eventAttributes:
			err = checkAttribute(&f)
		case 4:
			_, err = f.AsVarint()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkLink(message []byte) error {
	for len(message) > 0 {
		f, rest, err := otlpwire.Next(message)
		if err != nil {
			return err
		}
		message = rest
		switch f.Number {
		case 1, 2, 3:
			_, err = f.AsBytes()
		case linkAttributes:
			err = checkAttribute(&f)
		case 5:
			_, err = f.AsVarint()
		case 6:
			_, err = f.AsFixed32()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkAttribute(f *otlpwire.Field) error {
	raw, err := f.AsBytes()
	if err != nil {
		return err
	}
	_, v, err := otlpwire.ParseKeyValue(raw)
	if err != nil {
		return err
	}
	return checkValue(v, 0)
}

func checkValue(v otlpwire.AnyValue, depth int) error {
	if depth > otlpwire.MaxDepth {
		return otlpwire.ErrTooDeep
	}
	switch v.Kind {
	case otlpwire.KindArray:
		return v.Elements(func(e otlpwire.AnyValue) error { return checkValue(e, depth+1) })
	case otlpwire.KindMap:
		return v.Entries(func(_ []byte, e otlpwire.AnyValue) error { return checkValue(e, depth+1) })
	}
	return nil
}
