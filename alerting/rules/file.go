package rules

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"belfry/internal/config"
)

// File is a rule file.
type File struct {
	Groups []Group `yaml:"groups"`
}

// Group is a group of a rule file: Prometheus' fields, and Type.
type Group struct {
	Name        string            `yaml:"name"`
	Type        Type              `yaml:"type,omitempty"` // of rules that say none; Metrics where empty
	Interval    model.Duration    `yaml:"interval,omitempty"`
	QueryOffset *model.Duration   `yaml:"query_offset,omitempty"`
	Limit       int               `yaml:"limit,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Rules       []Rule            `yaml:"rules"`

	valid bool // a stored group that has passed the checks
}

// Rule is a rule of a rule file: Prometheus' fields, Type, Recover and NoData.
type Rule struct {
	Record        string            `yaml:"record,omitempty"`
	Alert         string            `yaml:"alert,omitempty"`
	Type          Type              `yaml:"type,omitempty"` // the group's where empty
	Expr          string            `yaml:"expr"`
	Recover       string            `yaml:"recover,omitempty"` // must return an element with the alert's labels to let it resolve
	NoData        NoData            `yaml:"no_data,omitempty"` // what it means that there is nothing to compare; NoDataOK where empty
	For           model.Duration    `yaml:"for,omitempty"`
	KeepFiringFor model.Duration    `yaml:"keep_firing_for,omitempty"`
	Labels        map[string]string `yaml:"labels,omitempty"`
	Annotations   map[string]string `yaml:"annotations,omitempty"`
}

func (r *Rule) name() string {
	if r.Alert != "" {
		return r.Alert
	}
	return r.Record
}

func (r *Rule) typeIn(g *Group) Type {
	switch {
	case r.Type != "":
		return r.Type
	case g.Type != "":
		return g.Type
	}
	return Metrics
}

// prometheus returns the rule as Prometheus' own checks want it.
func (r *Rule) prometheus() rulefmt.Rule {
	return rulefmt.Rule{
		Record: r.Record, Alert: r.Alert, Expr: r.Expr, For: r.For, KeepFiringFor: r.KeepFiringFor,
		Labels: r.Labels, Annotations: r.Annotations,
	}
}

// maxFileSize bounds what is read of a rule file, in bytes.
const maxFileSize = 16 << 20

// ReadFile reads and checks one rule file. The error is config.Faults with all
// that is wrong.
func ReadFile(path string, languages map[Type]Language) (*File, error) {
	if fi, err := os.Stat(path); err == nil && fi.Size() > maxFileSize {
		return nil, config.Faults{{File: path, Message: fmt.Sprintf("is %d bytes long, over the limit of %d", fi.Size(), maxFileSize)}}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, config.Faults{{File: path, Message: err.Error()}}
	}
	return Parse(path, content, languages)
}

// Parse reads and checks the content of a rule file; name is the file's in
// faults. The error is config.Faults with all that is wrong, in the order of
// lines.
func Parse(name string, content []byte, languages map[Type]Language) (*File, error) {
	var f File
	if err := config.Decode(name, content, &f); err != nil {
		return nil, err
	}
	c := checker{file: name, languages: languages}
	c.place(content)
	for i := range f.Groups {
		c.group(&f.Groups[i], fmt.Sprintf("groups[%d]", i), i, f.Groups[:i])
	}
	if err := c.result(); err != nil {
		return nil, err
	}
	return &f, nil
}

// ParseGroup reads and checks one group, as the rule API takes it; otherwise it
// is Parse. A group that says no type is of type t.
func ParseGroup(name string, content []byte, t Type, languages map[Type]Language) (*Group, error) {
	var g Group
	if err := config.Decode(name, content, &g); err != nil {
		return nil, err
	}
	if g.Type == "" && t != Metrics {
		g.Type = t
	}
	c := checker{file: name, languages: languages}
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err == nil && len(doc.Content) > 0 {
		c.placeGroup(doc.Content[0])
	} else {
		c.nodes = []groupNodes{{}} // empty: no name, no rules
	}
	c.group(&g, "", 0, nil)
	if err := c.result(); err != nil {
		return nil, err
	}
	return &g, nil
}

// result is all faults in the order of lines, nil where there are none.
func (c *checker) result() error {
	if len(c.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(c.faults, func(a, b config.Fault) int { return a.Line - b.Line })
	return c.faults
}

type checker struct {
	file      string
	languages map[Type]Language
	faults    config.Faults
	nodes     []groupNodes
}

// groupNodes are the places of a group and its rules in the file.
type groupNodes struct {
	group *yaml.Node
	rules []*yaml.Node
}

// place finds the mapping nodes of all groups and rules. The content has been
// decoded before, so what is not where it should be is absent, not wrong.
func (c *checker) place(content []byte) {
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil || len(doc.Content) == 0 {
		return
	}
	groups := child(resolve(doc.Content[0]), "groups")
	if groups == nil {
		return
	}
	for _, g := range groups.Content {
		c.placeGroup(g)
	}
}

func (c *checker) placeGroup(g *yaml.Node) {
	at := groupNodes{group: resolve(g)}
	if list := child(at.group, "rules"); list != nil {
		for _, r := range list.Content {
			at.rules = append(at.rules, resolve(r))
		}
	}
	c.nodes = append(c.nodes, at)
}

func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// child returns the value of a key of a mapping, nil where there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

// line returns the line of a key's value in a mapping, of the mapping itself
// where it lacks the key.
func line(n *yaml.Node, key string) int {
	if v := child(n, key); v != nil {
		return v.Line
	}
	if n != nil {
		return n.Line
	}
	return 0
}

func (c *checker) fault(at int, path, format string, args ...any) {
	c.faults = append(c.faults, config.Fault{File: c.file, Line: at, Path: path, Message: fmt.Sprintf(format, args...)})
}

// below joins a path and a key.
func below(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (c *checker) group(g *Group, path string, i int, before []Group) {
	n := c.nodes[i].group
	if g.Name == "" {
		c.fault(line(n, "name"), below(path, "name"), "must not be empty")
	}
	if slices.ContainsFunc(before, func(o Group) bool { return o.Name == g.Name }) && g.Name != "" {
		c.fault(line(n, "name"), below(path, "name"), "%q is the name of an earlier group of this file", g.Name)
	}
	c.knownType(g.Type, line(n, "type"), below(path, "type"))
	if g.Limit < 0 {
		c.fault(line(n, "limit"), below(path, "limit"), "must not be negative")
	}
	for _, name := range slices.Sorted(maps.Keys(g.Labels)) {
		if !model.UTF8Validation.IsValidLabelName(name) || name == model.MetricNameLabel {
			c.fault(line(child(n, "labels"), name), below(path, "labels"), "%q is not a label name", name)
		}
		if !model.LabelValue(g.Labels[name]).IsValid() {
			c.fault(line(child(n, "labels"), name), below(path, "labels"), "the value of %q is not UTF-8", name)
		}
	}
	types := map[string]Type{}
	for j := range g.Rules {
		r, at, rp := &g.Rules[j], c.nodes[i].rules[j], below(path, fmt.Sprintf("rules[%d]", j))
		c.rule(g, r, at, rp)
		t := r.typeIn(g)
		if other, seen := types[strings.TrimSpace(r.Expr)]; seen && other != t {
			c.fault(line(at, "expr"), rp+".expr", "the same text is an expression on %s earlier in this group; put them in different groups", other)
		}
		types[strings.TrimSpace(r.Expr)] = t
	}
}

func (c *checker) knownType(t Type, at int, path string) {
	switch {
	case t == "":
	case !slices.Contains(Types(), t):
		c.fault(at, path, "%q is not a type: want metrics, logs or traces", t)
	case c.languages[t] == nil:
		c.fault(at, path, "rules on %s are not available here", t)
	}
}

func (c *checker) rule(g *Group, r *Rule, n *yaml.Node, path string) {
	if r.name() != "" {
		path = fmt.Sprintf("%s (%s)", path, r.name())
	}
	if r.Type != "" || g.Type == "" {
		c.knownType(r.typeIn(g), line(n, "type"), path+".type")
	}
	lang := c.languages[r.typeIn(g)] // nil where the type is unknown, which is reported

	// Prometheus' own checks see the nodes only to report places.
	var nodes rulefmt.RuleNode
	if err := n.Decode(&nodes); err != nil {
		c.fault(n.Line, path, "%s", err)
		return
	}
	p := languageParser{Parser: parser.NewParser(parser.Options{}), language: lang}
	pr := r.prometheus()
	for _, w := range pr.Validate(nodes, model.UTF8Validation, p) {
		at, msg := splitPlace(w.Error())
		if at == 0 {
			at = n.Line
		}
		c.fault(at, path, "%s", msg)
	}
	for _, d := range []struct {
		key   string
		value model.Duration
	}{{"for", r.For}, {"keep_firing_for", r.KeepFiringFor}} {
		if d.value < 0 {
			c.fault(line(n, d.key), path+"."+d.key, "must not be negative")
		}
	}
	c.recover(g, r, n, path, lang)
	c.noData(g, r, n, path, lang)
}

func (c *checker) recover(g *Group, r *Rule, n *yaml.Node, path string, lang Language) {
	if r.Recover == "" {
		return
	}
	at, path := line(n, "recover"), path+".recover"
	if r.Alert == "" {
		c.fault(at, path, "only alerting rules recover")
	}
	c.noTemplates(g, r, at, path)
	if lang != nil {
		if err := lang.Validate(r.Recover); err != nil {
			c.fault(at, path, "could not parse expression: %s", err)
		}
	}
}

// noTemplates refuses templates in labels of a rule that holds alerts: an alert
// that is held is fed back to the rule with its own labels, which a template
// would turn into other ones.
func (c *checker) noTemplates(g *Group, r *Rule, at int, path string) {
	for _, set := range []map[string]string{g.Labels, r.Labels} {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			if strings.Contains(set[name], "{{") {
				c.fault(at, path, "cannot be combined with a template in label %q", name)
			}
		}
	}
}

// languageParser lets Prometheus' checks of a rule parse its expression in the
// rule's language. A nil language accepts everything.
type languageParser struct {
	parser.Parser
	language Language
}

func (p languageParser) ParseExpr(input string) (parser.Expr, error) {
	if p.language != nil {
		if err := p.language.Validate(input); err != nil {
			return nil, err
		}
	}
	return &Expression{Text: input}, nil
}

var rulefmtPlace = regexp.MustCompile(`^(\d+):\d+: (?:\d+:\d+: )?`)

// splitPlace takes the "line:column: " off the front of a message of rulefmt.
func splitPlace(msg string) (line int, rest string) {
	m := rulefmtPlace.FindStringSubmatch(msg)
	if m == nil {
		return 0, msg
	}
	line, _ = strconv.Atoi(m[1]) // digits by the pattern
	return line, msg[len(m[0]):]
}

// Check reads all files that the patterns name and returns all that is wrong
// with them: config.Faults joined, one error a file.
func Check(patterns []string, languages map[Type]Language) error {
	_, err := load(patterns, languages)
	return err
}

// load reads all files that the patterns name, by path.
func load(patterns []string, languages map[Type]Language) (map[string]*File, error) {
	paths, err := Expand(patterns)
	if err != nil {
		return nil, err
	}
	files := make(map[string]*File, len(paths))
	var errs []error
	for _, p := range paths {
		f, err := ReadFile(p, languages)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		files[p] = f
	}
	return files, errors.Join(errs...)
}
