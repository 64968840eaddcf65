package belfry

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// NameQuery narrows a list of names or values. Match is a selector of the
// signal's language, "" for all.
type NameQuery struct {
	Match      string
	Start, End time.Time
	Limit      int
}

// MetricLabels lists names of labels.
func (c *Client) MetricLabels(ctx context.Context, q NameQuery) ([]string, error) {
	return c.promNames(ctx, "/api/v1/labels", q)
}

// MetricLabelValues lists the values of a label.
func (c *Client) MetricLabelValues(ctx context.Context, label string, q NameQuery) ([]string, error) {
	return c.promNames(ctx, "/api/v1/label/"+label+"/values", q)
}

func (c *Client) promNames(ctx context.Context, path string, q NameQuery) ([]string, error) {
	p := url.Values{"start": {unix(q.Start)}, "end": {unix(q.End)}}
	if q.Match != "" {
		p.Set("match[]", q.Match)
	}
	if q.Limit > 0 {
		p.Set("limit", strconv.Itoa(q.Limit))
	}
	var out struct{ Data []string }
	err := c.getJSON(ctx, path, p, &out)
	return out.Data, err
}

// LogLabels lists names of streams' labels.
func (c *Client) LogLabels(ctx context.Context, q NameQuery) ([]string, error) {
	return c.lokiNames(ctx, "/loki/api/v1/labels", q)
}

// LogLabelValues lists the values of a stream's label.
func (c *Client) LogLabelValues(ctx context.Context, label string, q NameQuery) ([]string, error) {
	return c.lokiNames(ctx, "/loki/api/v1/label/"+label+"/values", q)
}

func (c *Client) lokiNames(ctx context.Context, path string, q NameQuery) ([]string, error) {
	p := url.Values{"start": {nanos(q.Start)}, "end": {nanos(q.End)}}
	if q.Match != "" {
		p.Set("query", q.Match)
	}
	var out struct{ Data []string }
	err := c.getJSON(ctx, path, p, &out)
	return out.Data, err
}

// LogField is a field beyond the stream's labels that lines carry.
type LogField struct {
	Label       string   `json:"label"`
	Type        string   `json:"type"`
	Cardinality int      `json:"cardinality"`
	Parsers     []string `json:"parsers"` // that read it from the line; none: metadata
}

// LogFields lists the fields of the newest lines.
func (c *Client) LogFields(ctx context.Context, q NameQuery) ([]LogField, error) {
	var out struct {
		Fields []LogField `json:"fields"`
	}
	err := c.getJSON(ctx, "/loki/api/v1/detected_fields", detected(q), &out)
	return out.Fields, err
}

// LogFieldValues lists the values of a field in the newest lines.
func (c *Client) LogFieldValues(ctx context.Context, field string, q NameQuery) ([]string, error) {
	var out struct {
		Values []string `json:"values"`
	}
	err := c.getJSON(ctx, "/loki/api/v1/detected_field/"+field+"/values", detected(q), &out)
	return out.Values, err
}

func detected(q NameQuery) url.Values {
	p := url.Values{"start": {nanos(q.Start)}, "end": {nanos(q.End)}}
	if q.Match != "" {
		p.Set("query", q.Match)
	}
	if q.Limit > 0 {
		p.Set("limit", strconv.Itoa(q.Limit))
	}
	return p
}

// TagScope are the attributes of one scope.
type TagScope struct {
	Name string   `json:"name"`
	Tags []string `json:"tags"`
}

// TraceTags lists attributes of spans by scope.
func (c *Client) TraceTags(ctx context.Context, q NameQuery) ([]TagScope, error) {
	var out struct {
		Scopes []TagScope `json:"scopes"`
	}
	err := c.getJSON(ctx, "/tempo/api/v2/search/tags", tagParams(q), &out)
	return out.Scopes, err
}

// TagValue is a value with TraceQL's name of its type.
type TagValue struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// TraceTagValues lists the values of an attribute, named as in TraceQL.
func (c *Client) TraceTagValues(ctx context.Context, tag string, q NameQuery) ([]TagValue, error) {
	var out struct {
		Values []TagValue `json:"tagValues"`
	}
	err := c.getJSON(ctx, "/tempo/api/v2/search/tag/"+tag+"/values", tagParams(q), &out)
	return out.Values, err
}

func tagParams(q NameQuery) url.Values {
	p := url.Values{
		"start": {strconv.FormatInt(q.Start.Unix(), 10)}, "end": {strconv.FormatInt(q.End.Unix()+1, 10)},
	}
	if q.Match != "" {
		p.Set("q", q.Match)
	}
	if q.Limit > 0 {
		p.Set("limit", strconv.Itoa(q.Limit))
	}
	return p
}
