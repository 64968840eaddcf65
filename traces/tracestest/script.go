package tracestest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"belfry/traces"
	"belfry/traces/traceql"
)

// RunScripts runs the script files that match a pattern, each on a new store.
func RunScripts(t *testing.T, pattern string, newStore func(t *testing.T) Store) {
	RunBlocks(t, pattern, func(t *testing.T) func(Block) (string, error) {
		store := newStore(t)
		r := &runner{store: store, engine: traceql.NewEngine(store, traceql.Limits{})}
		return func(b Block) (string, error) { return r.run(t, b) }
	})
}

type runner struct {
	store  Store
	engine *traceql.Engine
	cursor *traceql.Cursor
}

const tenantID = "script"

// wholeDay is the range that commands look at unless they say otherwise.
func rangeOf(args map[string]string) (from, to int64, err error) {
	from, to = Epoch, Epoch+int64(24*time.Hour)
	for name, into := range map[string]*int64{"from": &from, "to": &to} {
		if text, ok := args[name]; ok {
			offset, err := parseOffset(text)
			if err != nil {
				return 0, 0, err
			}
			*into = Epoch + offset
		}
	}
	return from, to, nil
}

func (r *runner) run(t *testing.T, b Block) (string, error) {
	args := map[string]string{}
	for _, word := range b.Command[1:] {
		key, value, _ := strings.Cut(word, "=")
		args[key] = value
	}
	from, to, err := rangeOf(args)
	if err != nil {
		return "", err
	}
	body := strings.Join(b.Body, "\n")
	switch b.Command[0] {
	case "load":
		return r.load(t, b.Body)
	case "parse":
		q, err := traceql.Parse(body)
		if err != nil {
			return "", err
		}
		return q.String(), nil
	case "search":
		return r.search(t, body, args, from, to)
	case "range", "instant":
		return r.rangeQuery(t, body, args, from, to)
	case "vector":
		lookback, err := time.ParseDuration(args["lookback"])
		if err != nil {
			return "", err
		}
		v, err := r.engine.Vector(t.Context(), tenantID, body, time.Unix(0, to), lookback)
		if err != nil {
			return "", err
		}
		var out strings.Builder
		for _, s := range v {
			fmt.Fprintf(&out, "%s %v\n", s.Metric, s.F)
		}
		return out.String(), nil
	case "names":
		return r.names(t, from, to)
	case "values":
		return r.values(t, body, from, to)
	case "trace":
		return r.trace(t, body)
	}
	return "", fmt.Errorf("unknown command %q", b.Command[0])
}

func (r *runner) load(t *testing.T, lines []string) (string, error) {
	spans, err := ParseSpans(lines)
	if err != nil {
		return "", err
	}
	result, err := r.store.Append(t.Context(), tenantID, traces.AppendTracesData(nil, spans))
	if err != nil {
		return "", err
	}
	answer := fmt.Sprintf("%d spans", result.Accepted)
	if result.Rejected > 0 {
		answer += fmt.Sprintf(", %d rejected", result.Rejected)
	}
	return answer, nil
}

// shortID drops the zeros in front.
func shortID(id string) string {
	if short := strings.TrimLeft(id, "0"); short != "" {
		return short
	}
	return "0"
}

func (r *runner) search(t *testing.T, query string, args map[string]string, from, to int64) (string, error) {
	q, err := traceql.Parse(query)
	if err != nil {
		return "", err
	}
	req := traceql.SearchRequest{Query: q, From: from, To: to, SpansPerSet: 100}
	for name, into := range map[string]*int{"limit": &req.Limit, "spss": &req.SpansPerSet} {
		if text, ok := args[name]; ok {
			if *into, err = strconv.Atoi(text); err != nil {
				return "", err
			}
		}
	}
	if _, ok := args["next"]; ok {
		req.After = r.cursor
	}
	result, err := r.engine.Search(t.Context(), tenantID, req)
	if err != nil {
		return "", err
	}
	r.cursor = result.Next
	var out strings.Builder
	for _, s := range result.Traces {
		fmt.Fprintf(&out, "%s %s %q %s:", shortID(s.ID.String()), s.RootService, s.RootName, time.Duration(s.Duration))
		for i, set := range s.SpanSets {
			if i > 0 {
				out.WriteString(" |")
			}
			for _, span := range set.Spans {
				out.WriteString(" " + shortID(span.ID.String()) + attributeText(span.Attributes, args))
			}
			if set.Matched > len(set.Spans) {
				fmt.Fprintf(&out, " of %d", set.Matched)
			}
			for _, a := range set.Attributes {
				fmt.Fprintf(&out, " %s=%s", a.Key, a.Value.Text())
			}
		}
		out.WriteByte('\n')
	}
	if len(result.Traces) == 0 {
		out.WriteString("nothing\n")
	}
	if result.Next != nil {
		out.WriteString("more\n")
	}
	return out.String(), nil
}

