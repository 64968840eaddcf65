package rewrite

import (
	"slices"
	"strconv"
	"strings"
)

// LogQL adds filters at the end of every pipeline, where streams' labels,
// metadata and parsed fields are all known, and groupings to every aggregation
// that does not group without something.
func LogQL(expr string, filters []Filter, groupBy []string) (string, error) {
	filters = usable(filters)
	if len(filters) == 0 && len(groupBy) == 0 {
		return expr, nil
	}
	tokens, err := scan(expr)
	if err != nil {
		return "", err
	}
	var stages strings.Builder
	for _, f := range filters {
		stages.WriteString(" | " + LabelName(f.Key) + " " + logOperator(f.Operator) + " " + logValue(f))
	}
	var edits []edit
	if stages.Len() > 0 {
		for i := range tokens {
			if tokens[i].s == "{" && tokens[i].kind == mark {
				edits = append(edits, edit{pipelineEnd(tokens, i), stages.String()})
			}
		}
	}
	for _, key := range groupBy {
		edits = append(edits, groupLogs(tokens, LabelName(key))...)
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.pos - b.pos })
	return apply(expr, edits), nil
}

func logOperator(op string) string { return op }

func logValue(f Filter) string {
	if (f.Operator == "<" || f.Operator == ">") && isNumber.MatchString(f.Value) {
		return f.Value
	}
	return strconv.Quote(f.Value)
}

// pipelineEnd returns where the pipeline of the selector that opens at i ends:
// before its range, before unwrap, before the parenthesis around it, or with
// the expression.
func pipelineEnd(tokens []token, i int) int {
	depth, end := 0, tokens[i].end
	inSelector := true
	for j := i + 1; j < len(tokens); j++ {
		t := tokens[j]
		if t.kind == mark {
			switch t.s {
			case "}":
				inSelector = false
			case "(":
				depth++
			case ")":
				if depth == 0 {
					return end
				}
				depth--
			case "[":
				if depth == 0 {
					return end
				}
			case "|":
				if !inSelector && depth == 0 && j+1 < len(tokens) && tokens[j+1].s == "unwrap" {
					return end
				}
			}
		}
		end = t.end
	}
	return end
}

var logAggregations = []string{"sum", "avg", "min", "max", "count", "stddev", "stdvar", "topk", "bottomk"}

func groupLogs(tokens []token, label string) []edit {
	var edits []edit
	for i, t := range tokens {
		if t.kind != word || !slices.Contains(logAggregations, t.s) || i+1 >= len(tokens) {
			continue
		}
		next := tokens[i+1]
		switch {
		case next.s == "without":
		case next.s == "by":
			edits = append(edits, addToList(tokens, i+2, label)...)
		case next.s == "(":
			switch after := closing(tokens, i+1) + 1; {
			case after < len(tokens) && tokens[after].s == "by":
				edits = append(edits, addToList(tokens, after+1, label)...)
			case after < len(tokens) && tokens[after].s == "without":
			default:
				edits = append(edits, edit{t.end, " by (" + label + ")"})
			}
		}
	}
	return edits
}

// closing returns the index of the parenthesis that closes the one at i.
func closing(tokens []token, i int) int {
	depth := 0
	for j := i; j < len(tokens); j++ {
		if tokens[j].kind != mark {
			continue
		}
		switch tokens[j].s {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return j
			}
		}
	}
	return len(tokens) - 1
}

// addToList adds a label to the list in parentheses that opens at i, if it is
// not there.
func addToList(tokens []token, i int, label string) []edit {
	if i >= len(tokens) || tokens[i].s != "(" {
		return nil
	}
	end := closing(tokens, i)
	for _, t := range tokens[i:end] {
		if t.s == label {
			return nil
		}
	}
	if end == i+1 {
		return []edit{{tokens[end].pos, label}}
	}
	return []edit{{tokens[end].pos, ", " + label}}
}

// IsLogSelection reports whether a LogQL expression selects lines, not numbers.
func IsLogSelection(expr string) bool {
	tokens, err := scan(expr)
	if err != nil {
		return true // the server says what is wrong
	}
	for _, t := range tokens {
		if t.kind == mark && t.s == "(" {
			continue
		}
		return t.s == "{"
	}
	return true
}

var lineOperators = []string{"|=", "|~", "|>"}

// SearchWords are the texts and expressions that an expression's line filters
// keep, for highlighting.
func SearchWords(expr string) []string {
	tokens, err := scan(expr)
	if err != nil {
		return nil
	}
	var out []string
	filter := "" // the operator whose values are being read
	for i, t := range tokens {
		two := ""
		if i > 0 && tokens[i-1].end == t.pos {
			two = tokens[i-1].s + t.s
		}
		switch {
		case slices.Contains(lineOperators, two):
			filter = two
		case t.kind == text && filter != "":
			if s := searchWord(filter, t.s); s != "" {
				out = append(out, s)
			}
		case t.s == "or" && filter != "":
		case t.s != "|" || filter != "":
			filter = ""
		}
	}
	return out
}

func searchWord(operator, literal string) string {
	value := literal
	if s, err := strconv.Unquote(literal); err == nil {
		value = s
	}
	switch operator {
	case "|~":
		return value
	case "|=":
		return quoteWord(value)
	}
	return ""
}

// quoteWord escapes what a regular expression would read.
func quoteWord(s string) string {
	var out strings.Builder
	for _, r := range s {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}

// Selection is the first selection of lines within a LogQL expression: what the
// numbers of a metric query are computed from.
func Selection(expr string) string {
	tokens, err := scan(expr)
	if err != nil {
		return expr
	}
	for i, t := range tokens {
		if t.kind == mark && t.s == "{" {
			return expr[t.pos:pipelineEnd(tokens, i)]
		}
	}
	return expr
}
