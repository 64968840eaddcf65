package rewrite

import (
	"regexp"
	"slices"
	"strings"
)

// TraceQL adds filters to every set of spans and groupings to every function
// that computes numbers.
func TraceQL(expr string, filters []Filter, groupBy []string) (string, error) {
	filters = usable(filters)
	if len(filters) == 0 && len(groupBy) == 0 {
		return expr, nil
	}
	tokens, err := scan(expr)
	if err != nil {
		return "", err
	}
	var conditions []string
	for _, f := range filters {
		conditions = append(conditions, f.condition())
	}
	joined := strings.Join(conditions, " && ")
	var edits []edit
	for i, t := range tokens {
		if joined == "" || t.kind != mark || t.s != "{" {
			continue
		}
		end := slices.IndexFunc(tokens[i:], func(t token) bool { return t.kind == mark && t.s == "}" })
		if end < 0 {
			continue // the server says what is wrong
		}
		if end == 1 {
			edits = append(edits, edit{t.end, " " + joined + " "})
			continue
		}
		edits = append(edits, edit{t.end, " ("}, edit{tokens[i+end].pos, ") && " + joined + " "})
	}
	for _, key := range groupBy {
		edits = append(edits, groupSpans(tokens, Attribute(key))...)
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.pos - b.pos })
	return apply(expr, edits), nil
}

var spanFunctions = []string{
	"rate", "count_over_time", "min_over_time", "max_over_time", "avg_over_time", "sum_over_time", "quantile_over_time",
	"histogram_over_time",
}

func groupSpans(tokens []token, attribute string) []edit {
	var edits []edit
	for i, t := range tokens {
		if !isSpanFunction(tokens, i) {
			continue
		}
		after := closing(tokens, i+1) + 1
		if after < len(tokens) && tokens[after].s == "by" {
			edits = append(edits, addToList(tokens, after+1, attribute)...)
			continue
		}
		_ = t
		edits = append(edits, edit{tokens[after-1].end, " by (" + attribute + ")"})
	}
	return edits
}

func isSpanFunction(tokens []token, i int) bool {
	return tokens[i].kind == word && slices.Contains(spanFunctions, tokens[i].s) &&
		i > 0 && tokens[i-1].s == "|" && i+1 < len(tokens) && tokens[i+1].s == "("
}

// IsTraceMetrics reports whether a TraceQL expression computes numbers over time.
func IsTraceMetrics(expr string) bool {
	tokens, err := scan(expr)
	if err != nil {
		return false
	}
	for i := range tokens {
		if isSpanFunction(tokens, i) || i > 0 && tokens[i].s == "compare" && tokens[i-1].s == "|" {
			return true
		}
	}
	return false
}

var traceID = regexp.MustCompile(`^(?i:[0-9a-f]{16}|[0-9a-f]{32})$`)

// TraceID returns the ID of a trace that is an expression by itself.
func TraceID(expr string) (string, bool) {
	s := strings.TrimSpace(expr)
	s = strings.Trim(s, `"`)
	if traceID.MatchString(s) {
		return strings.ToLower(s), true
	}
	return "", false
}
