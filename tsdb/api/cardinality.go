package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/index"

	promtsdb "github.com/prometheus/prometheus/tsdb"

	"belfry/internal/fault"
	"belfry/tsdb"
)

const (
	defaultCardinality = 20  // entries of each list
	maxCardinality     = 500 // entries that can be asked for
	maxSenders         = 10  // of one metric
)

// Census is what the cardinality explorer needs to know of a tenant's head.
type Census interface {
	Stats(byLabel string, limit int) (*promtsdb.Stats, error)
	MetricSeries() ([]tsdb.MetricSeries, error)
}

// Usage tells which metrics queries ask for.
type Usage interface {
	Since() time.Time
	LastUsed(ctx context.Context, names []string) (used map[string]time.Time, complete bool)
}

// CardinalityOptions configure the explorer.
type CardinalityOptions struct {
	Store  storage.Queryable
	Census func(tenant string) Census
	Usage  Usage
	Limits func() tsdb.LimitsConfig
	Now    func() time.Time
}

// Cardinality is a tenant's, of the series that are in the head: those written
// to in the last hours.
type Cardinality struct {
	Series  int               `json:"series"`
	Limits  CardinalityLimits `json:"limits"`
	Metrics []MetricUse       `json:"metrics"` // with the most series
	Churn   []MetricUse       `json:"churn"`   // with the most series created in the last hour
	Unused  []MetricUse       `json:"unused"`  // that no query has asked for, with the most series
	Labels  []LabelCount      `json:"labels"`  // with the most values
	Pairs   []PairCount       `json:"pairs"`   // on the most series

	// UnusedMetrics and UnusedSeries count all that no query has asked for since
	// UsageSince. UsageComplete is false if more was asked for than could be
	// remembered.
	UnusedMetrics int       `json:"unusedMetrics"`
	UnusedSeries  int       `json:"unusedSeries"`
	UsageSince    time.Time `json:"usageSince"`
	UsageComplete bool      `json:"usageComplete"`
}

// CardinalityLimits are those that new series run into; zero is none.
type CardinalityLimits struct {
	Series          int `json:"series"`
	SeriesPerMetric int `json:"seriesPerMetric"`
	ValuesPerLabel  int `json:"valuesPerLabel"`
}

// MetricUse is a metric's part.
type MetricUse struct {
	Name            string     `json:"name"`
	Series          int        `json:"series"`
	CreatedLastHour int        `json:"createdLastHour"`
	LastQueried     *time.Time `json:"lastQueried,omitempty"`
	Senders         []Sender   `json:"senders,omitempty"`
}

// Sender is who sends series: the value of the first label of job, service_name
// and instance that a series has.
type Sender struct {
	Label  string `json:"label"`
	Value  string `json:"value"`
	Series int    `json:"series"`
}

// LabelCount is how many values a label has.
type LabelCount struct {
	Name   string `json:"name"`
	Values uint64 `json:"values"`
}

// PairCount is how many series have a label with a value.
type PairCount struct {
	Pair   string `json:"pair"` // name=value
	Series uint64 `json:"series"`
}

