package syntax

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

func quote(s string) string { return strconv.Quote(s) }

func (e *LogExpr) selector() string {
	parts := make([]string, len(e.Matchers))
	for i, m := range e.Matchers {
		parts[i] = matcherString(m)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func matcherString(m *labels.Matcher) string { return m.Name + m.Type.String() + quote(m.Value) }

func (e *LogExpr) String() string {
	var b strings.Builder
	b.WriteString(e.selector())
	for _, s := range e.Stages {
		b.WriteByte(' ')
		b.WriteString(s.String())
	}
	return b.String()
}

func (e *RangeAggregation) String() string {
	var b strings.Builder
	b.WriteString(e.Op + "(")
	if e.Op == OpQuantileOverTime {
		b.WriteString(formatFloat(e.Param) + ",")
	}
	b.WriteString(e.Log.String())
	b.WriteString("[" + formatDuration(e.Range) + "]")
	if e.At != nil {
		b.WriteString(" @ " + e.At.String())
	}
	if e.Offset != 0 {
		b.WriteString(" offset " + formatDuration(e.Offset))
	}
	b.WriteByte(')')
	if e.Grouping != nil {
		b.WriteString(" " + e.Grouping.String())
	}
	return b.String()
}

func (a *At) String() string {
	switch {
	case a.Start:
		return "start()"
	case a.End:
		return "end()"
	}
	return strconv.FormatFloat(float64(a.Time.UnixMilli())/1000, 'f', 3, 64)
}

func (g *Grouping) String() string {
	word := "by"
	if g.Without {
		word = "without"
	}
	return word + " (" + strings.Join(g.Labels, ", ") + ")"
}

func (e *VectorAggregation) String() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Grouping != nil {
		b.WriteString(" " + e.Grouping.String() + " ")
	}
	b.WriteByte('(')
	if hasParam(e.Op) {
		b.WriteString(strconv.Itoa(e.Param) + ", ")
	}
	b.WriteString(e.Expr.String() + ")")
	return b.String()
}

func (e *BinaryOperation) String() string {
	var b strings.Builder
	b.WriteString("(" + e.LHS.String() + " " + e.Op)
	if e.Bool {
		b.WriteString(" bool")
	}
	if m := e.Matching; m.On || len(m.Labels) > 0 || m.Card != OneToOne {
		word := " ignoring"
		if m.On {
			word = " on"
		}
		b.WriteString(word + " (" + strings.Join(m.Labels, ", ") + ")")
		if m.Card != OneToOne {
			side := " group_left"
			if m.Card == OneToMany {
				side = " group_right"
			}
			b.WriteString(side + " (" + strings.Join(m.Include, ", ") + ")")
		}
	}
	b.WriteString(" " + e.RHS.String() + ")")
	return b.String()
}

// String writes what is no finite number as an operation with that result: the
// language has no word for it.
func (e *Literal) String() string {
	switch {
	case math.IsNaN(e.Value):
		return "(0 / 0)"
	case math.IsInf(e.Value, 1):
		return "(1 / 0)"
	case math.IsInf(e.Value, -1):
		return "(-1 / 0)"
	}
	return formatFloat(e.Value)
}

func (e *Vector) String() string { return "vector(" + formatFloat(e.Value) + ")" }

func (e *LabelReplace) String() string {
	return "label_replace(" + e.Expr.String() + ", " + quote(e.Dst) + ", " + quote(e.Replacement) + ", " + quote(e.Src) + ", " + quote(e.Source) + ")"
}

func (s *LineFilter) String() string {
	var b strings.Builder
	b.WriteString(s.Op)
	for i, t := range s.Terms {
		if i > 0 {
			b.WriteString(" or")
		}
		if t.IP {
			b.WriteString(" ip(" + quote(t.Text) + ")")
		} else {
			b.WriteString(" " + quote(t.Text))
		}
	}
	return b.String()
}

func extractions(fields []Extraction) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.Label + "=" + quote(f.From)
	}
	return strings.Join(parts, ", ")
}

func (s *JSON) String() string { return strings.TrimSuffix("| json "+extractions(s.Fields), " ") }

func (s *Logfmt) String() string {
	out := "| logfmt "
	if s.Strict {
		out += "--strict "
	}
	if s.KeepEmpty {
		out += "--keep-empty "
	}
	return strings.TrimSuffix(out+extractions(s.Fields), " ")
}

func (s *Regexp) String() string      { return "| regexp " + quote(s.Source) }
func (s *Pattern) String() string     { return "| pattern " + quote(s.Source) }
func (s *Unpack) String() string      { return "| unpack" }
func (s *LabelFilter) String() string { return "| " + s.Cond.String() }
func (s *LineFormat) String() string  { return "| line_format " + quote(s.Template) }
func (s *Decolorize) String() string  { return "| decolorize" }

func (s *LabelFormat) String() string {
	parts := make([]string, len(s.Labels))
	for i, l := range s.Labels {
		if l.IsRename {
			parts[i] = l.Name + "=" + l.Value
		} else {
			parts[i] = l.Name + "=" + quote(l.Value)
		}
	}
	return "| label_format " + strings.Join(parts, ", ")
}

func namesOrMatchers(list []NameOrMatcher) string {
	parts := make([]string, len(list))
	for i, n := range list {
		if parts[i] = n.Name; n.Matcher != nil {
			parts[i] = matcherString(n.Matcher)
		}
	}
	return strings.Join(parts, ", ")
}

func (s *Drop) String() string { return "| drop " + namesOrMatchers(s.Labels) }
func (s *Keep) String() string { return "| keep " + namesOrMatchers(s.Labels) }

func (s *Unwrap) String() string {
	if s.Convert != "" {
		return "| unwrap " + s.Convert + "(" + s.Label + ")"
	}
	return "| unwrap " + s.Label
}

func (c *AndCond) String() string    { return "(" + c.L.String() + " and " + c.R.String() + ")" }
func (c *OrCond) String() string     { return "(" + c.L.String() + " or " + c.R.String() + ")" }
func (c *StringCond) String() string { return matcherString(c.Matcher) }
func (c *NumberCond) String() string { return c.Name + c.Op + c.Text }

func (c *IPCond) String() string {
	op := "="
	if c.Negate {
		op = "!="
	}
	return c.Name + op + "ip(" + quote(c.Text) + ")"
}

func formatFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Inf"
	case math.IsInf(f, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func formatDuration(d time.Duration) string {
	if d < 0 {
		return "-" + formatDuration(-d)
	}
	if d%time.Millisecond == 0 {
		return model.Duration(d).String()
	}
	return d.String()
}
