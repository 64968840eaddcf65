package api

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	_ = os.Setenv("BELFRY_SLAB_GUARD", "1") // to read memory that was given back is a crash
	goleak.VerifyTestMain(m)
}
