package query

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
)

// The metrics of generated data. The last has native histograms among its
// series.
var generatedMetrics = []string{"a_total", "b_total", "gauge", "latency_bucket", "mixed"} //nolint:gochecknoglobals // of tests

// generateData appends series of every awkward kind from time 0 on: resets,
// gaps, stale markers, NaN, infinities, values that differ by magnitudes,
// uneven intervals.
func generateData(t testing.TB, rng *rand.Rand, s storage.Storage, end int64) {
	t.Helper()
	app := s.AppenderV2(tenant.WithID(context.Background(), tenant.Default))
	for _, metric := range generatedMetrics {
		for i := range 12 {
			b := labels.NewBuilder(labels.FromStrings("__name__", metric))
			b.Set("job", string(rune('a'+i%3)))
			if i%4 != 0 {
				b.Set("instance", strconv.Itoa(i%4))
			}
			if metric == "latency_bucket" {
				b.Set("le", [...]string{"0.1", "1", "10", "+Inf"}[i/3])
			} else {
				b.Set("n", strconv.Itoa(i/3))
			}
			generateSeries(t, rng, app, b.Labels(), end, metric == "mixed" && i%5 == 0)
		}
	}
	require.NoError(t, app.Commit())
}

func generateSeries(t testing.TB, rng *rand.Rand, app storage.AppenderV2, ls labels.Labels, end int64, native bool) {
	t.Helper()
	step := int64(15_000)
	if rng.IntN(4) == 0 {
		step = 60_000 + rng.Int64N(30_000)
	}
	jitter, plain := rng.Int64N(3)*1000, rng.IntN(2) == 0
	v := rng.Float64() * 100
	for at := rng.Int64N(step); at < end; at += step + rng.Int64N(jitter+1) {
		if native && rng.IntN(3) == 0 {
			_, err := app.Append(0, ls, 0, at, 0, tsdbutil.GenerateTestHistogram(at/1000), nil, storage.AOptions{})
			require.NoError(t, err)
			continue
		}
		sample := v
		switch {
		case plain:
			v += float64(rng.IntN(10))
			sample = v
		default:
			switch rng.IntN(60) {
			case 0:
				sample = math.NaN()
			case 1:
				sample = math.Inf(1 - 2*rng.IntN(2))
			case 2:
				sample = math.Float64frombits(value.StaleNaN)
			case 3:
				v = 0 // a reset
			case 4:
				at += 10 * step // a gap
			case 5:
				v *= 1e9
			case 6:
				v = -v
			case 7:
				sample = math.Copysign(0, -1)
			default:
				v += rng.Float64() * 10
			}
		}
		_, err := app.Append(0, ls, 0, at, sample, nil, nil, storage.AOptions{})
		require.NoError(t, err)
	}
}

// exprs generates PromQL expressions.
type exprs struct{ *rand.Rand }

func pick[T any](r exprs, options ...T) T { return options[r.IntN(len(options))] }

func (r exprs) selector() string {
	matchers := []string{}
	if r.IntN(2) == 0 {
		matchers = append(matchers, pick(r, `job="a"`, `job=~"a|b"`, `instance!="1"`, `instance=""`, `n=~".+"`, `job="none"`))
	}
	name := pick(r, generatedMetrics[:4]...)
	switch r.IntN(12) {
	case 0:
		name = "mixed"
	case 1:
		matchers = append(matchers, `__name__=~"a_total|b_total"`)
		name = ""
	}
	return name + "{" + strings.Join(matchers, ",") + "}"
}

func (r exprs) modifiers() string {
	switch r.IntN(8) {
	case 0:
		return " offset " + pick(r, "1m", "7m", "-2m")
	case 1:
		return " @ " + pick(r, "1200", "start()", "end()")
	}
	return ""
}

func (r exprs) grouping() string {
	return pick(r, "", " by (job)", " by (job, instance)", " by (le)", " without (instance)", " without (le, n)", " by (__name__)", " by (job, missing)")
}

func (r exprs) number() string {
	return pick(r, "0", "1", "-2.5", "1e9", "NaN", "+Inf", "(2 * 3)", "100")
}

func (r exprs) operator() string {
	return pick(r, " + ", " - ", " * ", " / ", " / ", " % ", " ^ ", " atan2 ", " > ", " < bool ", " == ", " != bool ", " >= ", " <= ")
}

