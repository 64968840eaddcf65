package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"belfry/tsdb"
)

// still is a store in which nothing happens but what a test says.
type still struct {
	first   int64
	changed bool
}

func (still) ChangeMark(context.Context) (tsdb.ChangeMark, bool) { return tsdb.ChangeMark{}, true }

func (s still) FirstChange(_ context.Context, _ tsdb.ChangeMark, mint, maxt int64) (int64, bool) {
	return s.first, s.changed && s.first >= mint && s.first <= maxt
}

// counting computes one series whose value is the time, and remembers for which
// steps.
type counting struct{ asked []string }

func (c *counting) compute(step int64) func(context.Context, int64, int64) *promql.Result {
	return func(_ context.Context, start, end int64) *promql.Result {
		c.asked = append(c.asked, fmt.Sprintf("%d-%d", start, end))
		s := promql.Series{Metric: labels.FromStrings("a", "b")}
		for t := start; t <= end; t += step {
			s.Floats = append(s.Floats, promql.FPoint{T: t, F: float64(t)})
		}
		return &promql.Result{Value: promql.Matrix{s}}
	}
}

func TestOnlyWhatIsMissingIsComputed(t *testing.T) {
	c, n := New(1<<20, nil), &counting{}
	ask := func(changes tsdb.ChangeTracker, start, end int64) {
		res := c.Do(context.Background(), changes, Request{Query: "q", Start: start, End: end, Step: 10, Locality: Locality{Back: 50}, Compute: n.compute(10)})
		m := res.Value.(promql.Matrix)
		require.Len(t, m, 1)
		require.Len(t, m[0].Floats, int((end-start)/10+1))
		for i, p := range m[0].Floats {
			require.Equal(t, promql.FPoint{T: start + int64(i)*10, F: float64(start + int64(i)*10)}, p)
		}
	}
	ask(still{}, 100, 200)
	ask(still{}, 120, 180) // within
	ask(still{}, 110, 250) // further
	ask(still{}, 50, 300)  // wider on both sides
	ask(still{}, 55, 75)   // other steps
	ask(still{first: 271, changed: true}, 50, 300)
	require.Equal(t, []string{"100-200", "210-250", "50-90", "260-300", "55-75", "280-300"}, n.asked)
}

func TestFailuresAndWarningsAreNotKept(t *testing.T) {
	c := New(1<<20, nil)
	for _, bad := range []*promql.Result{
		{Err: errors.New("no")},
		{Value: promql.Matrix{}, Warnings: annotations.New().Add(annotations.NewInvalidQuantileWarning(2, posrange.PositionRange{}))},
	} {
		r := Request{Query: "q", Start: 0, End: 10, Step: 10, Compute: func(context.Context, int64, int64) *promql.Result { return bad }}
		res := c.Do(context.Background(), still{}, r)
		require.Equal(t, bad.Err, res.Err)
		require.Empty(t, c.entries)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c, n := New(20_000, nil), &counting{}
	for i := range 100 {
		c.Do(context.Background(), still{}, Request{Query: strconv.Itoa(i), Start: 0, End: 1000, Step: 10, Compute: n.compute(10)})
		require.LessOrEqual(t, c.bytes, 20_000)
	}
	require.NotEmpty(t, c.entries)
	require.Equal(t, len(c.entries), c.recent.Len())
	c.Do(context.Background(), still{}, Request{Query: strings.Repeat("x", 10_000), Start: 0, End: 0, Step: 10, Compute: n.compute(10)})
	require.LessOrEqual(t, c.bytes, 20_000, "one result does not take it all")
}

func TestLocality(t *testing.T) {
	p := parser.NewParser(parser.Options{EnableExperimentalFunctions: true, ExperimentalDurationExpr: true})
	for expr, want := range map[string]*Locality{
		`x`:                               {Back: 300_000},
		`rate(x[10m])`:                    {Back: 900_000},
		`x offset 1h`:                     {Back: 3_900_000},
		`x offset -10m + y`:               {Back: 300_000, Ahead: 600_000},
		`max_over_time(x[1h:1m])`:         {Back: 3_960_000},
		`time()`:                          {},
		`x @ 100`:                         nil,
		`x @ end()`:                       nil,
		`sum(x) * step()`:                 nil,
		`rate({job="a"}[5m])`:             nil,
		`sum_over_time(x[step()])`:        nil,
		`limitk(1, x)`:                    nil,
		`max_over_time(x[1h:1m] @ end())`: nil,
	} {
		e, err := p.ParseExpr(expr)
		require.NoError(t, err, expr)
		got, ok := LocalityOf(e, 5*time.Minute, time.Minute)
		require.Equal(t, want != nil, ok, expr)
		if ok {
			require.Equal(t, *want, got, expr)
		}
	}
}
