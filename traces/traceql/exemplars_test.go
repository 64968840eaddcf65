package traceql

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExemplarsOfTheWholeAnswer(t *testing.T) {
	for _, c := range []struct {
		asked, quantiles int
		have, want       []int
	}{
		{100, 0, []int{20, 30}, []int{20, 30}},
		{10, 0, []int{20, 30}, []int{5, 5}},
		{10, 0, []int{2, 30, 30}, []int{2, 4, 4}},
		{10, 2, []int{20, 30}, []int{2, 3}},
		{3, 2, []int{20, 30}, []int{1, 0}},
		{2, 0, []int{5, 5, 5}, []int{1, 1, 0}},
		{0, 0, []int{0, 0}, []int{0, 0}},
	} {
		a := newAggregator(&Metrics{Func: "rate", Quantiles: make([]float64, c.quantiles)}, &RangeRequest{To: 1, Step: 1, Exemplars: c.asked}, Limits{})
		for i, n := range c.have {
			g := a.add(strconv.Itoa(i), nil)
			for at := range n {
				g.exemplars = append(g.exemplars, Exemplar{Time: int64(n - at)})
			}
		}
		a.trimExemplars()
		for i, n := range c.want {
			require.Len(t, a.groups[strconv.Itoa(i)].exemplars, n, "%+v", c)
		}
	}
}

func TestExemplarsAreSpreadOverTime(t *testing.T) {
	var list []Exemplar
	for i := range 100 {
		list = append(list, Exemplar{Time: int64(i * 37 % 100)})
	}
	var times []int64
	for _, e := range spread(list, 4) {
		times = append(times, e.Time)
	}
	require.Equal(t, []int64{12, 37, 62, 87}, times)
}
