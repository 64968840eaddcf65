package shop

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTroubleComesAndGoes(t *testing.T) {
	require.Zero(t, TroubleAt(0))
	require.Equal(t, 0.4, TroubleAt(time.Minute).PaymentErrorRate)
	require.Equal(t, TroubleAt(time.Minute), TroubleAt(period+time.Minute), "the timetable repeats")
	require.Positive(t, TroubleAt(200*time.Second).CatalogDelay)
	require.Zero(t, TroubleAt(260*time.Second))
	require.True(t, TroubleAt(300*time.Second).StockOut)
}

func TestSearchWantsEveryWord(t *testing.T) {
	require.Len(t, search(goods(), "red rope"), 1)
	require.Empty(t, search(goods(), "gold"))
	found := search(goods(), "bell")
	require.NotEmpty(t, found)
	for i := 1; i < len(found); i++ {
		require.LessOrEqual(t, found[i-1].Cents, found[i].Cents)
	}
}