// vector is an instant vector expression.
func (r exprs) vector(depth int) string {
	if depth == 0 {
		if r.IntN(3) == 0 {
			return r.selector() + r.modifiers()
		}
		return r.rangeFunction()
	}
	in := func() string { return r.vector(depth - 1) }
	switch r.IntN(21) {
	case 0, 1, 2, 3, 4:
		return pick(r, "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar") + r.grouping() + " (" + in() + ")"
	case 5:
		if r.IntN(3) == 0 {
			return "count_values" + r.grouping() + ` ("` + pick(r, "v", "le", "job") + `", ` + pick(r, "round("+in()+")", "sgn("+in()+")", r.vector(0)) + ")"
		}
		return "quantile" + r.grouping() + " (" + pick(r, "1", "0.5", "0", "0.93") + ", " + in() + ")"
	case 16, 17:
		// Which of equal values it takes, both engines decide in the same way; but sums
		// that are nearly equal are not.
		if depth == 1 {
			return pick(r, "topk", "bottomk") + r.grouping() + " (" + pick(r, "1", "2", "5", "100") + ", " + in() + ")"
		}
		return in()
	case 18, 19, 20:
		return "(" + in() + r.operator() + pick(r, "", "", "on (job, n) ", "on (job, n) ", "ignoring (le) ", "ignoring (job) ", "on (__name__, job, n) ", "on () ",
			"on (job, n) group_left (instance) ", "on (job, n) group_right (le, instance) ", "on (job) group_left () ", "ignoring (instance, n) group_right (n) ") + in() + ")"
	case 6, 7:
		return "(" + in() + pick(r, " + ", " - ", " * ", " / ", " % ", " ^ ", " > ", " < bool ", " == ", " != bool ", " >= ", " atan2 ") + r.number() + ")"
	case 8:
		return "(" + r.number() + pick(r, " + ", " - ", " * ", " / ", " > ", " <= bool ", " != ") + in() + ")"
	case 9:
		return pick(r, "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "round", "deg", "rad", "sort", "timestamp", "absent", "sin") + "(" + in() + ")"
	case 10:
		return pick(r, "clamp(%s, -1, 5)", "clamp_min(%s, 2)", "clamp_max(%s, 3)", "round(%s, 0.5)", "clamp(%s, 5, 1)")
	case 11:
		return "-" + in()
	case 12:
		if r.IntN(3) > 0 {
			return "(" + in() + pick(r, " and ", " or ", " or ", " unless ") + pick(r, "", "", "on (job) ", "on (job, n) ", "ignoring (le) ", "ignoring (job, instance) ", "on () ") + in() + ")"
		}
		return "sum by (job) (" + in() + ")" + pick(r, " + ", " / ", " and ", " or ", " unless ", " > ") + "sum by (job) (" + in() + ")"
	case 13:
		return "sum by (job, instance) (" + in() + ")" + pick(r, " * ", " - ") + "on (job) group_left () sum by (job) (" + in() + ")"
	case 14:
		return pick(r, "histogram_quantile(0.9, ", "histogram_quantile(0, ", "histogram_quantile(1.5, ", "histogram_fraction(0.5, 7, ", "histogram_fraction(-Inf, NaN, ") +
			pick(r, "sum by (job, le) (%s)", "%s", "rate(latency_bucket[5m])", "latency_bucket") + ")"
	default:
		return pick(r, "max_over_time", "sum_over_time", "rate", "last_over_time", "quantile_over_time(0.5, %s)") + "((" + in() + ")[10m:" + pick(r, "", "1m", "37s") + "]" + pick(r, "", " offset 3m", " @ 1500") + ")"
	}
}

func (r exprs) rangeFunction() string {
	f := pick(r, "rate", "rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets", "sum_over_time", "avg_over_time",
		"min_over_time", "max_over_time", "count_over_time", "last_over_time", "first_over_time", "present_over_time", "stddev_over_time",
		"stdvar_over_time", "mad_over_time", "ts_of_max_over_time", "ts_of_last_over_time", "absent_over_time", "quantile_over_time", "predict_linear")
	over := r.selector() + "[" + pick(r, "1m", "2m", "5m", "13m", "90s", "1001ms") + "]" + r.modifiers()
	switch f {
	case "quantile_over_time":
		return f + "(" + pick(r, "0.9", "-1", "NaN") + ", " + over + ")"
	case "predict_linear":
		return f + "(" + over + ", 60)"
	}
	return f + "(" + over + ")"
}

// expr fills in what vector left open.
func (r exprs) expr() string {
	e := r.vector(r.IntN(4))
	for strings.Contains(e, "%s") {
		e = strings.Replace(e, "%s", r.vector(0), 1)
	}
	return strings.ReplaceAll(e, "quantile_over_time(0.5, "+"(", "quantile_over_time(0.5, (")
}
