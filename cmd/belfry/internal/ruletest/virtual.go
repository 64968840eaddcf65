package ruletest

import (
	"fmt"
	"io"
	"os"
	"testing"
	"testing/synctest"
)

// Main runs the tests of files for a command and ends the process: with 0 where
// all passed, else with 1. Its bubbles are those of package testing, which gives
// them to tests only, so the whole run is one test of a test binary.
func Main(out io.Writer, run func(virtual func(func())) []Result) {
	os.Args = os.Args[:1] // package testing has flags of its own
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "rules", F: func(t *testing.T) {
		results := run(func(f func()) { synctest.Test(t, func(*testing.T) { f() }) })
		os.Exit(report(out, results))
	}}}, nil, nil)
}

func report(out io.Writer, results []Result) (code int) {
	for _, r := range results {
		if len(r.Errors) == 0 {
			fmt.Fprintf(out, "%s: ok, %d test(s)\n", r.File, r.Tests)
			continue
		}
		code = 1
		fmt.Fprintf(out, "%s: FAILED\n", r.File)
		for _, err := range r.Errors {
			fmt.Fprintf(out, "  %s\n", err)
		}
	}
	return code
}
