package traceql

import (
	"strings"

	"belfry/traces"
)

// Label is a name and a typed value of a series.
type Label struct {
	Name  string
	Value traces.Value
}

// Labels identify a series, in the order of the query's by().
type Labels []Label

// String returns the labels as Prometheus writes them, with names in quotes
// where they are not plain identifiers.
func (l Labels) String() string {
	var out strings.Builder
	out.WriteByte('{')
	for i, label := range l {
		if i > 0 {
			out.WriteString(", ")
		}
		if isIdentifier(label.Name) {
			out.WriteString(label.Name)
		} else {
			out.WriteString(Static{TypeString, traces.String(label.Name)}.String())
		}
		out.WriteByte('=')
		out.WriteString(Static{TypeString, traces.String(label.Value.Text())}.String())
	}
	out.WriteByte('}')
	return out.String()
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		if !isLetter(s[i]) && (i == 0 || !isDigit(s[i])) {
			return false
		}
	}
	return s != ""
}

// nameLabel names a series that has no other labels, as in Prometheus.
const nameLabel = "__name__"

// without returns the labels but for the name of the function.
func (l Labels) withoutName() Labels {
	if len(l) == 1 && l[0].Name == nameLabel {
		return nil
	}
	return l
}

// Point is a series' value for the step that ends at Time.
type Point struct {
	Time  int64 // nanoseconds
	Value float64
}

// Exemplar is a span behind a series.
type Exemplar struct {
	Time    int64 // nanoseconds: the span's start
	Value   float64
	TraceID traces.TraceID
	SpanID  traces.SpanID
}

// Series is one result of a metrics query.
type Series struct {
	Labels    Labels
	Points    []Point // by time; steps without value are left out
	Exemplars []Exemplar
}
