package tracestest_test

import (
	"testing"

	"belfry/traces/tracestest"
)

func TestMemory(t *testing.T) {
	tracestest.RunSuite(t, func(*testing.T) (tracestest.Store, func() tracestest.Store) { return tracestest.NewMemory(), nil })
}
