package store

import (
	"testing"

	"belfry/tsdb/tsdbtest"
)

func TestContract(t *testing.T) {
	tsdbtest.Run(t, func(t *testing.T) tsdbtest.Store { return open(t, t.TempDir(), nil) })
}
