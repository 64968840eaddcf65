package tracestest_test

import (
	"flag"
	"testing"

	"belfry/traces/tracestest"
)

var _ = flag.Bool("rewrite", false, "write the answers into the script files")

func TestScriptsInMemory(t *testing.T) {
	tracestest.RunScripts(t, "testdata/*.txt", func(*testing.T) tracestest.Store { return tracestest.NewMemory() })
}
