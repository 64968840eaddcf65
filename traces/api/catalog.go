package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/servicegraph"
	"belfry/traces/traceql"
)

const (
	// catalogLookback is the range of listings of services and operations, for
	// which the APIs of Jaeger and Zipkin have no parameter.
	catalogLookback = 7 * 24 * time.Hour
	maxServices     = 10_000
	// maxGraphSpans bounds what a graph of dependencies is computed from.
	maxGraphSpans = 1_000_000
)

// catalog answers what Jaeger's and Zipkin's APIs have in common.
type catalog struct{ Options }

func (c *catalog) recent() (from, to int64) {
	now := c.Now()
	return now.Add(-catalogLookback).UnixNano(), now.Add(time.Hour).UnixNano()
}

func (c *catalog) values(ctx context.Context, field traces.Field, filter traces.Filter) ([]string, error) {
	q := traces.ValuesQuery{Field: field, Filter: filter, Limit: maxServices}
	q.From, q.To = c.recent()
	list, _, err := c.Store.Values(ctx, tenant.ID(ctx), q)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list))
	for _, v := range list {
		names = append(names, v.Value.Text())
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (c *catalog) services(ctx context.Context) ([]string, error) {
	return c.values(ctx, traces.ServiceName(), nil)
}

func ofService(service string, more ...traces.Filter) traces.Filter {
	filter := traces.And(more)
	if service != "" {
		filter = append(filter, traces.Compare{Field: traces.ServiceName(), Value: traces.String(service)})
	}
	return filter
}

func (c *catalog) operations(ctx context.Context, service string, more ...traces.Filter) ([]string, error) {
	return c.values(ctx, traces.Intrinsic(traces.Name), ofService(service, more...))
}

// searchTraces finds the traces that a query matches, the newest first.
func (c *catalog) searchTraces(ctx context.Context, req traceql.SearchRequest) (*traceql.SearchResult, error) {
	return c.Engine.Search(ctx, tenant.ID(ctx), req)
}

// found are whole traces.
type found struct {
	trees []*traces.Tree
	next  *traceql.Cursor         // where a search goes on, if there are more
	cut   map[traces.TraceID]bool // of which not all spans are there, because they are too many
}

// tellCut says in a header that some traces are not whole.
func (f *found) tellCut(h http.Header) {
	if len(f.cut) > 0 {
		h.Set(CutHeader, "spans")
	}
}

// findTraces returns the whole of the traces that a query matches, the newest first.
func (c *catalog) findTraces(ctx context.Context, req traceql.SearchRequest) (*found, error) {
	result, err := c.searchTraces(ctx, req)
	if err != nil {
		return nil, err
	}
	ids := make([]traces.TraceID, 0, len(result.Traces))
	for _, s := range result.Traces {
		ids = append(ids, s.ID)
	}
	f, err := c.traces(ctx, ids, req.From, req.To)
	if err != nil {
		return nil, err
	}
	f.next = result.Next
	return f, nil
}

// manyTraces is how many traces of the greatest length one answer holds at most.
const manyTraces = 3

// traces returns whole traces in the order of their IDs, without those that do not exist.
func (c *catalog) traces(ctx context.Context, ids []traces.TraceID, from, to int64) (*found, error) {
	f := &found{cut: map[traces.TraceID]bool{}}
	if len(ids) == 0 {
		return f, nil
	}
	spans := make(map[traces.TraceID][]traces.Span, len(ids))
	q := traces.TracesQuery{IDs: ids, From: from, To: to, MaxSpans: manyTraces * c.MaxTraceSpans}
	stats, err := c.Store.Traces(ctx, tenant.ID(ctx), q, func(batch []traces.Span) error {
		for _, s := range batch {
			if len(spans[s.TraceID]) < c.MaxTraceSpans {
				spans[s.TraceID] = append(spans[s.TraceID], s)
			} else {
				f.cut[s.TraceID] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if list := spans[id]; len(list) > 0 {
			f.trees = append(f.trees, traces.NewTree(list))
			delete(spans, id)
		}
		if stats.Cut != "" {
			f.cut[id] = true // it may be
		}
	}
	return f, nil
}

// graph reads the range of a request as Jaeger and Zipkin name it, and returns
// which service called which in it.
func (c *catalog) graph(ctx context.Context, p *params) (*servicegraph.Graph, error) {
	to := p.instant("endTs", time.Millisecond, c.Now().UnixNano())
	lookback := p.instant("lookback", time.Millisecond, int64(c.DefaultLookback))
	if p.err != nil {
		return nil, p.err
	}
	return c.graphBetween(ctx, to-lookback, to)
}

func (c *catalog) graphBetween(ctx context.Context, from, to int64) (*servicegraph.Graph, error) {
	return servicegraph.Query(ctx, c.Store, tenant.ID(ctx), from, to, maxGraphSpans)
}

type operation struct {
	Name     string `json:"name"`
	SpanKind string `json:"spanKind"`
}

func (c *catalog) operationKinds(ctx context.Context, service, kind string) ([]operation, error) {
	list := []operation{}
	for k := traces.SpanKindUnspecified; k <= traces.SpanKindConsumer; k++ {
		name := k.String()
		if k == traces.SpanKindUnspecified {
			name = ""
		}
		if kind != "" && !strings.EqualFold(kind, name) {
			continue
		}
		names, err := c.operations(ctx, service, traces.Compare{Field: traces.Intrinsic(traces.SpanKindField), Value: traces.Int(int64(k))})
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			list = append(list, operation{n, name})
		}
	}
	return list, nil
}

func (c *catalog) tracesByID(ctx context.Context, texts []string) (*found, error) {
	var ids []traces.TraceID
	for _, text := range texts {
		id, err := traces.ParseTraceID(text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return c.traces(ctx, ids, 0, 0)
}
