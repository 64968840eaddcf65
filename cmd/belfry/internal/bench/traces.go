package bench

import (
	"encoding/hex"
	"net/url"
	"strconv"
	"time"
)

// traceID returns the ID of the first trace of batch n.
func (g generator) traceID(n int) string {
	id := randomID(g.rng(n))
	return hex.EncodeToString(id[:])
}

// byTraceID asks for another trace each time, from all over the load.
func (g generator) byTraceID(batches int, path func(id string) string) query {
	var urls []string
	for i := range queryRuns {
		urls = append(urls, path(g.traceID((2*i+1)*batches/(2*queryRuns))))
	}
	return query{name: "trace by id", url: urls[0], urls: urls}
}

// tempoQueries are the questions about traces in Tempo's API, below prefix.
func (g generator) tempoQueries(prefix string, batches int) []query {
	from, to := g.eventRange(batches)
	search := func(expr string) string {
		return prefix + "/api/search?" + values(nil, "q", expr, "start", seconds(from), "end", seconds(to), "limit", "20")
	}
	metrics := func(expr string) string {
		return prefix + "/api/metrics/query_range?" + values(nil, "q", expr, "start", seconds(from), "end", seconds(to), "step", "10s")
	}
	return []query{
		g.byTraceID(batches, func(id string) string { return prefix + "/api/traces/" + id }),
		{name: "service and duration", url: search(`{ resource.service.name = "cart" && duration > 100ms }`)},
		{name: "service and tag", url: search(`{ resource.service.name = "cart" && span.http.response.status_code = 500 }`)},
		{name: "rare tag", url: search(`{ span.user.id = "u000042" }`)},
		{name: "structural", url: search(`{ resource.service.name = "frontend" } >> { resource.service.name = "cart" && status = error }`)},
		{name: "root name and duration", url: search(`{ rootName = "GET /cart" && traceDuration > 200ms }`)},
		{name: "rate by service", url: metrics(`{ } | rate() by (resource.service.name)`)},
		{name: "quantiles by name", url: metrics(`{ } | quantile_over_time(duration, .5, .99) by (name)`)},
		{name: "compare", url: metrics(`{ } | compare({ status = error })`)},
		{name: "rate of a structure", url: metrics(`{ resource.service.name = "frontend" } >> { status = error } | rate() by (resource.service.name)`)},
	}
}

// jaegerQueries are those that Jaeger's API can answer.
func (g generator) jaegerQueries(prefix string, batches int) []query {
	from, to := g.eventRange(batches)
	find := func(more url.Values) string {
		return prefix + "/api/traces?" + values(more, "start", micros(from), "end", micros(to), "limit", "20", "service", "cart")
	}
	return []query{
		g.byTraceID(batches, func(id string) string { return prefix + "/api/traces/" + id }),
		{name: "service and duration", url: find(url.Values{"minDuration": {"100ms"}})},
		{name: "service and tag", url: find(url.Values{"tags": {`{"http.response.status_code":"500"}`}})},
		{name: "rare tag", url: find(url.Values{"tags": {`{"user.id":"u000042"}`}})},
		{name: "services", url: prefix + "/api/services"},
	}
}

// eventRange is the time that logs and spans of so many batches lie in.
func (g generator) eventRange(batches int) (from, to time.Time) {
	return g.start.Add(-time.Second), g.start.Add(time.Duration(batches)*100*time.Millisecond + time.Minute)
}

func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }
