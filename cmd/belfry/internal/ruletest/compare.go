package ruletest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promrules "github.com/prometheus/prometheus/rules"

	"belfry/alerting/rules"
)

// difference is an error that says what was expected and what came.
func difference(what string, at model.Duration, want, got []string) error {
	if slices.Equal(want, got) {
		return nil
	}
	list := func(lines []string) string {
		if len(lines) == 0 {
			return " nothing"
		}
		return "\n      " + strings.Join(lines, "\n      ")
	}
	return fmt.Errorf("%s, time: %s\n    exp:%s\n    got:%s", what, at, list(want), list(got))
}

// compareAlerts compares the firing alerts of a name.
func (w *world) compareAlerts(t *alertTest) error {
	var want, got []string
	for _, a := range t.ExpAlerts {
		ls := maps.Clone(a.Labels)
		if ls == nil {
			ls = map[string]string{}
		}
		ls[labels.AlertName] = t.Alertname
		want = append(want, labels.FromMap(ls).String()+" "+labels.FromMap(a.Annotations).String())
	}
	for _, r := range w.trial.AlertingRules() {
		if r.Name() != t.Alertname {
			continue
		}
		for _, a := range r.ActiveAlerts() {
			if a.State == promrules.StateFiring {
				got = append(got, a.Labels.String()+" "+a.Annotations.String())
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	return difference("alertname: "+t.Alertname, t.EvalTime, want, got)
}

// compareSamples compares an expression's result.
func (w *world) compareSamples(ctx context.Context, typ rules.Type, t *exprTest, start time.Time, fuzzy bool) error {
	vec, err := w.query(ctx, typ, t.Expr, start.Add(time.Duration(t.EvalTime)))
	if err != nil {
		return fmt.Errorf("expr: %q, time: %s: %w", t.Expr, t.EvalTime, err)
	}
	want, err := w.expected(t)
	if err != nil {
		return fmt.Errorf("expr: %q, time: %s: %w", t.Expr, t.EvalTime, err)
	}
	got := make([]sample, 0, len(vec))
	for _, s := range vec {
		out := sample{labels: s.Metric.String(), value: s.F}
		if s.H != nil {
			out.histogram, out.value = s.H.Compact(0).TestExpression(), 0
		}
		got = append(got, out)
	}
	slices.SortFunc(want, sample.compare)
	slices.SortFunc(got, sample.compare)
	if slices.EqualFunc(want, got, func(a, b sample) bool { return a.equal(b, fuzzy) }) {
		return nil
	}
	return difference(fmt.Sprintf("expr: %q", t.Expr), t.EvalTime, lines(want), lines(got))
}

type sample struct {
	labels, histogram string
	value             float64
}

func (s sample) compare(o sample) int { return strings.Compare(s.labels, o.labels) }

func (s sample) equal(o sample, fuzzy bool) bool {
	same := s.value == o.value
	if fuzzy {
		same = same || math.Nextafter(s.value, math.Inf(1)) == o.value || math.Nextafter(s.value, math.Inf(-1)) == o.value
	}
	return s.labels == o.labels && s.histogram == o.histogram && same
}

func (s sample) String() string {
	if s.histogram != "" {
		return s.labels + " " + s.histogram
	}
	return fmt.Sprintf("%s %v", s.labels, s.value)
}

func lines(list []sample) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.String())
	}
	return out
}

func (w *world) expected(t *exprTest) ([]sample, error) {
	out := make([]sample, 0, len(t.ExpSamples))
	for _, e := range t.ExpSamples {
		ls, err := w.parser.ParseMetric(e.Labels)
		if err != nil {
			return nil, fmt.Errorf("labels %q: %w", e.Labels, err)
		}
		s := sample{labels: ls.String(), value: e.Value}
		if e.Histogram != "" {
			_, values, err := w.parser.ParseSeriesDesc("{} " + e.Histogram)
			if err != nil {
				return nil, fmt.Errorf("histogram %q: %w", e.Histogram, err)
			}
			if len(values) != 1 || values[0].Histogram == nil {
				return nil, fmt.Errorf("histogram %q: want one histogram", e.Histogram)
			}
			s.histogram, s.value = values[0].Histogram.Compact(0).TestExpression(), 0
		}
		out = append(out, s)
	}
	return out, nil
}
