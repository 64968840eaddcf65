package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Validator is a section that can say what is wrong with itself. Several faults
// are joined with errors.Join; each starts with the path of the value it is
// about, relative to the section, then a colon and a space.
type Validator interface{ Validate() error }

var validatorType = reflect.TypeFor[Validator]()

// validate asks every value that can validate itself, outermost first. A value
// that validates itself answers for what is in it.
func (d *decoder) validate(v reflect.Value, path string) {
	if !v.IsValid() {
		return
	}
	if v.CanAddr() && v.Addr().Type().Implements(validatorType) {
		d.addJoined(v.Addr().Interface().(Validator).Validate(), path)
		if path != "" {
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.validate(v.Elem(), path)
		}
	case reflect.Struct:
		if v.Type() == nodeType {
			return
		}
		fields := map[string]reflect.Value{}
		collectFields(v, fields)
		for name, field := range fields {
			d.validate(field, join(path, name))
		}
	case reflect.Slice:
		for i := range v.Len() {
			d.validate(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	}
}

func (d *decoder) addJoined(err error, path string) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			d.addJoined(e, path)
		}
		return
	}
	where, msg := splitPath(err.Error())
	if where != "" {
		path = join(path, where)
		if strings.HasPrefix(where, "[") {
			path = strings.TrimSuffix(path, "."+where) + where
		}
	}
	d.fault(d.lineOf(path), path, "%s", msg)
}

var pathPrefix = regexp.MustCompile(`^([a-z_\[][A-Za-z0-9_./\[\]-]*): `)

func splitPath(msg string) (path, rest string) {
	m := pathPrefix.FindStringSubmatch(msg)
	if m == nil {
		return "", msg
	}
	return m[1], msg[len(m[0]):]
}

// lineOf returns the line of the value at path, or of its nearest parent that
// is in the file: a missing key's fault points at the section that lacks it.
func (d *decoder) lineOf(path string) int {
	for path != "" {
		if line, ok := d.lines[path]; ok {
			return line
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			break
		}
		path = path[:cut]
	}
	return 0
}
