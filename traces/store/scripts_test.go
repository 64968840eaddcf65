package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/store"
	"belfry/traces/tracestest"
)

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{
		Dir: dir, Config: store.DefaultConfig(),
		Now: func() time.Time { return time.Unix(0, tracestest.Epoch).Add(time.Hour) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestScriptsFromMemtable(t *testing.T) {
	tracestest.RunScripts(t, "../tracestest/testdata/*.txt", func(t *testing.T) tracestest.Store { return open(t, t.TempDir()) })
}

// flushing writes everything to parts before it is queried.
type flushing struct{ *store.Store }

func (f flushing) Append(ctx context.Context, tenant string, request []byte) (traces.AppendResult, error) {
	r, err := f.Store.Append(ctx, tenant, request)
	if err == nil {
		err = f.Flush(ctx)
	}
	return r, err
}

func TestScriptsFromParts(t *testing.T) {
	tracestest.RunScripts(t, "../tracestest/testdata/*.txt", func(t *testing.T) tracestest.Store { return flushing{open(t, t.TempDir())} })
}
