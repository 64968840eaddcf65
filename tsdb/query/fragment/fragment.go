package fragment

import (
	"errors"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/storage"
)

// ErrFallback says that a fragment's data needs Prometheus' engine.
var ErrFallback = errors.New("data needs the general engine")

// Grid is the times at which an expression is evaluated, milliseconds.
type Grid struct {
	Start, End int64 // both included
	Step       int64 // positive, also where there is one time only
}

// Steps is the number of times.
func (g Grid) Steps() int {
	if g.End < g.Start {
		return 0
	}
	return int((g.End-g.Start)/g.Step) + 1
}

// At is the time of a step.
func (g Grid) At(step int) int64 { return g.Start + int64(step)*g.Step }

// Fragment is a part of an expression that Evaluate computes.
type Fragment struct {
	grid     Grid
	matchers []*labels.Matcher
	offset   int64 // milliseconds
	lookback int64 // how old a sample an instant sees, milliseconds

	// call is the function over a range; nil for an instant selector.
	call *rangeCall
	// In place of a selector and call:
	join  *join
	sets  *setOperation
	inner *Fragment // what a function of histograms is of

	values []operation

	function *bucketFunction // of what there is then; nil for none

	dropName bool // a function or operation drops the metric's name
	delayed  bool // it drops it at the end of the evaluation
	stats    bool // of native histograms, counts and sums are looked at only
	direct   bool // nothing is made of several histograms, but by a function over a range
	sub      bool // a subquery is of it
	agg      *aggregation

	pos  posrange.PositionRange
	text string // of the expression
}

// aggregation is one over the series of a group.
type aggregation struct {
	op       parser.ItemType
	without  bool
	grouping []string               // sorted
	param    float64                // from 0 to 1 of a quantile; how many of topk, at least 1
	label    string                 // of the values that are counted
	pos      posrange.PositionRange // that remarks are about
}

// hints tell the store what will be read. The step is left out: it makes
// Prometheus' head cache chunks in a way that is not safe for several workers.
func (f *Fragment) hints() *storage.SelectHints {
	span := f.lookback
	h := &storage.SelectHints{DisableTrimming: true}
	if f.call != nil {
		span = f.call.span
		h.Range, h.Func = f.call.span, f.call.name
	}
	last := f.grid.At(f.grid.Steps() - 1)
	h.Start = f.grid.Start - f.offset - span + 1
	h.End = last - f.offset
	if f.agg != nil {
		h.By, h.Grouping = !f.agg.without, f.agg.grouping
	}
	return h
}

// namePinned reports whether all series have the same name, so that dropping it
// cannot make two of them one.
func (f *Fragment) namePinned() bool { return f.pinnedName() != "" }

// pinnedName is the name that all series have, "" if they may have several.
func (f *Fragment) pinnedName() string {
	for _, m := range f.matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}
