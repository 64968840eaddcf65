package logstest

import (
	"context"
	"flag"
	"os"
	"testing"

	"belfry/logs"
	"belfry/logs/memstore"
	"belfry/logs/store"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

var rewrite = flag.Bool("rewrite", false, "write the outputs into the scripts")

func TestMain(m *testing.M) {
	_ = os.Setenv("BELFRY_SLAB_GUARD", "1") // to read memory that was given back is a crash
	goleak.VerifyTestMain(m)
}

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

// flushing is a store that has each request in a part of its own when the first
// query comes.
type flushing struct{ *store.Store }

func (f flushing) Append(ctx context.Context, tenant string, request []byte) (logs.AppendResult, error) {
	res, err := f.Store.Append(ctx, tenant, request)
	if err != nil {
		return res, err
	}
	return res, f.Flush(ctx)
}

func newFlushing(t *testing.T) logs.Store {
	t.Helper()
	s, _ := newStore(t).(*store.Store)
	return flushing{s}
}

func TestContractOnMemstore(t *testing.T) { Contract(t, newMemstore) }

func TestContractOnStore(t *testing.T) { Contract(t, newStore) }

func TestContractOnParts(t *testing.T) { Contract(t, newFlushing) }

func TestScriptsOnParts(t *testing.T) { Scripts(t, newFlushing, false) }
