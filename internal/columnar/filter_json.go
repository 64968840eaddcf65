package columnar

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"belfry/internal/columnar/column"
	"belfry/internal/fault"

	"github.com/grafana/regexp"
)

// filterJSON is a filter in files: docs/format/deletions.md.
type filterJSON struct {
	Op         string       `json:"op"`
	Of         []filterJSON `json:"of,omitempty"`
	Ref        *refJSON     `json:"ref,omitempty"`
	Values     []valueJSON  `json:"values,omitempty"`
	Min        *valueJSON   `json:"min,omitempty"`
	Max        *valueJSON   `json:"max,omitempty"`
	ExcludeMin bool         `json:"exclude_min,omitempty"`
	ExcludeMax bool         `json:"exclude_max,omitempty"`
	AsText     bool         `json:"as_text,omitempty"`
	Fold       bool         `json:"fold,omitempty"`
	Texts      []anyText    `json:"texts,omitempty"`
	From       int64        `json:"from,omitempty"`
	To         int64        `json:"to,omitempty"`
}

type refJSON struct {
	Name   anyText `json:"name,omitempty"`
	Kind   Kind    `json:"kind,omitempty"`
	Stream bool    `json:"stream,omitempty"`
	Every  bool    `json:"every,omitempty"`
}

type valueJSON struct {
	Kind Kind    `json:"kind"`
	Bits uint64  `json:"bits,omitempty"`
	Str  anyText `json:"str,omitempty"`
}

// anyText is a JSON string, or a list of one string in base64 if it is not UTF-8.
type anyText string

// MarshalJSON implements json.Marshaler.
func (t anyText) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal([]string{base64.StdEncoding.EncodeToString([]byte(t))})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *anyText) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	var list []string
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) != 1 {
		return errors.New("a text is a string, or a list of one in base64")
	}
	raw, err := base64.StdEncoding.DecodeString(list[0])
	*t = anyText(raw)
	return err
}

// encodeFilter writes a filter as JSON. Filters with code in them cannot be written.
func encodeFilter(f Filter) (json.RawMessage, error) {
	j, err := toJSON(f, 0)
	if err != nil {
		return nil, err
	}
	return json.Marshal(j)
}

func toJSON(f Filter, depth int) (filterJSON, error) {
	if depth > maxFilterDepth {
		return filterJSON{}, fault.Invalidf("filter nested over %d deep", maxFilterDepth)
	}
	many := func(op string, of []Filter) (filterJSON, error) {
		j := filterJSON{Op: op}
		for _, f := range of {
			c, err := toJSON(f, depth+1)
			if err != nil {
				return j, err
			}
			j.Of = append(j.Of, c)
		}
		return j, nil
	}
	switch f := f.(type) {
	case nil:
		return filterJSON{Op: "and"}, nil
	case And:
		return many("and", f)
	case Or:
		return many("or", f)
	case Not:
		return many("not", []Filter{f.Of})
	case TimeRange:
		return filterJSON{Op: "time", From: f.From, To: f.To}, nil
	case InStreams:
		j := filterJSON{Op: "streams"}
		for _, id := range f.IDs {
			j.Texts = append(j.Texts, anyText(id.String()))
		}
		return j, nil
	}
	return leafToJSON(f)
}

func leafToJSON(f Filter) (filterJSON, error) {
	switch f := f.(type) {
	case Equal:
		return filterJSON{Op: "equal", Ref: refOf(f.Ref), Values: valuesOf(f.Value), AsText: f.AsText}, nil
	case In:
		return filterJSON{Op: "in", Ref: refOf(f.Ref), Values: valuesOf(f.Values...), AsText: f.AsText}, nil
	case Range:
		return filterJSON{
			Op: "range", Ref: refOf(f.Ref), Min: valueOf(f.Min), Max: valueOf(f.Max), ExcludeMin: f.ExcludeMin, ExcludeMax: f.ExcludeMax,
		}, nil
	case Contains:
		return filterJSON{Op: "contains", Ref: refOf(f.Ref), Texts: []anyText{anyText(f.Text)}, Fold: f.Fold}, nil
	case HasPrefix:
		return filterJSON{Op: "prefix", Ref: refOf(f.Ref), Texts: []anyText{anyText(f.Text)}}, nil
	case Words:
		j := filterJSON{Op: "words", Ref: refOf(f.Ref), Fold: f.Fold}
		for _, w := range f.Words {
			j.Texts = append(j.Texts, anyText(w))
		}
		return j, nil
	case Regexp:
		if f.Re == nil {
			return filterJSON{}, fault.Invalidf("regexp filter without a regexp")
		}
		return filterJSON{Op: "regexp", Ref: refOf(f.Ref), Texts: []anyText{anyText(f.Re.String())}}, nil
	case Exists:
		return filterJSON{Op: "exists", Ref: refOf(f.Ref)}, nil
	}
	return filterJSON{}, fault.Invalidf("a filter of type %T cannot be kept in a file", f)
}

