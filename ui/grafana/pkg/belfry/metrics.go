package belfry

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// MetricsRange asks PromQL for a matrix.
func (c *Client) MetricsRange(ctx context.Context, query string, start, end time.Time, step time.Duration) (*Result, error) {
	a, err := c.post(ctx, "/api/v1/query_range", url.Values{
		"query": {query}, "start": {unix(start)}, "end": {unix(end)}, "step": {seconds(step)},
	})
	if err != nil {
		return nil, err
	}
	return decodeResult(a.body)
}

// MetricsInstant asks PromQL for the values at a time.
func (c *Client) MetricsInstant(ctx context.Context, query string, at time.Time) (*Result, error) {
	a, err := c.post(ctx, "/api/v1/query", url.Values{"query": {query}, "time": {unix(at)}})
	if err != nil {
		return nil, err
	}
	return decodeResult(a.body)
}

// Exemplar is an observation that stands for many, and often names its trace.
type Exemplar struct {
	Labels map[string]string
	Series map[string]string
	Value  float64
	Time   int64 // ms
}

// Exemplars asks for those of the series that a query reads.
func (c *Client) Exemplars(ctx context.Context, query string, start, end time.Time) ([]Exemplar, error) {
	var out struct {
		Data []struct {
			SeriesLabels map[string]string `json:"seriesLabels"`
			Exemplars    []struct {
				Labels    map[string]string `json:"labels"`
				Value     string            `json:"value"`
				Timestamp float64           `json:"timestamp"`
			} `json:"exemplars"`
		} `json:"data"`
	}
	err := c.getJSON(ctx, "/api/v1/query_exemplars", url.Values{"query": {query}, "start": {unix(start)}, "end": {unix(end)}}, &out)
	if err != nil {
		return nil, err
	}
	var all []Exemplar
	for _, s := range out.Data {
		for _, e := range s.Exemplars {
			v, err := strconv.ParseFloat(e.Value, 64)
			if err != nil {
				continue
			}
			all = append(all, Exemplar{e.Labels, s.SeriesLabels, v, int64(e.Timestamp*1000 + 0.5)})
		}
	}
	return all, nil
}

// Metadata says what a metric is.
type Metadata struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

// MetricMetadata asks for what is known of metrics, of one if metric is not "".
func (c *Client) MetricMetadata(ctx context.Context, metric string) (map[string][]Metadata, error) {
	p := url.Values{"limit_per_metric": {"1"}}
	if metric != "" {
		p.Set("metric", metric)
	}
	var out struct{ Data map[string][]Metadata }
	return out.Data, c.getJSON(ctx, "/api/v1/metadata", p, &out)
}

// HeadStats are the largest numbers of series by what they have in common.
type HeadStats struct {
	HeadStats struct {
		NumSeries     int64 `json:"numSeries"`
		NumLabelPairs int64 `json:"numLabelPairs"`
	} `json:"headStats"`
	SeriesByMetric []NamedCount `json:"seriesCountByMetricName"`
	ValuesByLabel  []NamedCount `json:"labelValueCountByLabelName"`
	SeriesByPair   []NamedCount `json:"seriesCountByLabelValuePair"`
}

// NamedCount is how many there are of a name.
type NamedCount struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

// TSDBStatus asks for the cardinality of what is in memory.
func (c *Client) TSDBStatus(ctx context.Context, limit int) (*HeadStats, error) {
	var out struct{ Data HeadStats }
	err := c.getJSON(ctx, "/api/v1/status/tsdb", url.Values{"limit": {strconv.Itoa(limit)}}, &out)
	return &out.Data, err
}

// Cardinality is what Belfry knows of the series that were written to lately.
type Cardinality struct {
	Series  int64        `json:"series"`
	Metrics []MetricUse  `json:"metrics"`
	Churn   []MetricUse  `json:"churn"`  // with the most series created in the last hour
	Unused  []MetricUse  `json:"unused"` // that no query has asked for
	Labels  []LabelCount `json:"labels"`
	Pairs   []PairCount  `json:"pairs"`
}

// LabelCount is how many values a label has.
type LabelCount struct {
	Name   string `json:"name"`
	Values int64  `json:"values"`
}

// PairCount is how many series have a label with a value.
type PairCount struct {
	Pair   string `json:"pair"` // name=value
	Series int64  `json:"series"`
}

// MetricUse is one metric's part.
type MetricUse struct {
	Name            string     `json:"name"`
	Series          int64      `json:"series"`
	CreatedLastHour int64      `json:"createdLastHour"`
	LastQueried     *time.Time `json:"lastQueried"`
	Senders         []struct {
		Label  string `json:"label"`
		Value  string `json:"value"`
		Series int64  `json:"series"`
	} `json:"senders"`
}

// Cardinality asks what has the most series. Servers that do not know are asked
// by TSDBStatus.
func (c *Client) Cardinality(ctx context.Context, limit int) (*Cardinality, error) {
	var out Cardinality
	err := c.getJSON(ctx, own+"/cardinality", url.Values{"limit": {strconv.Itoa(limit)}}, &out)
	return &out, err
}
