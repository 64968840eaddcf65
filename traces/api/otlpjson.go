package api

import (
	"encoding/base64"
	"strconv"

	"belfry/traces"
)

// keyValue is an OTLP KeyValue as JSON.
type keyValue struct {
	Key   string   `json:"key"`
	Value anyValue `json:"value"`
}

// anyValue is an OTLP AnyValue as JSON.
type anyValue struct {
	String *string     `json:"stringValue,omitempty"`
	Int    *string     `json:"intValue,omitempty"` // 64-bit integers are strings in protobuf's JSON
	Double *float64    `json:"doubleValue,omitempty"`
	Bool   *bool       `json:"boolValue,omitempty"`
	Bytes  *string     `json:"bytesValue,omitempty"`
	Array  *arrayValue `json:"arrayValue,omitempty"`
	Map    *kvList     `json:"kvlistValue,omitempty"`
}

type arrayValue struct {
	Values []anyValue `json:"values"`
}

type kvList struct {
	Values []keyValue `json:"values"`
}

func anyValueOf(v traces.Value) anyValue {
	switch v.Kind() {
	case traces.KindString:
		return anyValue{String: new(v.Str())}
	case traces.KindInt:
		return anyValue{Int: new(strconv.FormatInt(v.Int(), 10))}
	case traces.KindFloat:
		return anyValue{Double: new(v.Float())}
	case traces.KindBool:
		return anyValue{Bool: new(v.Bool())}
	case traces.KindBytes:
		return anyValue{Bytes: new(base64.StdEncoding.EncodeToString([]byte(v.Str())))}
	case traces.KindArray:
		out := arrayValue{Values: make([]anyValue, 0, len(v.Elements()))}
		for _, e := range v.Elements() {
			out.Values = append(out.Values, anyValueOf(e))
		}
		return anyValue{Array: &out}
	case traces.KindMap:
		return anyValue{Map: &kvList{Values: keyValues(v.Entries())}}
	}
	return anyValue{}
}

func keyValues(list []traces.Attribute) []keyValue {
	out := make([]keyValue, 0, len(list))
	for _, a := range list {
		out = append(out, keyValue{a.Key, anyValueOf(a.Value)})
	}
	return out
}
