package store_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"belfry/traces/store"
	"belfry/traces/tracestest"
)

func TestMain(m *testing.M) {
	_ = os.Setenv("BELFRY_SLAB_GUARD", "1") // to read memory that was given back is a crash
	goleak.VerifyTestMain(m)
}

func TestSuiteMemtable(t *testing.T) {
	tracestest.RunSuite(t, func(t *testing.T) (tracestest.Store, func() tracestest.Store) {
		dir := t.TempDir()
		s := open(t, dir)
		return s, func() tracestest.Store {
			require.NoError(t, s.Close())
			return open(t, dir)
		}
	})
}

func TestSuiteParts(t *testing.T) {
	tracestest.RunSuite(t, func(t *testing.T) (tracestest.Store, func() tracestest.Store) {
		dir := t.TempDir()
		s := open(t, dir)
		return flushing{s}, func() tracestest.Store {
			require.NoError(t, s.Close())
			return flushing{open(t, dir)}
		}
	})
}

func TestConfigTellsAllFaults(t *testing.T) {
	c := store.DefaultConfig()
	require.NoError(t, c.Validate())
	c.Durability, c.Flush.Size, c.Limits.MaxTraceSpans = "maybe", 1, 0
	err := c.Validate()
	require.ErrorContains(t, err, "durability: must be write or fsync")
	require.ErrorContains(t, err, "flush.size: must be at least 1MiB")
	require.ErrorContains(t, err, "limits.max_trace_spans: must be positive")
}
