package logstest

import (
	"flag"
	"testing"

	"belfry/logs"
	"belfry/logs/memstore"
	"belfry/logs/store"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

var rewrite = flag.Bool("rewrite", false, "write the outputs into the scripts")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newMemstore(*testing.T) logs.Store { return memstore.New(memstore.Options{Now: Now}) }

func newStore(t *testing.T) logs.Store {
	t.Helper()
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: store.DefaultConfig(), Now: Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestScriptsOnMemstore(t *testing.T) { Scripts(t, newMemstore, *rewrite) }

func TestScriptsOnStore(t *testing.T) { Scripts(t, newStore, false) }
