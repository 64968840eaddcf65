package escalation

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"belfry/internal/fault"
)

// MappingConfig says how the JSON of some program is read. Every field but Name and
// Resolved is a Go text template over the decoded body, such as {{ .check.name }}.
type MappingConfig struct {
	Name     string            `yaml:"name"`
	Title    string            `yaml:"title"`
	Summary  string            `yaml:"summary"`
	Severity string            `yaml:"severity"`  // empty result: critical
	DedupKey string            `yaml:"dedup_key"` // empty: the title
	Status   string            `yaml:"status"`    // empty: firing
	Resolved []string          `yaml:"resolved"`  // results of Status that mean that it is over; none: resolved, ok
	URL      string            `yaml:"url"`
	Labels   map[string]string `yaml:"labels"`
}

// Mapping is a MappingConfig that was found right.
type Mapping struct {
	fields   map[string]*template.Template
	labels   map[string]*template.Template
	resolved []string
}

// Fields is what a mapping finds in a body.
type Fields struct {
	Title, Summary, Severity, DedupKey, URL string
	Labels                                  map[string]string
	Firing                                  bool
}

var mappingName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// NewMapping compiles a mapping and returns all faults, each after its field.
func NewMapping(c MappingConfig) (*Mapping, error) {
	m := &Mapping{fields: map[string]*template.Template{}, labels: map[string]*template.Template{}, resolved: c.Resolved}
	var errs []error
	if !mappingName.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("name: %q: use letters, digits and . _ -", c.Name))
	}
	if c.Title == "" {
		errs = append(errs, errors.New("title: is missing"))
	}
	if len(m.resolved) == 0 {
		m.resolved = []string{"resolved", "ok"}
	}
	funcs := template.FuncMap{"upper": strings.ToUpper, "lower": strings.ToLower, "json": func(v any) string { b, _ := json.Marshal(v); return string(b) }}
	compile := func(path, text string) *template.Template {
		t, err := template.New(path).Funcs(funcs).Option("missingkey=zero").Parse(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		return t
	}
	for name, text := range map[string]string{"title": c.Title, "summary": c.Summary, "severity": c.Severity,
		"dedup_key": c.DedupKey, "status": c.Status, "url": c.URL} {
		m.fields[name] = compile(name, text)
	}
	for name, text := range c.Labels {
		m.labels[name] = compile("labels."+name, text)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return m, errors.Join(errs...)
}

// maxMapped bounds what a template may make of a body.
const maxMapped = 16 << 10

// Apply reads a decoded body. The error says which field could not be made of it.
func (m *Mapping) Apply(body any) (f Fields, err error) {
	run := func(t *template.Template) string {
		var b strings.Builder
		if xerr := t.Execute(&limited{&b, maxMapped}, body); xerr != nil && err == nil {
			err = fault.Invalidf("the body does not fit the mapping: %s: %w", t.Name(), xerr)
		}
		return strings.TrimSpace(strings.ReplaceAll(b.String(), "<no value>", ""))
	}
	f.Title, f.Summary, f.URL = run(m.fields["title"]), run(m.fields["summary"]), run(m.fields["url"])
	f.Severity, f.DedupKey = strings.ToLower(run(m.fields["severity"])), run(m.fields["dedup_key"])
	status := strings.ToLower(run(m.fields["status"]))
	f.Firing = !slices.ContainsFunc(m.resolved, func(r string) bool { return strings.ToLower(r) == status })
	f.Labels = map[string]string{}
	for name, t := range m.labels {
		if v := run(t); v != "" {
			f.Labels[name] = v
		}
	}
	if f.Title == "" && err == nil {
		err = fault.Invalidf("the body does not fit the mapping: title is empty")
	}
	if f.Severity == "" {
		f.Severity = "critical"
	}
	if len(f.Severity) > maxSeverity {
		f.Severity = f.Severity[:maxSeverity]
	}
	if f.DedupKey == "" {
		f.DedupKey = f.Title
	}
	f.Labels["severity"] = f.Severity
	return f, err
}

// limited is a writer that refuses to grow over a limit.
type limited struct {
	b    *strings.Builder
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fmt.Errorf("the result is over %d bytes", maxMapped)
	}
	return l.b.Write(p)
}

// Mapping returns a mapping by its name.
func (e *Engine) Mapping(name string) (*Mapping, bool) {
	m, ok := e.setup.Load().mappings[name]
	return m, ok
}
