package logstest

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logql/syntax"

	"github.com/stretchr/testify/require"
)

//go:embed testdata/*.logql
var scripts embed.FS

// Queries returns all queries of the scripts, as seeds of fuzz tests.
func Queries() []string {
	var out []string
	files, _ := scripts.ReadDir("testdata")
	for _, f := range files {
		src, _ := scripts.ReadFile("testdata/" + f.Name())
		for _, b := range parseScript(string(src)) {
			if !strings.HasPrefix(b.command, "load") {
				out = append(out, b.input)
			}
		}
	}
	return out
}

type block struct{ comment, command, input, want string }

func parseScript(src string) []block {
	var blocks []block
	for chunk := range strings.SplitSeq(strings.ReplaceAll(src, "\r", ""), "\n\n") {
		var b block
		for chunk = strings.Trim(chunk, "\n"); strings.HasPrefix(chunk, "#"); {
			line, rest, _ := strings.Cut(chunk, "\n")
			b.comment += line + "\n"
			chunk = rest
		}
		head, want, _ := strings.Cut(chunk+"\n", "----\n")
		b.command, b.input, _ = strings.Cut(strings.TrimSuffix(head, "\n"), "\n")
		b.want = strings.TrimSuffix(want, "\n")
		if b.command != "" || b.comment != "" {
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// Scripts runs the LogQL scripts, each on a store of its own. With rewrite the
// outputs are written into the files below the working directory.
func Scripts(t *testing.T, newStore func(t *testing.T) logs.Store, rewrite bool) {
	files, err := scripts.ReadDir("testdata")
	require.NoError(t, err)
	for _, f := range files {
		t.Run(strings.TrimSuffix(f.Name(), ".logql"), func(t *testing.T) {
			src, err := scripts.ReadFile("testdata/" + f.Name())
			require.NoError(t, err)
			store := newStore(t)
			engine := logql.NewEngine(logql.Options{Querier: store})
			var out strings.Builder
			for _, b := range parseScript(string(src)) {
				out.WriteString(b.comment)
				if b.command == "" {
					out.WriteString("\n")
					continue
				}
				got := strings.TrimSuffix(runBlock(t, store, engine, b), "\n")
				if !rewrite && got != b.want {
					t.Errorf("%s\n%s\nwant:\n%s\ngot:\n%s", b.command, b.input, b.want, got)
				}
				fmt.Fprintf(&out, "%s\n%s\n----\n%s\n\n", b.command, b.input, got)
			}
			if rewrite {
				require.NoError(t, os.WriteFile(filepath.Join("testdata", f.Name()), []byte(strings.TrimSuffix(out.String(), "\n")), 0o600))
			}
		})
	}
}

func runBlock(t *testing.T, store logs.Store, engine *logql.Engine, b block) string {
	t.Helper()
	args := strings.Fields(b.command)
	switch args[0] {
	case "load":
		load(t, store, b.input)
		return "ok"
	case "parse":
		e, err := syntax.Parse(b.input)
		if err != nil {
			return err.Error()
		}
		return e.String()
	case "logs":
		return runLogs(t, engine, args[1:], b.input)
	case "range":
		require.Len(t, args, 4, b.command)
		r, err := engine.Range(t.Context(), logql.Params{
			Tenant: Tenant, Query: b.input, Start: at(t, args[1]), End: at(t, args[2]), Step: duration(t, args[3]),
		})
		if err != nil {
			return "error: " + strings.TrimSpace(err.Error())
		}
		var out strings.Builder
		for _, s := range r.Matrix {
			out.WriteString(s.Metric.String())
			for _, p := range s.Floats {
				out.WriteString(" " + strconv.FormatFloat(p.F, 'g', 8, 64) + "@" + offset(p.T*1e6))
			}
			out.WriteString("\n")
		}
		return out.String()
	case "instant":
		require.Len(t, args, 2, b.command)
		r, err := engine.Instant(t.Context(), Tenant, b.input, at(t, args[1]))
		if err != nil {
			return "error: " + strings.TrimSpace(err.Error())
		}
		if r.Kind == logql.KindScalar {
			return "scalar " + strconv.FormatFloat(r.Scalar.V, 'g', 8, 64)
		}
		var out strings.Builder
		for _, s := range r.Vector {
			out.WriteString(s.Metric.String() + " " + strconv.FormatFloat(s.F, 'g', 8, 64) + "\n")
		}
		return out.String()
	}
	t.Fatalf("unknown command %q", b.command)
	return ""
}

func runLogs(t *testing.T, engine *logql.Engine, args []string, query string) string {
	t.Helper()
	p := logql.Params{Tenant: Tenant, Query: query, Start: Epoch, End: Epoch.Add(time.Hour), Limit: 100, Direction: logs.Forward}
	for _, a := range args {
		key, value, _ := strings.Cut(a, "=")
		switch key {
		case "backward":
			p.Direction = logs.Backward
		case "limit":
			n, err := strconv.Atoi(value)
			require.NoError(t, err)
			p.Limit = n
		case "interval":
			p.Interval = duration(t, value)
		case "from":
			p.Start = at(t, value)
		case "to":
			p.End = at(t, value)
		default:
			t.Fatalf("unknown argument %q", a)
		}
	}
	r, err := engine.Range(t.Context(), p)
	if err != nil {
		return "error: " + strings.TrimSpace(err.Error())
	}
	var out strings.Builder
	for _, e := range r.Entries {
		fmt.Fprintf(&out, "%s %s%s%s %s\n", offset(e.Time), list(e.Stream, "{", "}"), list(e.Metadata, "[", "]"), list(e.Parsed, "(", ")"), e.Line)
	}
	return out.String()
}

func list(labels []logs.Label, open, end string) string {
	if len(labels) == 0 {
		return ""
	}
	parts := make([]string, len(labels))
	for i, l := range labels {
		parts[i] = l.Name + "=" + strconv.Quote(l.Value)
	}
	return open + strings.Join(parts, ", ") + end
}

func offset(t int64) string { return time.Unix(0, t).Sub(Epoch).String() }

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	require.NoError(t, err)
	return d
}

func at(t *testing.T, s string) time.Time { t.Helper(); return Epoch.Add(duration(t, s)) }

// load writes streams: a selector, then lines "OFFSET TEXT ;; name=value …".
func load(t *testing.T, store logs.Store, input string) {
	t.Helper()
	var stream []logs.Label
	for line := range strings.SplitSeq(input, "\n") {
		line = strings.TrimLeft(line, " ")
		if strings.HasPrefix(line, "{") {
			ms, err := syntax.ParseMatchers(line)
			require.NoError(t, err)
			stream = nil
			for _, m := range ms {
				stream = append(stream, logs.Label{Name: m.Name, Value: m.Value})
			}
			continue
		}
		when, text, _ := strings.Cut(line, " ")
		text, meta, _ := strings.Cut(strings.TrimLeft(text, " "), " ;; ")
		if strings.HasPrefix(text, "\"") && strings.HasSuffix(text, "\"") {
			if unquoted, err := strconv.Unquote(text); err == nil {
				text = unquoted
			}
		}
		l := Line{At: duration(t, when), Text: text}
		for f := range strings.FieldsSeq(meta) {
			k, v, _ := strings.Cut(f, "=")
			l.Metadata = append(l.Metadata, logs.Label{Name: k, Value: v})
		}
		res, err := store.Append(t.Context(), Tenant, Request(stream, l))
		require.NoError(t, err)
		require.Equal(t, logs.AppendResult{Accepted: 1}, res)
	}
}
