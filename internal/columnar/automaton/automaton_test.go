package automaton

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var expressions = []string{
	`user [0-9]+7 `, `^user`, `user$`, `^user [0-9]+$`, `a|b|c`, `(?i)UsEr \d+`, `a.*b`, `(?s)a.*b$`, `\d{3,5}x`, `(foo|bar)+baz`,
	`[^a-z]9`, `x?y?z?$`, `(^a|b$)`, `^$`, `$`, `(a$|^b)c?`, `\.\d+ ms`, `(?:ab){2}`, `é|a`, `[[:alpha:]]+7`, `^(?s:.*err.*)$`,
}

// TestAgainstRegexp: an automaton says what the regexp says, of texts that are taken in one piece or in several.
func TestAgainstRegexp(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"user ", "7", "123", " ", "a", "b", "ab", "foo", "bar", "baz", "x", "y", "z", "USER 4", "\n", ".5 ms", "c", "err"}
	for _, expr := range expressions {
		a := New(expr)
		re := regexp.MustCompile(expr)
		if a == nil {
			require.True(t, re.MatchString(""), expr)
			continue
		}
		for range 3000 {
			var text strings.Builder
			s := a.Start()
			for range 1 + rnd.IntN(5) {
				p := pieces[rnd.IntN(len(pieces))]
				was := s
				s = a.Step(s, []byte(p))
				text.WriteString(p)
				if a.Final(was) {
					require.Equal(t, was, s)
				}
			}
			require.Equal(t, re.MatchString(text.String()), a.Ends(s), "%q in %q", expr, text.String())
		}
	}
}

func TestWhatFollows(t *testing.T) {
	a := New(`user [0-9]+7 `)
	s := a.Start()
	require.True(t, a.KeepsDigits(s))
	require.False(t, a.KeepsWords(s), "a u may begin a match")
	require.False(t, a.KeepsDigits(a.Step(s, []byte("user "))))
	require.True(t, a.Final(a.Step(s, []byte("user 17 "))))
	a = New(`^x`)
	require.True(t, a.Final(a.Step(a.Start(), []byte("y"))), "it is too late for a match")
}

func TestNone(t *testing.T) {
	for _, expr := range []string{`\bword\b`, `(?m)^x`, ``, `a*`, `(`, strings.Repeat("[ab]", 600), `[ab]*a[ab]{12}`} {
		require.Nil(t, New(expr), expr)
	}
}

// FuzzAgainstRegexp: the same for any expression and any ASCII text.
func FuzzAgainstRegexp(f *testing.F) {
	for _, e := range expressions {
		f.Add(e, "user 127 foo", uint8(3))
	}
	f.Fuzz(func(t *testing.T, expr, text string, cut uint8) {
		re, err := regexp.Compile(expr)
		if err != nil || len(text) == 0 || strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) {
			return
		}
		a := New(expr)
		if a == nil {
			return
		}
		at := int(cut) % len(text)
		s := a.Step(a.Step(a.Start(), []byte(text[:at])), []byte(text[at:]))
		require.Equal(t, re.MatchString(text), a.Ends(s))
	})
}
