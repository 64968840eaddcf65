package rules

import (
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	promrules "github.com/prometheus/prometheus/rules"
)

// loader hands files that were read and checked before to Prometheus' manager,
// which asks for each file first and then for each expression's syntax tree by
// its text alone; a mark before the text says that it is not PromQL.
type loader struct {
	files  map[string]*File
	parser parser.Parser
}

var _ promrules.GroupLoader = (*loader)(nil)

// mark begins an expression that is not PromQL. No expression of any language
// holds a NUL, and a rule file cannot either: YAML forbids it.
const mark = "\x00"

func (l *loader) Load(path string, _ bool, _ model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	f, ok := l.files[path]
	if !ok {
		return nil, []error{fmt.Errorf("%s: was not loaded", path)}
	}
	out := &rulefmt.RuleGroups{}
	for i := range f.Groups {
		g := &f.Groups[i]
		group := rulefmt.RuleGroup{
			Name: g.Name, Interval: g.Interval, QueryOffset: g.QueryOffset, Limit: g.Limit, Labels: g.Labels,
		}
		for j := range g.Rules {
			r := g.Rules[j].prometheus()
			if t := g.Rules[j].typeIn(g); t != Metrics {
				r.Expr = mark + string(t) + mark + r.Expr
			}
			group.Rules = append(group.Rules, r)
		}
		out.Groups = append(out.Groups, group)
	}
	return out, nil
}

func (l *loader) Parse(text string) (parser.Expr, error) {
	marked, ok := strings.CutPrefix(text, mark)
	if !ok {
		return l.parser.ParseExpr(text)
	}
	t, text, _ := strings.Cut(marked, mark)
	return &Expression{Language: Type(t), Text: strings.TrimSpace(text)}, nil
}

// spec is what the engine knows of a rule and Prometheus does not.
type spec struct {
	language Type
	recover  string // empty: none
	noData   NoData
}

// specKey finds a rule's spec from what its evaluation carries: the group, the
// rule's name (empty for any) and the text of its expression.
type specKey struct{ group, name, expr string }

// specs indexes the rules of files, each by its own name and by any.
func (l *loader) specs() (map[specKey]spec, error) {
	out := map[specKey]spec{}
	for path, f := range l.files {
		for i := range f.Groups {
			g := &f.Groups[i]
			key := promrules.GroupKey(path, g.Name)
			for j := range g.Rules {
				r := &g.Rules[j]
				s := spec{language: r.typeIn(g), recover: r.Recover, noData: r.NoData}
				expr := strings.TrimSpace(r.Expr)
				if s.language == Metrics {
					e, err := l.parser.ParseExpr(r.Expr)
					if err != nil {
						return nil, fmt.Errorf("%s: group %q, rule %q: %w", path, g.Name, r.name(), err)
					}
					expr = e.String() // as Prometheus hands it to the query function
				}
				out[specKey{key, r.name(), expr}] = s
				if _, taken := out[specKey{group: key, expr: expr}]; !taken {
					out[specKey{group: key, expr: expr}] = spec{language: s.language}
				}
			}
		}
	}
	return out, nil
}
