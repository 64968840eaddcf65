package fragment

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func testParser() parser.Parser {
	return parser.NewParser(parser.Options{EnableExperimentalFunctions: true, ExperimentalDurationExpr: true, EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true})
}

func rules() Rules {
	return Rules{Grid: Grid{Start: 1_000_000, End: 1_600_000, Step: 60_000}, Lookback: 5 * time.Minute, SubqueryStep: time.Minute, MinSteps: 4}
}

// TestSplit says what becomes of an expression: "root" if all of it is a
// fragment, else what is left for the engine.
func TestSplit(t *testing.T) {
	for expr, want := range map[string]string{
		`sum by (a) (rate(x[5m]))`:                    "root",
		`(sum(x))`:                                    "root",
		`rate(x[5m]) * 100 > 3`:                       "root",
		`-abs(x)`:                                     "root",
		`x`:                                           "root",
		`quantile_over_time(0.9, x[5m])`:              "root",
		`topk(2, sum by (a) (x))`:                     `topk(2, {__fragment__=~"0"})`,
		`sum(rate(x[5m])) / sum(rate(y[5m]))`:         "root",
		`rate(x[5m]) / on (a) rate(y[5m]) > 2`:        "root",
		`max by (a) (x == bool ignoring (b) y)`:       "root",
		`rate(x[5m]) and rate(y[5m])`:                 "root",
		`sum(x > 1 or on (a) y) unless ignoring () z`: "root",
		`rate(x[5m]) and on () vector(1)`:             `{__fragment__=~"0"} and on () vector(1)`,
		`x unless absent(y)`:                          `x unless absent(y)`,
		`sum(x) / fill_left (0) sum(y)`:               `{__fragment__=~"0"} / fill_left (0) {__fragment__=~"1"}`,
		`sum(x) / absent(y)`:                          `{__fragment__=~"0"} / absent(y)`,
		`histogram_quantile(0.9, sum by (le) (x))`:    "root",
		`histogram_quantile(2, rate(x[5m]))`:          `histogram_quantile(2, {__fragment__=~"0"})`,
		`sum(histogram_fraction(0, 1, x) * 100)`:      "root",
		`histogram_count(sum(rate(x[5m])))`:           "root",
		`histogram_sum(rate(x[5m]) and absent(x))`:    `histogram_sum(rate(x[5m]) and absent(x))`,
		`max_over_time(sum(x)[1h:1m])`:                `max_over_time({__fragment__=~"0"}[1h:1m])`,
		`stddev(rate(x[5m]))`:                         "root",
		`quantile by (a) (1 - 0.1, x)`:                "root",
		`quantile(1.1, rate(x[5m]))`:                  `quantile(1.1, {__fragment__=~"0"})`,
		`quantile(scalar(sum(x)), y)`:                 `quantile(scalar({__fragment__=~"0"}), y)`,
		`x * on (a) group_left (b) y`:                 "root",
		`sum(x) * on () group_right () y`:             "root",
		`sum(x) * on () group_left () (y @ 100)`:      `{__fragment__=~"0"} * on () group_left () (y @ 100.000)`,
		`topk(2, x)`:                                  "root",
		`bottomk by (a) (1, rate(x[5m]))`:             "root",
		`topk(0, rate(x[5m]))`:                        `topk(0, {__fragment__=~"0"})`,
		`topk(scalar(sum(x)), y)`:                     `topk(scalar({__fragment__=~"0"}), y)`,
		`limitk(2, rate(x[5m]))`:                      `limitk(2, {__fragment__=~"0"})`,
		`timestamp(rate(x[5m]))`:                      `timestamp(rate(x[5m]))`,
		`sum(x @ 100)`:                                `sum(x @ 100.000)`,
		`sum(rate(x[5m] anchored))`:                   `sum(rate(x[5m] anchored))`,
		`sum(x * time())`:                             `sum(x * time())`,
		`max_over_time(sum(x)[1h:1m] @ end())`:        `max_over_time(sum(x)[1h:1m] @ end())`,
		`absent_over_time(x[5m])`:                     `absent_over_time(x[5m])`,
		`count_values("v", x)`:                        "root",
		`count_values without (v) ("v", x)`:           `count_values without (v) ("v", x)`,
		`double_exponential_smoothing(x[5m], 2, 3)`:   `double_exponential_smoothing(x[5m], 2, 3)`,
	} {
		e, err := testParser().ParseExpr(expr)
		require.NoError(t, err, expr)
		p := Split(e, rules())
		got := "root"
		if p.Root == nil {
			got = p.Expr.String()
		}
		require.Equal(t, want, got, expr)
		require.Equal(t, want == expr || want == `sum(x @ 100.000)`, p.Empty(), expr)
	}
}

func TestSplitKeepsNamesThatAreDroppedLate(t *testing.T) {
	r := rules()
	r.DelayedNames = true
	for expr, fragments := range map[string]bool{
		`rate(x[5m])`:                               false,
		`sum(rate(x[5m]))`:                          true,
		`sum by (__name__) (rate(x[5m]))`:           false,
		`sum without (job) (rate(x[5m]))`:           true,
		`sum by (__type__) (last_over_time(x[5m]))`: false,
		`topk(1, rate(x[5m]))`:                      false,
		`rate(x[5m]) / rate(y[5m])`:                 false,
	} {
		e, err := testParser().ParseExpr(expr)
		require.NoError(t, err)
		require.Equal(t, fragments, !Split(e, r).Empty(), expr)
	}
	r = rules()
	r.StartTimestamps = true
	e, err := testParser().ParseExpr(`sum(rate(x[5m]))`)
	require.NoError(t, err)
	require.True(t, Split(e, r).Empty(), "rates with start timestamps are Prometheus' own")
}

func TestSubqueryGrid(t *testing.T) {
	e, err := testParser().ParseExpr(`max_over_time(x[10m:7s] offset 1m)`)
	require.NoError(t, err)
	s := splitter{rules: rules()}
	sub := e.(*parser.Call).Args[0].(*parser.SubqueryExpr)
	g, ok := s.subqueryGrid(sub, Grid{Start: 1_000_000, End: 1_100_000, Step: 60_000})
	require.True(t, ok)
	require.Equal(t, Grid{Start: 343_000, End: 1_000_000, Step: 7_000}, g, "multiples of the step after 340 s, to the last outer step less the offset")
}

func TestGrid(t *testing.T) {
	require.Equal(t, 1, Grid{Start: 5, End: 5, Step: 1}.Steps())
	require.Equal(t, 3, Grid{Start: 0, End: 25, Step: 10}.Steps())
	require.Equal(t, 0, Grid{Start: 5, End: 4, Step: 1}.Steps())
}
