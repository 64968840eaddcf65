package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Expand returns the files that the patterns name, sorted, each once. A pattern
// without magic must name a file that exists; a glob may match nothing.
func Expand(patterns []string) ([]string, error) {
	var out []string
	for _, p := range patterns {
		matches, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("%q is not a file name pattern: %w", p, err)
		}
		if len(matches) == 0 && !strings.ContainsAny(p, `*?[\`) {
			if _, err := os.Stat(p); err != nil {
				return nil, fmt.Errorf("rule file: %w", err)
			}
		}
		out = append(out, matches...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Resolve returns the patterns with relative ones under dir, the folder of the
// file that they were written in.
func Resolve(dir string, patterns []string) []string {
	out := make([]string, len(patterns))
	for i, p := range patterns {
		if !filepath.IsAbs(p) {
			p = filepath.Join(dir, p)
		}
		out[i] = p
	}
	return out
}