// NewCardinality returns the handler of GET /api/belfry/v1/cardinality.
// limit=N sets the length of the lists; metric=NAME narrows metrics to one.
func NewCardinality(o CardinalityOptions) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, err := optionalInt(r, "limit")
		switch {
		case err != nil:
			fault.WriteHTTP(w, err)
			return
		case limit == -1:
			limit = defaultCardinality
		case limit < 1 || limit > maxCardinality:
			fault.WriteHTTP(w, fault.Invalidf("limit must be 1 to %d", maxCardinality))
			return
		}
		answer, err := o.explore(r.Context(), tenantOf(r), limit, r.FormValue("metric"))
		if err != nil {
			fault.WriteHTTP(w, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

func (o CardinalityOptions) explore(ctx context.Context, tenantID string, limit int, metric string) (*Cardinality, error) {
	census := o.Census(tenantID)
	counts, err := census.MetricSeries()
	if err != nil {
		return nil, err
	}
	stats, err := census.Stats(model.MetricNameLabel, limit)
	if err != nil {
		return nil, err
	}
	limits := o.Limits()
	out := &Cardinality{
		Limits:     CardinalityLimits{limits.MaxSeries, limits.MaxSeriesPerMetric, limits.MaxValuesPerLabel},
		Labels:     []LabelCount{},
		Pairs:      []PairCount{},
		UsageSince: o.Usage.Since().UTC(),
	}
	uses, err := o.uses(ctx, counts, out)
	if err != nil {
		return nil, err
	}
	out.Churn = top(uses, limit, func(m MetricUse) int { return m.CreatedLastHour })
	out.Unused = top(uses, limit, func(m MetricUse) int {
		if m.LastQueried != nil {
			return 0
		}
		return m.Series
	})
	if metric != "" {
		uses = slices.DeleteFunc(uses, func(m MetricUse) bool { return m.Name != metric })
	}
	out.Metrics = top(uses, limit, func(m MetricUse) int { return m.Series })
	if out.Metrics, err = o.withSenders(ctx, out.Metrics); err != nil {
		return nil, err
	}
	if p := stats.IndexPostingStats; p != nil {
		out.Labels = mapStats(p.CardinalityLabelStats, func(s index.Stat) LabelCount { return LabelCount{s.Name, s.Count} })
		out.Pairs = mapStats(p.LabelValuePairsStats, func(s index.Stat) PairCount { return PairCount{s.Name, s.Count} })
	}
	return out, nil
}

// uses joins what is stored with what is asked for, and counts both.
func (o CardinalityOptions) uses(ctx context.Context, counts []tsdb.MetricSeries, out *Cardinality) ([]MetricUse, error) {
	names := make([]string, len(counts))
	for i, c := range counts {
		names[i] = c.Name
	}
	used, complete := o.Usage.LastUsed(ctx, names)
	out.UsageComplete = complete
	uses := make([]MetricUse, len(counts))
	for i, c := range counts {
		uses[i] = MetricUse{Name: c.Name, Series: c.Active, CreatedLastHour: c.Created}
		out.Series += c.Active
		if at, ok := used[c.Name]; ok {
			at = at.UTC()
			uses[i].LastQueried = &at
			continue
		}
		out.UnusedMetrics++
		out.UnusedSeries += c.Active
	}
	return uses, ctx.Err()
}

// top returns the metrics with the largest positive rank.
func top(all []MetricUse, limit int, rank func(MetricUse) int) []MetricUse {
	out := []MetricUse{}
	for _, m := range all {
		if rank(m) > 0 {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b MetricUse) int { return rank(b) - rank(a) })
	return out[:min(limit, len(out))]
}

// withSenders looks at the series of each metric.
func (o CardinalityOptions) withSenders(ctx context.Context, metrics []MetricUse) ([]MetricUse, error) {
	now := o.Now().UnixMilli()
	q, err := o.Store.Querier(now-(3*time.Hour).Milliseconds(), now)
	if err != nil {
		return nil, err
	}
	defer q.Close() //nolint:errcheck // reading is done
	out := slices.Clone(metrics)
	for i := range out {
		m := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, out[i].Name)
		// "series" tells the store that no sample will be read.
		set := q.Select(ctx, false, &storage.SelectHints{Start: now - (3 * time.Hour).Milliseconds(), End: now, Func: "series"}, m)
		counts := map[Sender]int{}
		for set.Next() {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			counts[senderOf(set.At().Labels())]++
		}
		if err := set.Err(); err != nil {
			return nil, err
		}
		for s, n := range counts {
			s.Series = n
			out[i].Senders = append(out[i].Senders, s)
		}
		slices.SortFunc(out[i].Senders, func(a, b Sender) int { return cmp.Or(b.Series-a.Series, cmp.Compare(a.Value, b.Value)) })
		out[i].Senders = out[i].Senders[:min(maxSenders, len(out[i].Senders))]
	}
	return out, nil
}

func senderOf(ls labels.Labels) Sender {
	for _, name := range []string{"job", "service_name", "instance"} {
		if v := ls.Get(name); v != "" {
			return Sender{Label: name, Value: v}
		}
	}
	return Sender{}
}

func mapStats[T any](in []index.Stat, f func(index.Stat) T) []T {
	out := make([]T, 0, len(in))
	for _, s := range in {
		out = append(out, f(s))
	}
	return out
}
