package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logql/syntax"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// measured is how many entries are measured exactly; above, sizes are an
// estimate from the newest entries: these endpoints are asked at every keystroke.
const (
	measured   = 500_000
	sampleSize = 200
)

func format(query string) (string, error) {
	e, err := syntax.Parse(query)
	if err != nil {
		return "", err
	}
	return e.String(), nil
}

func total(infos []logs.StreamInfo) (entries int64) {
	for _, i := range infos {
		entries += i.Entries
	}
	return entries
}

func (a *API) indexStats(w http.ResponseWriter, r *http.Request) error {
	infos, err := a.queryInfos(r)
	if err != nil {
		return err
	}
	start, end, err := a.bounds(r)
	if err != nil {
		return err
	}
	ms, err := selector(r.Form.Get("query"))
	if err != nil {
		return err
	}
	n := total(infos)
	size, err := a.lineSize(r.Context(), logs.Query{
		Tenant: tenant.ID(r.Context()), From: start.UnixNano(), To: end.UnixNano(), Streams: ms,
	})
	if err != nil {
		return err
	}
	distinctSets := len(streams(entriesOf(infos), true))
	return writeJSON(w, map[string]int64{
		"streams": int64(distinctSets), "chunks": int64(len(infos)), "entries": n, "bytes": int64(size * float64(n)),
	})
}

// lineSize returns the mean size of the newest lines.
func (a *API) lineSize(ctx context.Context, q logs.Query) (float64, error) {
	n, bytes := 0, 0
	_, err := a.o.Store.Select(ctx, logs.SelectQuery{Query: q, Want: logs.Want{Line: true}, Limit: sampleSize}, func(e *logs.Entry) bool {
		n++
		bytes += len(e.Line)
		return true
	})
	if n == 0 {
		return 0, err
	}
	return float64(bytes) / float64(n), err
}

func (a *API) volume(w http.ResponseWriter, r *http.Request) error {
	start, end, err := a.bounds(r)
	if err != nil {
		return err
	}
	m, err := a.volumes(r, start, end, end.Sub(start))
	if err != nil {
		return err
	}
	res := &logql.Result{Kind: logql.KindVector, Vector: promql.Vector{}}
	for _, s := range m {
		sum := 0.0
		for _, p := range s.Floats {
			sum += p.F
		}
		res.Vector = append(res.Vector, promql.Sample{Metric: s.Metric, T: end.UnixMilli(), F: sum})
	}
	return writeResult(w, res, false, 0)
}

func (a *API) volumeRange(w http.ResponseWriter, r *http.Request) error {
	start, end, err := a.bounds(r)
	if err != nil {
		return err
	}
	step := defaultStep(start, end)
	if s := r.Form.Get("step"); s != "" {
		if step, err = parseStep("step", s); err != nil {
			return err
		}
	}
	if step <= 0 || end.Sub(start)/step > 11000 {
		step = max(end.Sub(start)/11000, time.Second)
	}
	m, err := a.volumes(r, start, end, step)
	if err != nil {
		return err
	}
	return writeResult(w, &logql.Result{Kind: logql.KindMatrix, Matrix: m}, false, 0)
}

// volumes returns bytes by the target labels, or by those that the selector
// names, or by label name; the largest first.
func (a *API) volumes(r *http.Request, start, end time.Time, step time.Duration) (promql.Matrix, error) {
	limit, err := intParam(r, "limit", defaultLimit)
	if err != nil {
		return nil, err
	}
	ms, err := selector(r.Form.Get("query"))
	if err != nil {
		return nil, err
	}
	infos, err := a.queryInfos(r)
	if err != nil || len(infos) == 0 {
		return promql.Matrix{}, err
	}
	byLabel := r.Form.Get("aggregateBy") == "labels"
	q := logs.CountQuery{
		Query: logs.Query{Tenant: tenant.ID(r.Context()), From: start.UnixNano(), To: end.UnixNano() + 1, Streams: ms},
		Start: start.UnixNano() - 1, Width: int64(max(step, 1)), MaxGroups: 100_000, Bytes: total(infos) <= measured,
	}
	q.Buckets = int((end.UnixNano()-q.Start-1)/q.Width) + 1
	q.By = volumeLabels(r.Form.Get("targetLabels"), ms, infos, byLabel)
	scale := 1.0
	if !q.Bytes {
		if scale, err = a.lineSize(r.Context(), q.Query); err != nil {
			return nil, err
		}
	}
	groups, _, err := a.o.Store.Count(r.Context(), q)
	if err != nil {
		return nil, err
	}
	m := volumeMatrix(&q, groups, scale, byLabel)
	return m[:min(limit, len(m))], nil
}

func volumeLabels(target string, ms []*logs.Matcher, infos []logs.StreamInfo, byLabel bool) []string {
	var names []string
	switch {
	case target != "":
		names = strings.Split(target, ",")
	case byLabel:
		return distinct(infos, func(s *logs.Stream, add func(string)) {
			for _, l := range s.Labels {
				add(l.Name)
			}
		})
	default:
		for _, m := range ms {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func volumeMatrix(q *logs.CountQuery, groups []logs.CountGroup, scale float64, byLabel bool) promql.Matrix {
	type sums struct {
		lbls   labels.Labels
		counts []float64
		sum    float64
	}
	byKey := map[string]*sums{}
	add := func(lbls labels.Labels, counts []float64) {
		k := lbls.String()
		s := byKey[k]
		if s == nil {
			s = &sums{lbls: lbls, counts: make([]float64, len(counts))}
			byKey[k] = s
		}
		for i, n := range counts {
			s.counts[i] += n
			s.sum += n
		}
	}
	for _, g := range groups {
		b := labels.NewScratchBuilder(len(q.By))
		for i, name := range q.By {
			switch {
			case g.Values[i] == "":
			case byLabel:
				add(labels.FromStrings(name, ""), g.Counts)
			default:
				b.Add(name, g.Values[i])
			}
		}
		if !byLabel {
			b.Sort()
			add(b.Labels(), g.Counts)
		}
	}
	all := make([]*sums, 0, len(byKey))
	for _, s := range byKey {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *sums) int {
		return cmp.Or(cmp.Compare(b.sum, a.sum), labels.Compare(a.lbls, b.lbls))
	})
	m := promql.Matrix{}
	for _, s := range all {
		series := promql.Series{Metric: s.lbls}
		for i, n := range s.counts {
			if n != 0 {
				t := (q.Start + 1 + int64(i)*q.Width) / int64(time.Millisecond)
				series.Floats = append(series.Floats, promql.FPoint{T: t, F: float64(int64(n * scale))})
			}
		}
		m = append(m, series)
	}
	return m
}
