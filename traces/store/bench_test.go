package store_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/internal/fault"
	"belfry/traces"
	"belfry/traces/store"
	"belfry/traces/traceql"
	"belfry/traces/tracestest"
)

// shopSpans returns the spans of n traces of ten spans each, as a shop of six
// services makes them, spread over an hour.
func shopSpans(n int) []traces.Span {
	r := rand.New(rand.NewPCG(1, 1))
	services := []string{"gateway", "shop", "cart", "payment", "stock", "postgres"}
	resources := make([]*traces.Resource, len(services))
	for i, name := range services {
		resources[i] = &traces.Resource{ScopeName: "otelhttp", ScopeVersion: "0.60.0", Attributes: []traces.Attribute{
			{Key: "deployment.environment.name", Value: traces.String("production")},
			{Key: "host.name", Value: traces.String(fmt.Sprintf("node-%d", i))},
			{Key: "service.name", Value: traces.String(name)},
		}}
	}
	spans := make([]traces.Span, 0, n*10)
	for range n {
		var id traces.TraceID
		binary.BigEndian.PutUint64(id[:], r.Uint64())
		binary.BigEndian.PutUint64(id[8:], r.Uint64())
		start := tracestest.Epoch + r.Int64N(3600e9)
		first := len(spans)
		for i := range 10 {
			s := traces.Span{TraceID: id, Start: start + int64(i)*1e6, Duration: int64(1e6 * (1 + r.ExpFloat64()*50)), Kind: traces.SpanKind(1 + r.IntN(3))}
			binary.BigEndian.PutUint64(s.ID[:], r.Uint64())
			if i > 0 {
				s.ParentID = spans[first+r.IntN(i)].ID
			}
			s.Resource = resources[min(i, r.IntN(len(resources)))]
			s.Name = fmt.Sprintf("GET /route/%d", r.IntN(40))
			status := int64(200)
			if r.IntN(100) == 0 {
				status, s.Status, s.StatusMessage = 500, traces.StatusError, "internal error"
			}
			s.Attributes = []traces.Attribute{
				{Key: "http.request.method", Value: traces.String("GET")},
				{Key: "http.response.status_code", Value: traces.Int(status)},
				{Key: "http.route", Value: traces.String(s.Name[4:])},
				{Key: "user.id", Value: traces.String(fmt.Sprintf("user-%d", r.IntN(100_000)))},
			}
			spans = append(spans, s)
		}
	}
	return spans
}

const (
	benchTraces = 100_000
	batchSize   = 500
)

func requests(spans []traces.Span) [][]byte {
	var out [][]byte
	for len(spans) > 0 {
		n := min(batchSize, len(spans))
		out = append(out, traces.AppendTracesData(nil, spans[:n]))
		spans = spans[n:]
	}
	return out
}

func benchStore(b *testing.B) *store.Store {
	s, err := store.Open(store.Options{
		Dir: b.TempDir(), Config: store.DefaultConfig(),
		Now: func() time.Time { return time.Unix(0, tracestest.Epoch).Add(2 * time.Hour) },
	})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}

func BenchmarkAppend(b *testing.B) {
	list := requests(shopSpans(2000))
	s := benchStore(b)
	n := 0
	for b.Loop() {
		_, err := s.Append(b.Context(), "t", list[n%len(list)])
		require.NoError(b, err)
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*batchSize), "ns/span")
}

func BenchmarkQuery(b *testing.B) {
	spans := shopSpans(benchTraces)
	s := benchStore(b)
	for _, request := range requests(spans) {
		_, err := s.Append(b.Context(), "t", request)
		for fault.KindOf(err) == fault.Limited {
			_, err = s.Append(b.Context(), "t", request)
		}
		require.NoError(b, err)
	}
	require.NoError(b, s.Flush(b.Context()))
	engine := traceql.NewEngine(s, traceql.Limits{})
	from, to := tracestest.Epoch, tracestest.Epoch+int64(2*time.Hour)
	b.Run("trace by id", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			t, err := s.Trace(b.Context(), "t", traces.TraceQuery{ID: spans[(n*7919)%len(spans)].TraceID})
			require.NoError(b, err)
			require.Len(b, t.Spans, 10)
		}
	})
	for _, query := range []string{
		`{ }`,
		`{ resource.service.name = "shop" && duration > 100ms }`,
		`{ resource.service.name = "shop" && span.http.response.status_code = 500 }`,
		`{ span.user.id = "user-77" }`,
		`{ resource.service.name = "gateway" } >> { resource.service.name = "postgres" && status = error }`,
		`{ status = error } | count() > 2`,
		`{ } | count() > 30`,
		`{ resource.service.name = "gateway" } >> { status = error } | by(resource.service.name) | count() > 9`,
		`{ parent.resource.service.name = "gateway" && status = error } | avg(duration) > 1m`,
		`{ name = "nosuch" } >> { event:name = "exception" }`,
		`{ rootName = "nosuch" }`,
		`{ rootName = "GET /route/7" && traceDuration > 200ms }`,
		`{ resource.service.name = "gateway" } >> { status = error } | rate() by (resource.service.name)`,
		`{ } | rate() by (resource.service.name)`,
		`{ status = error } | rate() by (resource.service.name)`,
		`{ } | quantile_over_time(duration, 0.99) by (name)`,
		`{ } | compare({ status = error })`,
	} {
		q, err := traceql.Parse(query)
		require.NoError(b, err)
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				if q.Metrics != nil {
					_, err = engine.Range(b.Context(), "t", traceql.RangeRequest{Query: q, From: from, To: to, Step: 60e9})
				} else {
					_, err = engine.Search(b.Context(), "t", traceql.SearchRequest{Query: q, From: from, To: to})
				}
				require.NoError(b, err)
			}
		})
	}
}