func attributeText(list []traces.Attribute, args map[string]string) string {
	if _, ok := args["attributes"]; !ok {
		return ""
	}
	var parts []string
	for _, a := range list {
		parts = append(parts, a.Key+"="+a.Value.Text())
	}
	return "(" + strings.Join(parts, " ") + ")"
}

func (r *runner) rangeQuery(t *testing.T, query string, args map[string]string, from, to int64) (string, error) {
	q, err := traceql.Parse(query)
	if err != nil {
		return "", err
	}
	req := traceql.RangeRequest{Query: q, From: from, To: to}
	if text, ok := args["step"]; ok {
		if req.Step, err = parseOffset(text); err != nil {
			return "", err
		}
	}
	if _, ok := args["exemplars"]; ok {
		req.Exemplars = 10
	}
	result, err := r.engine.Range(t.Context(), tenantID, req)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, s := range result.Series {
		out.WriteString(s.Labels.String())
		for _, p := range s.Points {
			fmt.Fprintf(&out, " %s:%.6g", time.Duration(p.Time-Epoch), p.Value)
		}
		slices.SortFunc(s.Exemplars, func(a, b traceql.Exemplar) int { return cmp.Compare(a.Time, b.Time) })
		for _, e := range s.Exemplars {
			fmt.Fprintf(&out, " exemplar %s/%s", shortID(e.TraceID.String()), shortID(e.SpanID.String()))
		}
		out.WriteByte('\n')
	}
	if len(result.Series) == 0 {
		return "nothing", nil
	}
	return out.String(), nil
}

func (r *runner) names(t *testing.T, from, to int64) (string, error) {
	list, err := r.store.Names(t.Context(), tenantID, traces.NamesQuery{From: from, To: to})
	var out strings.Builder
	for _, n := range list {
		fmt.Fprintf(&out, "%s: %s\n", n.Scope, strings.Join(n.Names, " "))
	}
	return out.String(), err
}

// values has a field, and below it a filter if there is one.
func (r *runner) values(t *testing.T, body string, from, to int64) (string, error) {
	name, query, _ := strings.Cut(body, "\n")
	ref, err := traceql.ParseField(name)
	if err != nil {
		return "", err
	}
	q := traces.ValuesQuery{From: from, To: to, Field: ref.Field}
	if query != "" {
		if q.Filter, err = traceql.ParseFilter(query); err != nil {
			return "", err
		}
	}
	list, _, err := r.store.Values(t.Context(), tenantID, q)
	var out strings.Builder
	for _, v := range list {
		fmt.Fprintf(&out, "%s %s %d\n", v.Value.Kind(), v.Value.Text(), v.Spans)
	}
	return out.String(), err
}

func (r *runner) trace(t *testing.T, body string) (string, error) {
	id, err := traces.ParseTraceID(strings.TrimSpace(body))
	if err != nil {
		return "", err
	}
	trace, err := r.store.Trace(t.Context(), tenantID, traces.TraceQuery{ID: id})
	if err != nil {
		return "", err
	}
	tree := traces.NewTree(trace.Spans)
	var out strings.Builder
	depth := make([]int, len(tree.Spans))
	order := make([]int32, len(tree.Spans))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(tree.Left[a], tree.Left[b]) })
	for _, i := range order {
		if p := tree.Parent[i]; p >= 0 {
			depth[i] = depth[p] + 1
		}
		s := &tree.Spans[i]
		fmt.Fprintf(&out, "%s%s %s %s\n", strings.Repeat("  ", depth[i]), shortID(s.ID.String()), s.Name, time.Duration(s.Duration))
	}
	if len(tree.Spans) == 0 {
		return "nothing", nil
	}
	return out.String(), nil
}
