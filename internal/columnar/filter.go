package columnar

import "github.com/grafana/regexp"

// Ref names what a filter looks at. With Kind Any it means every column of that
// name, and the filter holds if it holds for one of them.
type Ref struct {
	Name string
	Kind Kind

	// Stream: a field of the row's stream instead of a column of the row.
	Stream bool
	// Every: every column of the row (every field of its stream, with Stream)
	// of the given kind, whatever its name; Name is ignored.
	Every bool
}

// RowRef refers to the row's columns of that name.
func RowRef(name string) Ref { return Ref{Name: name} }

// StreamRef refers to the stream's field of that name.
func StreamRef(name string) Ref { return Ref{Name: name, Stream: true} }

// EveryColumn refers to all columns of a row.
func EveryColumn() Ref { return Ref{Every: true} }

// EveryStreamField refers to all fields of a stream.
func EveryStreamField() Ref { return Ref{Every: true, Stream: true} }

// Filter is a condition on a row, as plain data: one of the types of this file.
// A nil Filter holds for every row.
//
// Logic has two values. A condition on something that the row does not have is
// false, its Not is true.
//
// Filters are read-only once handed over; the same filter may serve several
// queries at once.
type Filter interface{ isFilter() }

type (
	// And holds if all hold; an empty And holds.
	And []Filter
	// Or holds if one holds; an empty Or never does.
	Or []Filter
	// Not holds if Of does not.
	Not struct{ Of Filter }

	// Equal compares with a value. Int and Float compare by number, in both
	// directions; other kinds are equal only to their own. With AsText the
	// Value is a String and is compared with the value's text form, whatever
	// its kind: Equal{RowRef("status"), String("200"), true} finds the Int 200.
	Equal struct {
		Ref    Ref
		Value  Value
		AsText bool
	}
	// In is Equal with one of many values; thousands are fine.
	In struct {
		Ref    Ref
		Values []Value
		AsText bool
	}
	// Range holds for values between two bounds. A zero bound is open. Numbers
	// compare by number with each other; String, ID, Bytes and JSON
	// compare bytewise with their own kind. NaN is in no range.
	Range struct {
		Ref        Ref
		Min, Max   Value
		ExcludeMin bool
		ExcludeMax bool
	}

	// Contains holds if the text form contains Text, with Fold in whatever case
	// (Unicode simple folding).
	Contains struct {
		Ref  Ref
		Text string
		Fold bool
	}
	// HasPrefix holds if the text form begins with Text.
	HasPrefix struct {
		Ref  Ref
		Text string
	}
	// Words holds if every given word is a word of the text form. A word is a
	// longest run of letters, digits and '_' (any byte from 0x80 up counts as a
	// letter). A given word that is not one word is searched as its words.
	Words struct {
		Ref   Ref
		Words []string
		Fold  bool // in whatever case
	}
	// Regexp holds if Re matches somewhere in the text form; anchor it to match
	// all. Literals that every match must contain are found by the engine.
	Regexp struct {
		Ref Ref
		Re  *regexp.Regexp
	}
	// Exists holds if there is a value.
	Exists struct{ Ref Ref }
	// Func decides with code what plain data cannot say. Match sees each present
	// value of Ref; it must be pure, and must not keep its argument's bytes.
	// It is called from several goroutines. For repeated values it may be called
	// once.
	Func struct {
		Ref   Ref
		Match func(Value) bool
	}
	// InStreams holds for the rows of the given streams.
	InStreams struct{ IDs []StreamID }
	// TimeRange holds for rows with From <= time < To, in nanoseconds.
	TimeRange struct{ From, To int64 }
)

func (And) isFilter()       {}
func (Or) isFilter()        {}
func (Not) isFilter()       {}
func (Equal) isFilter()     {}
func (In) isFilter()        {}
func (Range) isFilter()     {}
func (Contains) isFilter()  {}
func (HasPrefix) isFilter() {}
func (Words) isFilter()     {}
func (Regexp) isFilter()    {}
func (Exists) isFilter()    {}
func (Func) isFilter()      {}
func (InStreams) isFilter() {}
func (TimeRange) isFilter() {}
