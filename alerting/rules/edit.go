package rules

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"belfry/internal/fault"
)

// maxNamespace bounds the name of a namespace, in bytes.
const maxNamespace = 512

// SetGroup stores a group, in YAML, in a namespace and runs it, in place of the
// one of its name if there is one. A group that says no type keeps the type of
// the one that it replaces, and is of type t where it is new. What the group has
// wrong is config.Faults; a namespace that is a rule file is Forbidden.
func (e *Engine) SetGroup(ctx context.Context, t Type, namespace string, body []byte) error {
	if namespace == "" || len(namespace) > maxNamespace || !utf8.ValidString(namespace) || strings.ContainsRune(namespace, 0) {
		return fault.Invalidf("a namespace has 1 to %d bytes of UTF-8", maxNamespace)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.editable(namespace); err != nil {
		return err
	}
	var head struct {
		Name string `yaml:"name"`
	}
	if yaml.Unmarshal(body, &head) == nil { // what does not decode is reported below
		if i := e.find(namespace, head.Name); i >= 0 {
			t = Metrics
			if own := e.groups[i].Group.Type; own != "" {
				t = own
			}
		}
	}
	g, err := ParseGroup(namespace, body, t, e.opts.Languages)
	if err != nil {
		return &fault.Error{Kind: fault.Invalid, Err: err}
	}
	g.valid = true
	next := slices.Clone(e.groups)
	if i := e.find(namespace, g.Name); i >= 0 {
		next[i] = storedGroup{namespace, g}
	} else {
		next = append(next, storedGroup{namespace, g})
	}
	if len(next) > maxStoredGroups {
		return fault.Invalidf("there are %d rule groups already, which is the bound", maxStoredGroups)
	}
	return e.change(next, func() (int64, error) { return e.stored.put(ctx, storedGroup{namespace, g}, e.version) })
}

// DeleteGroup removes a group that was made by API, or all of a namespace where
// name is empty. It is NotFound where there is none.
func (e *Engine) DeleteGroup(ctx context.Context, namespace, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.editable(namespace); err != nil {
		return err
	}
	next := slices.DeleteFunc(slices.Clone(e.groups), func(g storedGroup) bool {
		return g.Namespace == namespace && (name == "" || g.Group.Name == name)
	})
	if len(next) == len(e.groups) {
		return fault.NotFoundf("no rule group %q in namespace %q", name, namespace)
	}
	return e.change(next, func() (int64, error) { return e.stored.remove(ctx, namespace, name, e.version) })
}

// editable says why a namespace cannot be changed by API.
func (e *Engine) editable(namespace string) error {
	switch _, file := e.disk[namespace]; {
	case e.stored == nil:
		return fault.New(fault.Forbidden, "rules cannot be edited here: there is no database to keep them in")
	case e.stopped:
		return fault.Unavailablef(followInterval, "rules: the engine is shut down")
	case file:
		return fault.New(fault.Forbidden, "%q is a rule file: its groups are read-only here; edit the file and reload", namespace)
	}
	return nil
}

func (e *Engine) find(namespace, name string) int {
	return slices.IndexFunc(e.groups, func(g storedGroup) bool { return g.Namespace == namespace && g.Group.Name == name })
}

// change stores and then runs what was checked before.
func (e *Engine) change(next []storedGroup, store func() (int64, error)) error {
	version, err := store()
	if err != nil {
		return err
	}
	before := e.groups
	if err := e.apply(e.config, e.disk, next); err != nil {
		return fmt.Errorf("the group is stored, but not running: %w", err)
	}
	e.groups, e.version = next, version
	e.logger.Info("rule groups changed by API", "groups", len(next), "before", len(before))
	return nil
}

// Namespace is the groups of a rule file, or of a namespace of the rule API.
type Namespace struct {
	Name     string
	ReadOnly bool // a rule file
	Groups   []Group
}

// Namespaces returns all rule groups as they were written, by namespace and in
// their order.
func (e *Engine) Namespaces() []Namespace {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []Namespace
	for _, name := range slices.Sorted(maps.Keys(e.disk)) {
		out = append(out, Namespace{Name: name, ReadOnly: true, Groups: e.disk[name].Groups})
	}
	at := map[string]int{}
	for _, g := range e.groups {
		i, ok := at[g.Namespace]
		if !ok {
			i, out = len(out), append(out, Namespace{Name: g.Namespace})
			at[g.Namespace] = i
		}
		out[i].Groups = append(out[i].Groups, *g.Group)
	}
	return out
}

// readOnly are the paths of the rule files.
func (e *Engine) readOnly() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[string]bool, len(e.disk))
	for path := range e.disk {
		out[path] = true
	}
	return out
}
