package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode reads the YAML document in data into into, a pointer to a struct that
// already holds the defaults. It returns Faults; name is the file's name in
// them. Empty input leaves the defaults alone. Values below a field of type
// yaml.Node are not looked at: they are another program's language, which a
// Check can know. Checks are made where their section has no fault yet.
func Decode(name string, data []byte, into any, checks ...Check) error {
	d := decoder{file: name, lines: map[string]int{}}
	root, err := parse(data)
	if err != nil {
		return Faults{syntaxFault(name, err)}
	}
	if root != nil {
		d.value(root, reflect.ValueOf(into).Elem(), "")
	}
	d.validate(reflect.ValueOf(into).Elem(), "")
	for _, check := range checks {
		if check.Path == "" || !d.faultyBelow(check.Path) {
			d.addJoined(check.Run(), check.Path)
		}
	}
	return d.faults.orNil()
}

// Check is a look at the decoded value that no section's Validate can take
// alone, because it needs another section or another program's code.
type Check struct {
	Path string // of the section that it is about; a check without one is always made
	Run  func() error
}

// faultyBelow reports whether a section has a fault already, so that checking
// it further would only repeat or confuse.
func (d *decoder) faultyBelow(path string) bool {
	for _, f := range d.faults {
		if f.Path == path || strings.HasPrefix(f.Path, path+".") || strings.HasPrefix(f.Path, path+"[") {
			return true
		}
	}
	return false
}

func parse(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("only one YAML document is allowed in a file")
	}
	return doc.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

func syntaxFault(name string, err error) Fault {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		fmt.Sscanf(m[1], "%d", &line) //nolint:errcheck // digits by the pattern
		msg = yamlLine.ReplaceAllString(err.Error(), "")
	}
	return Fault{File: name, Line: line, Message: msg}
}

type decoder struct {
	file   string
	faults Faults
	lines  map[string]int // path of every value seen, to its line
}

func (d *decoder) fault(line int, path, format string, args ...any) {
	d.faults = append(d.faults, Fault{File: d.file, Line: line, Path: path, Message: fmt.Sprintf(format, args...)})
}

var (
	nodeType        = reflect.TypeFor[yaml.Node]()
	unmarshalerType = reflect.TypeFor[yaml.Unmarshaler]()
	oldStyleType    = reflect.TypeFor[interface {
		UnmarshalYAML(func(any) error) error
	}]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// decodesItself reports whether a value's own method reads it, so that its
// fields are none of this package's business.
func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t == nodeType || p.Implements(unmarshalerType) || p.Implements(oldStyleType) || p.Implements(textType)
}

func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.lines[path] = n.Line
	if isNull(n) {
		return // a key with nothing after it keeps its default
	}
	t := v.Type()
	switch {
	case decodesItself(t):
		d.leaf(n, v, path)
	case t.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		d.value(n, v.Elem(), path)
	case t.Kind() == reflect.Struct:
		d.structure(n, v, path)
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		d.sequence(n, v, path)
	case t.Kind() == reflect.Map:
		d.mapping(n, v, path)
	default:
		d.leaf(n, v, path)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// remember notes the lines of everything in a verbatim section.
func (d *decoder) remember(n *yaml.Node, path string) {
	d.lines[path] = n.Line
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			d.remember(n.Content[i+1], join(path, n.Content[i].Value))
			d.lines[join(path, n.Content[i].Value)] = n.Content[i].Line
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			d.remember(item, fmt.Sprintf("%s[%d]", path, i))
		}
	}
}

func (d *decoder) leaf(n *yaml.Node, v reflect.Value, path string) {
	if v.Type() == nodeType {
		d.remember(n, path)
	}
	err := n.Decode(v.Addr().Interface())
	if err == nil {
		return
	}
	var te *yaml.TypeError
	if !errors.As(err, &te) {
		d.fault(n.Line, path, "%s", err)
		return
	}
	for _, msg := range te.Errors {
		f := syntaxFault(d.file, errors.New(msg))
		if f.Line == 0 {
			f.Line = n.Line
		}
		f.Path = path
		d.faults = append(d.faults, f)
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n.Line, path, "want a mapping, got %s", kindName(n))
		return
	}
	fields := map[string]reflect.Value{}
	collectFields(v, fields)
	d.pairs(n, path, func(key, val *yaml.Node, at string) {
		field, ok := fields[key.Value]
		if !ok {
			d.fault(key.Line, at, "unknown key%s", suggestion(key.Value, fields))
			return
		}
		d.value(val, field, at)
		d.lines[at] = key.Line
	})
}

// collectFields maps yaml key names to the fields of v, those of inlined
// structs included.
func collectFields(v reflect.Value, into map[string]reflect.Value) {
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		if !sf.IsExported() {
			continue
		}
		name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(opts, "inline"):
			collectFields(v.Field(i), into)
		case name == "-":
		case name == "":
			into[strings.ToLower(sf.Name)] = v.Field(i)
		default:
			into[name] = v.Field(i)
		}
	}
}

// pairs calls fn for every key of a mapping, reporting keys given twice.
func (d *decoder) pairs(n *yaml.Node, path string, fn func(key, val *yaml.Node, at string)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		if first, dup := seen[key.Value]; dup {
			d.fault(key.Line, at, "key was given already at line %d", first)
			continue
		}
		seen[key.Value] = key.Line
		fn(key, val, at)
	}
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fault(n.Line, path, "want a list, got %s", kindName(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(out)
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode || v.Type().Key().Kind() != reflect.String {
		d.leaf(n, v, path)
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	d.pairs(n, path, func(key, val *yaml.Node, at string) {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(val, elem, at)
		out.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), elem)
	})
	v.Set(out)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}

// suggestion names the known key nearest to an unknown one, if one is near.
func suggestion(key string, fields map[string]reflect.Value) string {
	best, bestDistance := "", 3
	for name := range fields {
		if dist := editDistance(key, name); dist < bestDistance || dist == bestDistance && name < best {
			best, bestDistance = name, dist
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next := min(row[j]+1, row[j-1]+1, diagonal+cost)
			diagonal, row[j] = row[j], next
		}
	}
	return row[len(b)]
}
