package router

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"

	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/matcher/compat"
	amtemplate "github.com/prometheus/alertmanager/template"
	"go.yaml.in/yaml/v3"

	"belfry/internal/config"
)

// utf8Names makes Alertmanager's packages take UTF-8 label names, and matchers
// in the old syntax too, as its main function does. That choice is global in
// Alertmanager's packages, so it is made once.
var utf8Names = sync.OnceFunc(func() {
	compat.InitFromFlags(slog.New(slog.DiscardHandler), featurecontrol.NoopFlags{})
})

// DefaultReceiver is the receiver of the configuration that is used when none
// is given. It has no integration of its own: only the Escalator hears of it.
const DefaultReceiver = "default"

const defaultConfiguration = `
route:
  receiver: ` + DefaultReceiver + `
  group_by: [alertname]
receivers:
  - name: ` + DefaultReceiver + `
`

// Load reads the `alertmanager:` section of a configuration file with
// Alertmanager's own loader. name is the file's, content all of it and section
// the section's value in it; a zero section gives the default configuration.
// Relative paths in it are relative to the file's folder. The error is
// config.Faults, with lines of the whole file.
func Load(name string, content []byte, section yaml.Node) (*amconfig.Config, error) {
	if section.Kind == 0 || section.Kind == yaml.ScalarNode && section.Tag == "!!null" {
		return load(name, defaultConfiguration, "alertmanager", func(int) int { return 0 })
	}
	text, exact := cutOut(content, &section)
	if !exact {
		b, err := yaml.Marshal(&section)
		if err != nil {
			return nil, config.Faults{{File: name, Line: section.Line, Path: "alertmanager", Message: err.Error()}}
		}
		text = string(b)
	}
	return load(name, text, "alertmanager", func(line int) int {
		if !exact {
			return section.Line
		}
		return line
	})
}

// LoadFile reads a file that is an Alertmanager configuration as a whole.
func LoadFile(path string) (*amconfig.Config, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, config.Faults{{File: path, Message: err.Error()}}
	}
	return load(path, string(content), "", func(line int) int { return line })
}

func load(name, text, path string, lineOf func(int) int) (*amconfig.Config, error) {
	utf8Names()
	c, err := amconfig.Load(text)
	if err != nil {
		return nil, faults(name, path, err, lineOf)
	}
	resolvePaths(filepath.Dir(name), c)
	if _, err := amtemplate.FromGlobs(c.Templates); err != nil {
		return nil, config.Faults{{File: name, Path: strings.TrimPrefix(path+".templates", "."), Message: err.Error()}}
	}
	return c, nil
}

// cutOut returns content with only the lines of a block mapping left, all
// others empty, so that lines keep their numbers. A mapping in flow style, or
// one that uses an anchor of another section, cannot be cut out.
func cutOut(content []byte, section *yaml.Node) (text string, ok bool) {
	if section.Kind != yaml.MappingNode || section.Style&yaml.FlowStyle != 0 || section.Column <= 1 {
		return "", false
	}
	lines := strings.Split(string(content), "\n")
	if section.Line > len(lines) {
		return "", false
	}
	out := make([]string, 0, len(lines))
	for range section.Line - 1 {
		out = append(out, "")
	}
	indent := section.Column - 1
	for _, l := range lines[section.Line-1:] {
		trimmed := strings.TrimLeft(l, " ")
		if trimmed != "" && !strings.HasPrefix(trimmed, "#") && len(l)-len(trimmed) < indent {
			break
		}
		out = append(out, l)
	}
	text = strings.Join(out, "\n")
	var again yaml.Node
	if err := yaml.Unmarshal([]byte(text), &again); err != nil {
		return "", false
	}
	return text, true
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// faults splits the errors of a YAML decoder, which come as lines of one text.
func faults(name, path string, err error, lineOf func(int) int) config.Faults {
	var out config.Faults
	for msg := range strings.SplitSeq(err.Error(), "\n") {
		msg = strings.TrimSpace(msg)
		if msg == "" || msg == "yaml: unmarshal errors:" {
			continue
		}
		f := config.Fault{File: name, Path: path, Line: lineOf(0)}
		if m := yamlLine.FindStringSubmatch(msg); m != nil {
			n, _ := strconv.Atoi(m[1]) // digits by the pattern
			f.Line, msg = lineOf(n), msg[len(m[0]):]
		}
		f.Message = strings.NewReplacer("yaml: ", "", " in type config.plain", "").Replace(msg)
		out = append(out, f)
	}
	return out
}

// resolvePaths makes the paths in a configuration relative to dir, as
// Alertmanager does for a file that it reads itself: templates, and everything
// below that has files of its own (TLS keys, passwords).
func resolvePaths(dir string, c *amconfig.Config) {
	for i, t := range c.Templates {
		if t != "" && !filepath.IsAbs(t) {
			c.Templates[i] = filepath.Join(dir, t)
		}
	}
	setDirectory(reflect.ValueOf(c.Global), dir)
	setDirectory(reflect.ValueOf(c.Receivers), dir)
}

// setDirectory calls SetDirectory on the outermost values below v that have it.
func setDirectory(v reflect.Value, dir string) {
	type setter interface{ SetDirectory(dir string) }
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if s, ok := v.Interface().(setter); ok {
			s.SetDirectory(dir)
			return
		}
		setDirectory(v.Elem(), dir)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				setDirectory(v.Field(i), dir)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			setDirectory(v.Index(i), dir)
		}
	}
}
