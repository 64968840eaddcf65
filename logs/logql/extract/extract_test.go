package extract

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestTemplatesEnd(t *testing.T) {
	for _, text := range []string{
		`{{ range 9999999999 }}{{ end }}`, `{{ range $i := int .n }}{{ if true }}{{ range 99999 }}{{ end }}{{ end }}{{ end }}`,
		`{{ define "a" }}{{ range 9999999999 }}{{ end }}{{ end }}{{ template "a" }}`, `{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`,
		`{{ range 99999 }}{{ repeat 1000 "x" }}{{ end }}`, `{{ repeat 9999999 "x" }}`, `{{ div 1 0 }}`,
	} {
		tmpl, err := ParseTemplate(text)
		require.NoError(t, err, text)
		_, err = tmpl.Execute(map[string]string{"n": "99999999"}, "", 0)
		require.Error(t, err, text)
	}
	tmpl, err := ParseTemplate(`{{ range fromJson __line__ }}<{{ . }}>{{ end }}`)
	require.NoError(t, err)
	for range 2 {
		out, err := tmpl.Execute(nil, `["a","b"]`, 0)
		require.NoError(t, err)
		require.Equal(t, "<a><b>", out)
	}
}

func TestIP(t *testing.T) {
	for _, c := range []struct {
		matcher, line string
		want          bool
	}{
		{"10.0.0.1", "from 10.0.0.1.", true}, {"10.0.0.1", "from 10.0.0.10", false}, {"10.0.0.1", "10.0.0.1:80", true},
		{"10.0.0.0/8", "[10.9.8.7]", true}, {"10.0.0.0/8", "110.9.8.7", false}, {"::1", "from ::1 port", true},
		{"fe80::/10", "at fe80::1:2", true}, {"1.1.1.1-1.1.1.9", "1.1.1.5", true}, {"1.1.1.1-1.1.1.9", "1.1.1.10", false},
		{"1.2.3.4", "version 1.2.3.4.5", false}, {"1.2.3.4", "face: 1.2.3", false},
	} {
		m, err := ParseIP(c.matcher)
		require.NoError(t, err)
		require.Equal(t, c.want, m.FindIn(c.line), "%s in %q", c.matcher, c.line)
	}
	for _, bad := range []string{"", "x", "1.2.3", "1.1.1.9-1.1.1.1", "1.1.1.1-::1", "1.1.1.1/99"} {
		_, err := ParseIP(bad)
		require.Error(t, err, bad)
	}
	m, _ := ParseIP("10.0.0.0/8")
	require.True(t, m.Contains(netip.MustParseAddr("::ffff:10.1.1.1")))
}

func TestUnits(t *testing.T) {
	for in, want := range map[string]uint64{"42": 42, "1kB": 1000, "1KiB": 1024, "1.5MiB": 3 << 19, "2 GB": 2e9, "1,024B": 1024} {
		got, err := ParseBytes(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, bad := range []string{"", "x", "1XB", "-1B", "99999999EB"} {
		_, err := ParseBytes(bad)
		require.Error(t, err, bad)
	}
	for in, want := range map[string]time.Duration{"5m": 5 * time.Minute, "1d": 24 * time.Hour, "1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond, "2w": 14 * 24 * time.Hour} {
		got, err := ParseDuration(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
}

func TestLinePatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, line string
		want          bool
	}{
		{"a<_>c", "abc", true}, {"a<_>c", "xabc", false}, {"a<_>c", "abcx", false}, {"<_>c", "abc", true}, {"<_>b<_>", "abc", true},
		{"a<_>a", "a", false}, {"a<_>a", "aa", true}, {"a<_>b<_>b", "axb", false}, {"", "", true}, {"", "x", false}, {"<_>", "", true},
		{"a <b> c", "a <b> c", false},
	} {
		p, err := ParseLinePattern(c.pattern)
		if err != nil {
			require.Contains(t, c.pattern, "<b>")
			continue
		}
		require.Equal(t, c.want, p.Match(c.line), "%s on %q", c.pattern, c.line)
	}
}

// FuzzJSON: what encoding/json takes for an object, FlattenJSON takes, with the
// same strings at its top.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":"b\u00e9\n","c":{"d":[1,{"e":null}],"f":1.5e3}}`, `{"a":`, `["x"]`, ` {"a" : true } `, `{"\ud83d\ude00":"\ud83d"}`} {
		f.Add(s, "a.c[0]")
	}
	f.Fuzz(func(t *testing.T, line, path string) {
		got := map[string]string{}
		err := FlattenJSON(line, func(key []byte, value string) {
			if _, ok := got[string(key)]; !ok {
				got[string(key)] = value
			}
		})
		if p, perr := ParsePath(path); perr == nil {
			_, _, _ = p.Lookup(line)
		}
		var want map[string]any
		if !utf8.ValidString(line) || json.Unmarshal([]byte(line), &want) != nil || want == nil || strings.Count(line, "{")+strings.Count(line, "[") > 100 {
			return
		}
		require.NoError(t, err, "%q", line)
		if strings.Count(line, ":") != len(want) {
			return // nested, or with repeated keys
		}
		names := map[string]int{}
		for k := range want {
			names[string(appendLabelName(nil, k))]++
		}
		for k, v := range want {
			name := string(appendLabelName(nil, k))
			if text, ok := v.(string); ok && names[name] == 1 {
				require.Equal(t, text, got[name], "%q", line)
			}
		}
	})
}

// FuzzLine: no line and no pattern panics; strict logfmt takes no more than lenient.
func FuzzLine(f *testing.F) {
	f.Add(`a=b c="d e" =x f`, `<a> - <b>"x`)
	f.Fuzz(func(t *testing.T, line, pattern string) {
		lenient, strict := 0, 0
		require.NoError(t, Logfmt(line, false, func(string, string) { lenient++ }))
		_ = Logfmt(line, true, func(string, string) { strict++ })
		require.LessOrEqual(t, strict, lenient)
		if p, err := ParsePattern(pattern); err == nil {
			p.Extract(line, func(_, value string) { require.Contains(t, line, value) })
		}
		if p, err := ParseLinePattern(pattern); err == nil && p.Match(line) {
			for _, lit := range p.Literals() {
				require.Contains(t, line, lit)
			}
		}
		if m, err := ParseIP(pattern); err == nil {
			_ = m.FindIn(line)
		}
	})
}
