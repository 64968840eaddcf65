package logstest

import (
	"flag"
	"testing"

	"belfry/logs"
	"belfry/logs/memstore"
)

var rewrite = flag.Bool("rewrite", false, "write the outputs into the scripts")

func newMemstore(*testing.T) logs.Store { return memstore.New(memstore.Options{Now: Now}) }

func TestScriptsOnMemstore(t *testing.T) { Scripts(t, newMemstore, *rewrite) }
