package config

import (
	"fmt"
	"sort"
	"strings"
)

// Fault is one thing wrong with a configuration file.
type Fault struct {
	File    string
	Line    int    // 1-based; 0 where the fault has no place in the file
	Path    string // dotted path of the value, as in metrics.retention.time
	Message string
}

func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path)
		b.WriteString(": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults is all that is wrong with a file, in the order of its lines. It is the
// error type that Decode returns.
type Faults []Fault //nolint:errname // a list of faults, which is an error as a whole

func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

func (fs Faults) orNil() error {
	if len(fs) == 0 {
		return nil
	}
	sort.SliceStable(fs, func(i, j int) bool { return fs[i].Line < fs[j].Line })
	return fs
}
