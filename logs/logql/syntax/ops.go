package syntax

import (
	"math"
	"slices"
)

// Names of aggregations.
const (
	OpCountOverTime    = "count_over_time"
	OpRate             = "rate"
	OpRateCounter      = "rate_counter"
	OpBytesOverTime    = "bytes_over_time"
	OpBytesRate        = "bytes_rate"
	OpAvgOverTime      = "avg_over_time"
	OpSumOverTime      = "sum_over_time"
	OpMinOverTime      = "min_over_time"
	OpMaxOverTime      = "max_over_time"
	OpStdvarOverTime   = "stdvar_over_time"
	OpStddevOverTime   = "stddev_over_time"
	OpQuantileOverTime = "quantile_over_time"
	OpFirstOverTime    = "first_over_time"
	OpLastOverTime     = "last_over_time"
	OpAbsentOverTime   = "absent_over_time"

	OpSum        = "sum"
	OpAvg        = "avg"
	OpMin        = "min"
	OpMax        = "max"
	OpCount      = "count"
	OpStddev     = "stddev"
	OpStdvar     = "stdvar"
	OpTopK       = "topk"
	OpBottomK    = "bottomk"
	OpApproxTopK = "approx_topk"
	OpSort       = "sort"
	OpSortDesc   = "sort_desc"
)

var (
	rangeOps = []string{
		OpCountOverTime, OpRate, OpRateCounter, OpBytesOverTime, OpBytesRate, OpAvgOverTime, OpSumOverTime,
		OpMinOverTime, OpMaxOverTime, OpStdvarOverTime, OpStddevOverTime, OpQuantileOverTime, OpFirstOverTime,
		OpLastOverTime, OpAbsentOverTime,
	}
	vectorOps = []string{
		OpSum, OpAvg, OpMin, OpMax, OpCount, OpStddev, OpStdvar, OpTopK, OpBottomK, OpApproxTopK, OpSort, OpSortDesc,
	}
	groupingOps = []string{
		OpAvgOverTime, OpStddevOverTime, OpStdvarOverTime, OpQuantileOverTime, OpMaxOverTime, OpMinOverTime,
		OpFirstOverTime, OpLastOverTime,
	}
	unwrapOnlyOps = []string{
		OpAvgOverTime, OpSumOverTime, OpMaxOverTime, OpMinOverTime, OpStddevOverTime, OpStdvarOverTime,
		OpQuantileOverTime, OpFirstOverTime, OpLastOverTime, OpRateCounter,
	}
	logOnlyOps = []string{OpCountOverTime, OpBytesOverTime, OpBytesRate}
	keywords   = []string{
		"by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "and", "or", "unless",
		"vector", "label_replace", "json", "logfmt", "regexp", "pattern", "unpack", "unwrap", "line_format",
		"label_format", "drop", "keep", "decolorize",
	}
)

func isRangeOp(s string) bool  { return slices.Contains(rangeOps, s) }
func isVectorOp(s string) bool { return slices.Contains(vectorOps, s) }
func isKeyword(s string) bool {
	return isRangeOp(s) || isVectorOp(s) || slices.Contains(keywords, s)
}
func hasParam(op string) bool { return op == OpTopK || op == OpBottomK || op == OpApproxTopK }

// Arithmetic applies a binary operator. For comparisons it returns l, and
// whether the comparison holds.
func Arithmetic(op string, l, r float64) (v float64, keep bool) {
	switch op {
	case "+":
		return l + r, true
	case "-":
		return l - r, true
	case "*":
		return l * r, true
	case "/":
		return l / r, true
	case "%":
		return math.Mod(l, r), true
	case "^":
		return math.Pow(l, r), true
	case "==":
		return l, l == r
	case "!=":
		return l, l != r
	case ">":
		return l, l > r
	case ">=":
		return l, l >= r
	case "<":
		return l, l < r
	case "<=":
		return l, l <= r
	}
	return math.NaN(), false
}
