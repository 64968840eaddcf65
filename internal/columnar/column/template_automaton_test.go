package column

import (
	"math/rand/v2"
	"regexp"
	"testing"

	"belfry/internal/columnar/automaton"

	"github.com/stretchr/testify/require"
)

// TestTemplateRun: what a run over templates says of a value is what the regexp says, with and
// without room to note where literals lead; it is mostly not at a loss.
func TestTemplateRun(t *testing.T) {
	c := codec(t)
	for name, f := range textMakers() {
		rnd := rand.New(rand.NewPCG(5, 7))
		lines := makeLines(rnd, 300, f)
		_, _, chunk, m := templated(t, c, lines)
		got, err := Open(chunk[:m.HeadLen], String, len(lines), memPages{chunk, true}, c, nil)
		require.NoError(t, err)
		expressions := []string{`[0-9]+7`, `^[a-z]+ [0-9]`, `[02468]$`, `(?i)E[A-Z]* [0-9]{2,3}[^0-9]`, `nosuchword`, `[0-9a-f]{8}`, `.`}
		for _, n := range needles(rnd, lines)[:6] {
			expressions = append(expressions, regexp.QuoteMeta(n), `[0-9]+.*`+regexp.QuoteMeta(n)+`[^0]?`, `^.*`+regexp.QuoteMeta(n)+`$`)
		}
		for _, expr := range expressions {
			a := automaton.New(expr)
			if a == nil {
				continue
			}
			re := regexp.MustCompile(expr)
			noted, bare := got.Templates().Run(a), got.Templates().Run(a)
			bare.room = 0
			for i, l := range lines {
				said, err := noted.Match(i)
				require.NoError(t, err)
				requireMatch(t, said, re.MatchString(l), name, l, expr)
				again, err := bare.Match(i)
				require.NoError(t, err)
				require.Equal(t, said, again)
				if id := got.Templates().Of(i); said == Maybe {
					text := got.Templates().list[id].text
					require.True(t, len(text) == 0 || !isPlain(text) || string(text) == restTemplate, "%q of %q", l, text)
				}
			}
		}
	}
}
