package logs

import (
	"github.com/grafana/regexp"
	"github.com/prometheus/prometheus/model/labels"
)

// Matcher is a condition on the value of a name; a missing value is "".
type Matcher = labels.Matcher

// Filter is a condition on an entry, as plain data: one of the types of this
// file. A nil Filter holds for every entry. Filters are read-only.
type Filter interface{ isFilter() }

type (
	// And holds if all hold; an empty And holds.
	And []Filter
	// Or holds if one holds; an empty Or never does.
	Or []Filter
	// Not holds if Of does not.
	Not struct{ Of Filter }

	// LineContains holds if the line contains Text, byte by byte, with Fold in
	// whatever case.
	LineContains struct {
		Text string
		Fold bool
	}
	// LineMatches holds if Re matches somewhere in the line.
	LineMatches struct{ Re *regexp.Regexp }
	// FieldMatches holds if the value of the matcher's name, a label or
	// metadata, matches.
	FieldMatches struct{ Matcher *Matcher }
)

func (And) isFilter()          {}
func (Or) isFilter()           {}
func (Not) isFilter()          {}
func (LineContains) isFilter() {}
func (LineMatches) isFilter()  {}
func (FieldMatches) isFilter() {}

// All returns the conjunction of filters, any of which may be nil.
func All(filters ...Filter) Filter {
	var all And
	for _, f := range filters {
		switch f := f.(type) {
		case nil:
		case And:
			all = append(all, f...)
		default:
			all = append(all, f)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}
