package traces

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"belfry/internal/otlpwire"
)

// AppendJSON appends v as JSON: bytes in base64, numbers that JSON lacks as strings.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case KindString:
		return otlpwire.AppendJSONString(dst, []byte(v.str))
	case KindFloat:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return strconv.AppendQuote(dst, v.Text())
		}
		return append(dst, v.Text()...)
	case KindInt, KindBool:
		return append(dst, v.Text()...)
	case KindBytes:
		return otlpwire.AppendJSONString(dst, []byte(v.Text()))
	case KindArray:
		dst = append(dst, '[')
		for i := range v.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.list[i].AppendJSON(dst)
		}
		return append(dst, ']')
	case KindMap:
		dst = append(dst, '{')
		for i := range v.kvs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = otlpwire.AppendJSONString(dst, []byte(v.kvs[i].Key))
			dst = v.kvs[i].Value.AppendJSON(append(dst, ':'))
		}
		return append(dst, '}')
	}
	return append(dst, "null"...)
}

// ParseJSON reads a Value from JSON text: the order of a map's entries is kept,
// a number without fraction and exponent that fits is an Int.
func ParseJSON(text string) (Value, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	v, err := parseJSON(dec, 0)
	if err != nil {
		return Value{}, fmt.Errorf("value %.64q: %w", text, err)
	}
	return v, nil
}

func parseJSON(dec *json.Decoder, depth int) (Value, error) {
	tok, err := dec.Token()
	if err != nil {
		return Value{}, err
	}
	if depth > otlpwire.MaxDepth+1 {
		return Value{}, errors.New("nested too deeply")
	}
	switch t := tok.(type) {
	case string:
		return String(t), nil
	case bool:
		return Bool(t), nil
	case json.Number:
		if n, err := strconv.ParseInt(t.String(), 10, 64); err == nil {
			return Int(n), nil
		}
		f, err := t.Float64()
		return Float(f), err
	case json.Delim:
		if t == '[' {
			v := Value{kind: KindArray}
			for dec.More() {
				e, err := parseJSON(dec, depth+1)
				if err != nil {
					return Value{}, err
				}
				v.list = append(v.list, e)
			}
			_, err := dec.Token()
			return v, err
		}
		v := Value{kind: KindMap}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return Value{}, err
			}
			e, err := parseJSON(dec, depth+1)
			if err != nil {
				return Value{}, err
			}
			v.kvs = append(v.kvs, Attribute{Key: key.(string), Value: e})
		}
		_, err := dec.Token()
		return v, err
	}
	return Value{}, nil
}

// MarshalJSON returns v as JSON.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// UnmarshalJSON reads v from JSON.
func (v *Value) UnmarshalJSON(text []byte) (err error) {
	*v, err = ParseJSON(string(bytes.TrimSpace(text)))
	return err
}
