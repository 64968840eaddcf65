package syntax

import (
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/prometheus/model/labels"
)

// Expr is a query: a *LogExpr or a SampleExpr. String writes it as LogQL.
type Expr interface {
	String() string
	isExpr()
}

// SampleExpr is an expression whose values are numbers.
type SampleExpr interface {
	Expr
	isSample()
}

// LogExpr selects entries and runs them through stages.
type LogExpr struct {
	Matchers []*labels.Matcher
	Stages   []Stage
}

// RangeAggregation turns the entries of a window into one number per series.
type RangeAggregation struct {
	Op       string  // count_over_time, …
	Param    float64 // of quantile_over_time
	Log      *LogExpr
	Unwrap   *Unwrap // also the stage in Log.Stages that it stands at; nil if there is none
	Range    time.Duration
	Offset   time.Duration
	At       *At
	Grouping *Grouping // nil: none
}

// At fixes the time that a window ends at.
type At struct {
	Start, End bool      // of the query
	Time       time.Time // if neither
}

// Grouping is by (…) or without (…).
type Grouping struct {
	Labels  []string
	Without bool
}

// VectorAggregation combines series.
type VectorAggregation struct {
	Op       string
	Param    int // of topk, bottomk, approx_topk
	Grouping *Grouping
	Expr     SampleExpr
}

// BinaryOperation combines two sides.
type BinaryOperation struct {
	Op       string // + - * / % ^ == != > >= < <= and or unless
	Bool     bool
	Matching Matching
	LHS, RHS SampleExpr
}

// Matching says which series of the two sides belong together.
type Matching struct {
	On      bool // the labels count; otherwise all but them
	Labels  []string
	Card    Cardinality
	Include []string // labels copied from the one side
}

// Cardinality of a Matching.
type Cardinality uint8

// The cardinalities.
const (
	OneToOne  Cardinality = iota
	ManyToOne             // group_left
	OneToMany             // group_right
)

// Literal is a number.
type Literal struct{ Value float64 }

// Vector is vector(number): one series without labels.
type Vector struct{ Value float64 }

// LabelReplace is label_replace(expr, dst, replacement, src, regex).
type LabelReplace struct {
	Expr                          SampleExpr
	Dst, Replacement, Src, Source string         // Source is the regex as written
	Regex                         *regexp.Regexp // anchored
}

func (*LogExpr) isExpr()           {}
func (*RangeAggregation) isExpr()  {}
func (*VectorAggregation) isExpr() {}
func (*BinaryOperation) isExpr()   {}
func (*Literal) isExpr()           {}
func (*Vector) isExpr()            {}
func (*LabelReplace) isExpr()      {}

func (*RangeAggregation) isSample()  {}
func (*VectorAggregation) isSample() {}
func (*BinaryOperation) isSample()   {}
func (*Literal) isSample()           {}
func (*Vector) isSample()            {}
func (*LabelReplace) isSample()      {}

// Stage is one step of a pipeline.
type Stage interface {
	String() string
	isStage()
}

type (
	// LineFilter keeps lines by their text. Terms are alternatives: with a
	// positive Op one must hold, with a negative one none may.
	LineFilter struct {
		Op    string // |= != |~ !~ |> !>
		Terms []LineTerm
	}
	// LineTerm is one alternative of a LineFilter.
	LineTerm struct {
		Text string
		IP   bool           // ip("…")
		Re   *regexp.Regexp // of |~ and !~
	}

	// JSON extracts labels from a JSON line: all, or Fields if there are any.
	JSON struct{ Fields []Extraction }
	// Logfmt extracts labels from a logfmt line: all, or Fields if there are any.
	Logfmt struct {
		Strict    bool
		KeepEmpty bool
		Fields    []Extraction
	}
	// Extraction gives what From addresses the name Label.
	Extraction struct{ Label, From string }
	// Regexp extracts the named groups of a regular expression.
	Regexp struct {
		Source string
		Re     *regexp.Regexp
	}
	// Pattern extracts the captures of a pattern.
	Pattern struct{ Source string }
	// Unpack reads lines that pack wrote.
	Unpack struct{}

	// LabelFilter keeps entries by their labels.
	LabelFilter struct{ Cond Condition }

	// LineFormat rewrites the line by a template.
	LineFormat struct{ Template string }
	// LabelFormat renames labels or sets them by templates.
	LabelFormat struct{ Labels []LabelFmt }
	// LabelFmt is one assignment of a LabelFormat.
	LabelFmt struct {
		Name     string
		Value    string // a label's name (Rename) or a template
		IsRename bool
	}
	// Drop removes labels, Keep all but them; with a Matcher only if it matches.
	Drop struct{ Labels []NameOrMatcher }
	// Keep is described at Drop.
	Keep struct{ Labels []NameOrMatcher }
	// NameOrMatcher names a label, perhaps with a condition.
	NameOrMatcher struct {
		Name    string
		Matcher *labels.Matcher // nil: unconditionally
	}
	// Decolorize removes ANSI color sequences from the line.
	Decolorize struct{}
	// Unwrap makes a label's value the sample.
	Unwrap struct {
		Label   string
		Convert string // "", duration, duration_seconds, bytes
	}
)

func (*LineFilter) isStage()  {}
func (*JSON) isStage()        {}
func (*Logfmt) isStage()      {}
func (*Regexp) isStage()      {}
func (*Pattern) isStage()     {}
func (*Unpack) isStage()      {}
func (*LabelFilter) isStage() {}
func (*LineFormat) isStage()  {}
func (*LabelFormat) isStage() {}
func (*Drop) isStage()        {}
func (*Keep) isStage()        {}
func (*Decolorize) isStage()  {}
func (*Unwrap) isStage()      {}

// Condition is what a LabelFilter tests.
type Condition interface {
	String() string
	isCondition()
}

type (
	// AndCond holds if both hold.
	AndCond struct{ L, R Condition }
	// OrCond holds if one holds.
	OrCond struct{ L, R Condition }
	// StringCond compares a label's text.
	StringCond struct{ Matcher *labels.Matcher }
	// NumberCond compares a label's number; Unit says how both are written.
	NumberCond struct {
		Name  string
		Op    string // == != > >= < <=
		Unit  Unit
		Text  string  // as written
		Value float64 // number, seconds or bytes
	}
	// IPCond compares a label with ip("…").
	IPCond struct {
		Name   string
		Negate bool
		Text   string
	}
)

// Unit is how a number is written.
type Unit uint8

// The units.
const (
	UnitNone Unit = iota
	UnitDuration
	UnitBytes
)

func (*AndCond) isCondition()    {}
func (*OrCond) isCondition()     {}
func (*StringCond) isCondition() {}
func (*NumberCond) isCondition() {}
func (*IPCond) isCondition()     {}
