package lint

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxLines keeps a file to one subject. Tests may be longer; generated files are not read.
const (
	maxLines     = 900
	maxTestLines = 1500
)

func TestFilesStayReadable(t *testing.T) {
	for _, p := range listPackages(t) {
		entries, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		require.NoError(t, err)
		for _, name := range entries {
			src, err := os.ReadFile(name)
			require.NoError(t, err)
			if bytes.HasPrefix(src, []byte("// Code generated")) || bytes.Contains(src, []byte("\n// Code generated")) {
				continue
			}
			limit := maxLines
			if strings.HasSuffix(name, "_test.go") {
				limit = maxTestLines
			}
			if n := bytes.Count(src, []byte("\n")); n > limit {
				t.Errorf("%s has %d lines, over %d: does it still have one subject?", name, n, limit)
			}
		}
	}
}
