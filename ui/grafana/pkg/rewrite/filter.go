package rewrite

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Filter is an ad-hoc filter of a dashboard.
type Filter struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"` // =  !=  =~  !~  <  >  =| (one of)  !=| (none of)
	Value    string   `json:"value"`
	Values   []string `json:"values,omitempty"`
}

// oneOf turns the operators on several values into a regular expression.
func (f Filter) oneOf() Filter {
	if f.Operator != "=|" && f.Operator != "!=|" {
		return f
	}
	values := f.Values
	if len(values) == 0 {
		values = []string{f.Value}
	}
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = regexp.QuoteMeta(v)
	}
	out := Filter{Key: f.Key, Operator: "=~", Value: strings.Join(parts, "|")}
	if f.Operator == "!=|" {
		out.Operator = "!~"
	}
	return out
}

// usable leaves out filters that are still being filled in.
func usable(filters []Filter) []Filter {
	var out []Filter
	for _, f := range filters {
		if f.Key != "" && f.Operator != "" {
			out = append(out, f.oneOf())
		}
	}
	return out
}

var scopes = []string{"resource", "span", "event", "link", "instrumentation"}

// LabelName is the label of metrics and logs that holds what a key names:
// resource.service.name is service_name there.
func LabelName(key string) string {
	if scope, rest, ok := strings.Cut(key, "."); ok && slices.Contains(scopes, scope) {
		key = rest
	} else if key[0] == '.' {
		key = key[1:]
	}
	out := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, key)
	if out != "" && out[0] >= '0' && out[0] <= '9' {
		return "_" + out
	}
	return out
}

// intrinsics are what TraceQL knows of every span without a scope.
var intrinsics = []string{
	"name", "status", "statusMessage", "kind", "duration", "traceDuration", "rootName", "rootServiceName", "traceID", "spanID",
	"span:name", "span:status", "span:kind", "span:duration", "span:id", "trace:id", "trace:duration", "trace:rootName", "trace:rootService",
	"instrumentation:name", "instrumentation:version", "event:name",
}

// promoted are beginnings of the resource attributes that are labels of metrics
// and streams, as Belfry promotes them.
var promoted = []string{"service_", "k8s_", "host_", "cloud_", "deployment_environment", "container_"}

// Attribute is TraceQL's name of what a key names: service_name, a label, is
// resource.service.name there.
func Attribute(key string) string {
	if slices.Contains(intrinsics, key) || key[0] == '.' {
		return key
	}
	if scope, _, ok := strings.Cut(key, "."); ok && slices.Contains(scopes, scope) {
		return key
	}
	if !strings.Contains(key, ".") {
		for _, p := range promoted {
			if strings.HasPrefix(key, p) {
				return "resource." + strings.ReplaceAll(key, "_", ".")
			}
		}
	}
	return "." + key
}

var isNumber = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// condition is a filter as TraceQL writes it within braces.
func (f Filter) condition() string {
	key := Attribute(f.Key)
	quotedValue := strconv.Quote(f.Value)
	switch strings.TrimPrefix(strings.TrimPrefix(key, "span:"), "trace:") {
	case "status", "kind":
		if f.Operator == "=~" || f.Operator == "!~" {
			return keywordCondition(key, f)
		}
		return key + " " + f.Operator + " " + f.Value
	case "duration", "traceDuration":
		return key + " " + f.Operator + " " + f.Value
	}
	if isNumber.MatchString(f.Value) {
		switch f.Operator {
		case "=":
			return "(" + key + " = " + quotedValue + " || " + key + " = " + f.Value + ")"
		case "!=":
			return "(" + key + " != " + quotedValue + " && " + key + " != " + f.Value + ")"
		case "<", ">", "<=", ">=":
			return key + " " + f.Operator + " " + f.Value
		}
	}
	return key + " " + f.Operator + " " + quotedValue
}

// keywordCondition spells out alternatives of what has no regular expressions.
func keywordCondition(key string, f Filter) string {
	op, join := "=", " || "
	if f.Operator == "!~" {
		op, join = "!=", " && "
	}
	var parts []string
	for v := range strings.SplitSeq(f.Value, "|") {
		parts = append(parts, key+" "+op+" "+v)
	}
	return "(" + strings.Join(parts, join) + ")"
}
