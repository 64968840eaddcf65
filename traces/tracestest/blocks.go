package tracestest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const separator = "----"

// Block is one command of a script.
type Block struct {
	Command  []string // the words of its first line
	Body     []string // the lines below
	comments []string
	line     int
	expected string
}

// RunBlocks runs the blocks of the files that match a pattern. begin is called
// for each file, and gives what answers its blocks in turn; an error is an answer
// as well. If the test has a flag "rewrite" that is set, the answers are written
// into the files instead of being compared.
func RunBlocks(t *testing.T, pattern string, begin func(t *testing.T) func(Block) (string, error)) {
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files, "no script matches %s", pattern)
	rewrite := flag.Lookup("rewrite") != nil && flag.Lookup("rewrite").Value.String() == "true"
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			runFile(t, file, begin(t), rewrite)
		})
	}
}

func parseScript(text string) []Block {
	var blocks []Block
	var b Block
	inAnswer, begun := false, false
	finish := func() {
		if begun {
			b.expected = strings.TrimSuffix(b.expected, "\n")
			blocks = append(blocks, b)
		}
		comments := b.comments
		if begun {
			comments = nil
		}
		b, inAnswer, begun = Block{comments: comments}, false, false
	}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case line == "" && (inAnswer || !begun):
			if !begun && len(b.comments) > 0 {
				b.comments = append(b.comments, "")
				continue
			}
			finish()
		case line == separator:
			inAnswer = true
		case inAnswer:
			b.expected += line + "\n"
		case !begun && strings.HasPrefix(line, "#"):
			b.comments = append(b.comments, line)
		case !begun:
			b.line, b.Command, begun = i+1, strings.Fields(line), true
		default:
			b.Body = append(b.Body, line)
		}
	}
	finish()
	return blocks
}

func runFile(t *testing.T, file string, answerTo func(Block) (string, error), rewrite bool) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var out strings.Builder
	for _, b := range parseScript(string(text)) {
		answer, err := answerTo(b)
		if err != nil {
			answer = "error: " + err.Error()
		}
		answer = strings.TrimSuffix(answer, "\n")
		for _, c := range b.comments {
			out.WriteString(c + "\n")
		}
		out.WriteString(strings.Join(b.Command, " ") + "\n")
		for _, line := range b.Body {
			out.WriteString(line + "\n")
		}
		out.WriteString(separator + "\n" + answer + "\n\n")
		if !rewrite && answer != b.expected {
			t.Errorf("%s:%d: %s\n%s\nexpected:\n%s\ngot:\n%s", file, b.line, strings.Join(b.Command, " "), strings.Join(b.Body, "\n"), b.expected, answer)
		}
	}
	if rewrite {
		require.NoError(t, os.WriteFile(file, []byte(strings.TrimSuffix(out.String(), "\n")), 0o644))
	}
}
