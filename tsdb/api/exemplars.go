package api

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"belfry/tsdb"
)

// Bounds of what is made up for one query.
const (
	maxExemplarSeries  = 10_000 // series looked at
	maxExemplarGroups  = 50     // histograms that get exemplars
	exemplarsPerGroup  = 10
	maxExemplarTimeout = 2 * time.Second
)

// exemplars are the stored ones and, for histograms of durations that have none,
// spans of the service that their labels name.
type exemplars struct {
	store Store
	spans tsdb.SpanFinder
	now   func() time.Time
	log   *slog.Logger
}

// ExemplarQuerier implements storage.ExemplarQueryable.
func (e *exemplars) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	inner, err := e.store.ExemplarQuerier(ctx)
	if err != nil || e.spans == nil {
		return inner, err
	}
	return &exemplarQuerier{ctx: ctx, e: e, stored: inner}, nil
}

type exemplarQuerier struct {
	ctx    context.Context //nolint:containedctx // Select takes none
	e      *exemplars
	stored storage.ExemplarQuerier
}

// Select implements storage.ExemplarQuerier.
func (q *exemplarQuerier) Select(start, end int64, matchers ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	results, err := q.stored.Select(start, end, matchers...)
	if err != nil {
		return nil, err
	}
	made, err := q.made(start, min(end, q.e.now().UnixMilli()), matchers, results)
	if err != nil { // they are an aid, and those that are stored are there
		q.e.log.Warn("exemplars from spans failed", "error", err)
		return results, nil
	}
	results = append(append([]exemplar.QueryResult{}, results...), made...) // never null
	slices.SortFunc(results, func(a, b exemplar.QueryResult) int { return labels.Compare(a.SeriesLabels, b.SeriesLabels) })
	return results, nil
}

// histogramGroup is a histogram: the series of its buckets, or the one of a
// native histogram.
type histogramGroup struct {
	service, span string
	unit          float64 // of its values, in seconds
	buckets       []bucketSeries
	stored        bool // the application sent exemplars
}

type bucketSeries struct {
	upper  float64
	series labels.Labels
}

func (q *exemplarQuerier) made(start, end int64, matchers [][]*labels.Matcher, stored []exemplar.QueryResult) ([]exemplar.QueryResult, error) {
	groups, err := q.groups(start, end, matchers, stored)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(q.ctx, maxExemplarTimeout)
	defer cancel()
	found := map[[2]string][]tsdb.ExemplarSpan{}
	var out []exemplar.QueryResult
	for _, g := range groups {
		key := [2]string{g.service, g.span}
		spans, ok := found[key]
		if !ok {
			search := tsdb.SpanSearch{Service: g.service, Name: g.span, Start: start, End: end, Limit: exemplarsPerGroup}
			if spans, err = q.e.spans.FindSpans(ctx, search); err != nil {
				return nil, fmt.Errorf("find spans of %s: %w", g.service, err)
			}
			found[key] = spans
		}
		out = append(out, g.exemplars(spans, start, end)...)
	}
	return out, nil
}

// exemplars puts each span into the bucket that its duration falls into.
func (g *histogramGroup) exemplars(spans []tsdb.ExemplarSpan, start, end int64) []exemplar.QueryResult {
	slices.SortFunc(g.buckets, func(a, b bucketSeries) int {
		if a.upper < b.upper {
			return -1
		}
		return 1
	})
	results := make([]exemplar.QueryResult, len(g.buckets))
	for _, s := range slices.Backward(spans) { // the oldest first
		if s.Time < start || s.Time > end {
			continue
		}
		v := s.Seconds / g.unit
		i := slices.IndexFunc(g.buckets, func(b bucketSeries) bool { return v <= b.upper })
		if i < 0 {
			continue
		}
		results[i].SeriesLabels = g.buckets[i].series
		results[i].Exemplars = append(results[i].Exemplars, exemplar.Exemplar{
			Labels: labels.FromStrings("span_id", s.SpanID, "trace_id", s.TraceID), Value: v, Ts: s.Time, HasTs: true,
		})
	}
	return slices.DeleteFunc(results, func(r exemplar.QueryResult) bool { return len(r.Exemplars) == 0 })
}

// groups returns the histograms that are asked for and have no exemplars.
func (q *exemplarQuerier) groups(start, end int64, matchers [][]*labels.Matcher, stored []exemplar.QueryResult) ([]*histogramGroup, error) {
	querier, err := q.e.store.Querier(start, end)
	if err != nil {
		return nil, err
	}
	defer querier.Close() //nolint:errcheck // reading is done
	byLabels := map[string]*histogramGroup{}
	var order []*histogramGroup
	seen := map[string]struct{}{}
	for _, ms := range matchers {
		set := querier.Select(q.ctx, false, &storage.SelectHints{Start: start, End: end, Func: "series"}, ms...)
		for set.Next() && len(seen) < maxExemplarSeries {
			ls := set.At().Labels()
			if _, twice := seen[ls.String()]; twice {
				continue
			}
			seen[ls.String()] = struct{}{}
			if g := q.place(byLabels, ls); g != nil {
				order = append(order, g)
			}
		}
		if err := set.Err(); err != nil {
			return nil, err
		}
	}
	for _, r := range stored {
		if g := byLabels[withoutBucket(r.SeriesLabels).String()]; g != nil {
			g.stored = true
		}
	}
	order = slices.DeleteFunc(order, func(g *histogramGroup) bool { return g.stored })
	return order[:min(len(order), maxExemplarGroups)], nil
}

// place adds a series to its histogram, and returns that if it is a new one.
func (q *exemplarQuerier) place(groups map[string]*histogramGroup, ls labels.Labels) *histogramGroup {
	service := serviceOf(ls)
	name := ls.Get(model.MetricNameLabel)
	upper, base := math.Inf(1), name
	if le := ls.Get(model.BucketLabel); le != "" && strings.HasSuffix(name, "_bucket") {
		bound, err := strconv.ParseFloat(le, 64)
		if err != nil {
			return nil
		}
		upper, base = bound, strings.TrimSuffix(name, "_bucket")
	} else if !q.isHistogram(name) {
		return nil
	}
	if service == "" {
		return nil
	}
	key := withoutBucket(ls).String()
	g := groups[key]
	isNew := g == nil
	if isNew {
		g = &histogramGroup{service: service, span: ls.Get("span_name"), unit: 1}
		if strings.HasSuffix(base, "_milliseconds") || strings.HasSuffix(base, "_ms") {
			g.unit = 1e-3
		}
		groups[key] = g
	}
	g.buckets = append(g.buckets, bucketSeries{upper, ls})
	if isNew {
		return g
	}
	return nil
}

// isHistogram reports whether a series is itself a histogram, by its metadata.
func (q *exemplarQuerier) isHistogram(name string) bool {
	known, err := q.e.store.Metadata(q.ctx, name)
	if err != nil {
		return false
	}
	for _, md := range known[name] {
		if md.Type == model.MetricTypeHistogram {
			return true
		}
	}
	return false
}

func withoutBucket(ls labels.Labels) labels.Labels {
	return labels.NewBuilder(ls).Del(model.BucketLabel).Labels()
}

// serviceOf is the service that a series' labels name. A job is
// namespace/service where there is a namespace.
func serviceOf(ls labels.Labels) string {
	for _, name := range []string{"service_name", "service"} {
		if v := ls.Get(name); v != "" {
			return v
		}
	}
	job := ls.Get(model.JobLabel)
	return job[strings.LastIndexByte(job, '/')+1:]
}