func refOf(r Ref) *refJSON {
	return &refJSON{Name: anyText(r.Name), Kind: r.Kind, Stream: r.Stream, Every: r.Every}
}

func valuesOf(vs ...Value) []valueJSON {
	out := make([]valueJSON, len(vs))
	for i, v := range vs {
		out[i] = valueJSON{Kind: v.Kind(), Bits: v.Bits(), Str: anyText(v.Str())}
	}
	return out
}

func valueOf(v Value) *valueJSON {
	if v.IsZero() {
		return nil
	}
	return &valuesOf(v)[0]
}

// decodeFilter reads what encodeFilter wrote.
func decodeFilter(b json.RawMessage) (Filter, error) {
	var j filterJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, err
	}
	return j.filter(0)
}

func (j *filterJSON) filter(depth int) (Filter, error) {
	if depth > maxFilterDepth {
		return nil, errors.New("filter nested too deep")
	}
	switch j.Op {
	case "and", "or", "not":
		of := make([]Filter, len(j.Of))
		for i := range j.Of {
			var err error
			if of[i], err = j.Of[i].filter(depth + 1); err != nil {
				return nil, err
			}
		}
		switch {
		case j.Op == "and":
			return And(of), nil
		case j.Op == "or":
			return Or(of), nil
		case len(of) == 1:
			return Not{of[0]}, nil
		}
		return nil, errors.New("not takes one filter")
	case "time":
		return TimeRange{j.From, j.To}, nil
	case "streams":
		f := InStreams{}
		for _, t := range j.Texts {
			var id StreamID
			if n, err := hex.Decode(id[:], []byte(t)); err != nil || n != len(id) {
				return nil, fmt.Errorf("%q is not a stream", t)
			}
			f.IDs = append(f.IDs, id)
		}
		return f, nil
	}
	return j.leaf()
}

func (j *filterJSON) leaf() (Filter, error) {
	if j.Ref == nil {
		return nil, fmt.Errorf("filter %q without a reference", j.Op)
	}
	ref := Ref{Name: string(j.Ref.Name), Kind: j.Ref.Kind, Stream: j.Ref.Stream, Every: j.Ref.Every}
	values := make([]Value, len(j.Values))
	for i := range j.Values {
		values[i] = j.Values[i].value()
	}
	one := len(j.Texts) == 1
	switch {
	case j.Op == "equal" && len(values) == 1:
		return Equal{ref, values[0], j.AsText}, nil
	case j.Op == "in":
		return In{ref, values, j.AsText}, nil
	case j.Op == "range":
		return Range{ref, j.Min.value(), j.Max.value(), j.ExcludeMin, j.ExcludeMax}, nil
	case j.Op == "contains" && one:
		return Contains{ref, string(j.Texts[0]), j.Fold}, nil
	case j.Op == "prefix" && one:
		return HasPrefix{ref, string(j.Texts[0])}, nil
	case j.Op == "words":
		f := Words{Ref: ref, Fold: j.Fold}
		for _, t := range j.Texts {
			f.Words = append(f.Words, string(t))
		}
		return f, nil
	case j.Op == "regexp" && one:
		re, err := regexp.Compile(string(j.Texts[0]))
		return Regexp{ref, re}, err
	case j.Op == "exists":
		return Exists{ref}, nil
	}
	return nil, fmt.Errorf("filter %q is unknown or incomplete", j.Op)
}

func (j *valueJSON) value() Value {
	switch {
	case j == nil || j.Kind == KindAny:
		return Value{}
	case j.Kind.VarWidth():
		return column.VarValue(j.Kind, string(j.Str))
	}
	return column.NumValue(j.Kind, j.Bits)
}
