package traceql

import (
	"cmp"
	"slices"

	"belfry/traces"
)

// comparison counts the values of every attribute of two groups of spans, for compare().
type comparison struct {
	steps  int
	counts [2]map[string]map[string]*valueCounts // baseline and selection: field, then value
}

type valueCounts struct {
	value traces.Value
	total int64
	steps []int64
}

var metaTypes = [2]string{"baseline", "selection"}

// maxCompareValues bounds the values that are told apart of one attribute.
const maxCompareValues = 10_000

func newComparison(steps int) *comparison {
	c := &comparison{steps: steps}
	for i := range c.counts {
		c.counts[i] = map[string]map[string]*valueCounts{}
	}
	return c
}

func (c *comparison) observe(def *Compare, s spanAt, step int) {
	side := 0
	inWindow := def.From == 0 && def.To == 0 || s.span.Start >= def.From && s.span.Start < def.To
	if inWindow && s.holds(def.Selection.Expr) {
		side = 1
	}
	for _, a := range s.span.Attributes {
		c.count(side, FieldRef{Field: traces.Field{Scope: traces.ScopeSpan, Name: a.Key}}.String(), a.Value, step)
	}
	for _, a := range s.span.Resource.Attributes {
		c.count(side, FieldRef{Field: traces.Field{Scope: traces.ScopeResource, Name: a.Key}}.String(), a.Value, step)
	}
	c.count(side, traces.Name, traces.String(s.span.Name), step)
	c.count(side, traces.StatusField, traces.String(s.span.Status.String()), step)
	c.count(side, traces.SpanKindField, traces.String(s.span.Kind.String()), step)
}

func (c *comparison) count(side int, field string, v traces.Value, step int) {
	c.add(side, field, v, step, 1)
}

// add counts a value n times.
func (c *comparison) add(side int, field string, v traces.Value, step int, n int64) {
	values := c.counts[side][field]
	if values == nil {
		values = map[string]*valueCounts{}
		c.counts[side][field] = values
	}
	text := v.Text()
	counts := values[text]
	if counts == nil {
		if len(values) >= maxCompareValues {
			return
		}
		counts = &valueCounts{value: v, steps: make([]int64, c.steps)}
		values[text] = counts
	}
	counts.total += n
	counts.steps[step] += n
}

func (c *comparison) merge(o *comparison) {
	for side := range c.counts {
		for field, values := range o.counts[side] {
			into := c.counts[side][field]
			if into == nil {
				c.counts[side][field] = values
				continue
			}
			for text, from := range values {
				have := into[text]
				if have == nil {
					into[text] = from
					continue
				}
				have.total += from.total
				for i := range from.steps {
					have.steps[i] += from.steps[i]
				}
			}
		}
	}
}

// series returns the most frequent values of each attribute, their sum for each
// group, and an error marker where there are more.
func (c *comparison) series(def *Compare, end func(int) int64) []Series {
	var out []Series
	emit := func(steps []int64, labels ...Label) {
		s := Series{Labels: labels}
		for i, n := range steps {
			s.Points = append(s.Points, Point{Time: end(i), Value: float64(n)})
		}
		out = append(out, s)
	}
	for side, meta := range metaTypes {
		for field, values := range c.counts[side] {
			list := make([]*valueCounts, 0, len(values))
			totals := make([]int64, c.steps)
			for _, v := range values {
				list = append(list, v)
				for i, n := range v.steps {
					totals[i] += n
				}
			}
			slices.SortFunc(list, func(a, b *valueCounts) int {
				return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.value.Text(), b.value.Text()))
			})
			for _, v := range list[:min(len(list), def.TopN)] {
				emit(v.steps, Label{"__meta_type", traces.String(meta)}, Label{field, v.value})
			}
			if len(list) > def.TopN {
				emit(nil, Label{"__meta_type", traces.String(meta)}, Label{"__meta_error", traces.String("__too_many_values__")}, Label{field, traces.String("nil")})
			}
			emit(totals, Label{"__meta_type", traces.String(meta + "_total")}, Label{field, traces.String("nil")})
		}
	}
	return out
}
