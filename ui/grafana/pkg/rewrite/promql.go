package rewrite

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

func promParser() parser.Parser {
	return parser.NewParser(parser.Options{
		EnableExperimentalFunctions: true, ExperimentalDurationExpr: true, EnableExtendedRangeSelectors: true,
	})
}

// ParsePromQL says whether an expression is PromQL.
func ParsePromQL(expr string) error {
	_, err := promParser().ParseExpr(expr)
	return err
}

var matchTypes = map[string]labels.MatchType{
	"=": labels.MatchEqual, "!=": labels.MatchNotEqual, "=~": labels.MatchRegexp, "!~": labels.MatchNotRegexp,
}

// PromQL adds filters to every selector and groupings to every aggregation of an
// expression, but for those that group without something.
func PromQL(expr string, filters []Filter, groupBy []string) (string, error) {
	filters = usable(filters)
	if len(filters) == 0 && len(groupBy) == 0 {
		return expr, nil
	}
	tree, err := promParser().ParseExpr(expr)
	if err != nil {
		return "", err
	}
	var matchers []*labels.Matcher
	for _, f := range filters {
		t, ok := matchTypes[f.Operator]
		if !ok {
			return "", fmt.Errorf("labels of metrics cannot be filtered by %s: use =, !=, =~ or !~", f.Operator)
		}
		m, err := labels.NewMatcher(t, LabelName(f.Key), f.Value)
		if err != nil {
			return "", fmt.Errorf("the filter on %s: %w", f.Key, err)
		}
		matchers = append(matchers, m)
	}
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			n.LabelMatchers = append(n.LabelMatchers, matchers...)
		case *parser.AggregateExpr:
			for _, key := range groupBy {
				if name := LabelName(key); !n.Without && !slices.Contains(n.Grouping, name) {
					n.Grouping = append(n.Grouping, name)
				}
			}
		}
		return nil
	})
	return tree.String(), nil
}
