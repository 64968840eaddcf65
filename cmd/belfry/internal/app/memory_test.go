package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAvailableMemoryIsThatOfTheMachineOrLess(t *testing.T) {
	n := availableMemory()
	require.Greater(t, n, int64(64<<20))
	require.Less(t, n, int64(1)<<50)
}
