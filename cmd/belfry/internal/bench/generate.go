package bench

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

var (
	serviceNames = []string{"frontend", "checkout", "cart", "payment", "catalog", "search", "shipping", "email", "ads", "auth"}
	routes       = []string{"/", "/cart", "/cart/items", "/checkout", "/api/products", "/api/products/{id}", "/api/search", "/api/users/{id}", "/login", "/logout", "/health", "/api/recommendations"}
	verbs        = []string{"GET", "GET", "GET", "POST", "PUT", "DELETE"}
	sentences    = []string{
		"request completed in %d ms for user %d with status %d, %d bytes written to the client after the cache was consulted",
		"connection to upstream %d was reused for request %d, which returned %d after %d attempts and is now idle in the pool",
		"cache miss for key product:%d:%d, loaded %d rows from the primary database in %d microseconds",
		"scheduled job %d finished its run %d with exit code %d, next one in %d seconds from now",
		"user %d authenticated with session %d from region %d, the token expires in %d seconds",
		"retrying call %d to the payment provider for order %d because it answered %d, backing off for %d ms",
	}
)

const (
	podsPerService = 20
	recordsPerPost = 1000
	spansPerTrace  = 10
)

// generator makes load from a seed; its time starts at start.
type generator struct {
	seed  uint64
	start time.Time
}

func (g generator) rng(n int) *rand.Rand { return rand.New(rand.NewPCG(g.seed, uint64(n))) } //nolint:gosec // load, not secrets

func describe(res pcommon.Resource, service, pod int) {
	name := serviceNames[service]
	res.Attributes().PutStr("service.name", name)
	res.Attributes().PutStr("k8s.namespace.name", "shop")
	res.Attributes().PutStr("k8s.pod.name", fmt.Sprintf("%s-6d5f7c9b8-%05d", name, pod))
	res.Attributes().PutStr("host.name", fmt.Sprintf("node-%02d", pod%8))
}

func randomID(rng *rand.Rand) (id [16]byte) {
	binary.LittleEndian.PutUint64(id[:], rng.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rng.Uint64()|1)
	return id
}

// logs makes 1,000 records of one pod: a body of about 100 bytes, six
// attributes, a trace ID on 30 %. Batch n is a tenth of a second after n-1.
func (g generator) logs(n int) ([]byte, int, error) {
	rng := g.rng(n)
	data := plog.NewLogs()
	rl := data.ResourceLogs().AppendEmpty()
	describe(rl.Resource(), rng.IntN(len(serviceNames)), rng.IntN(podsPerService))
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	records.EnsureCapacity(recordsPerPost)
	at := g.start.Add(time.Duration(n) * 100 * time.Millisecond)
	for i := range recordsPerPost {
		r := records.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Duration(i) * 100 * time.Microsecond)))
		status := [...]int64{200, 200, 200, 200, 200, 201, 204, 304, 404, 500}[rng.IntN(10)]
		severity, text := plog.SeverityNumberInfo, "INFO"
		if status == 500 {
			severity, text = plog.SeverityNumberError, "ERROR"
		}
		r.SetSeverityNumber(severity)
		r.SetSeverityText(text)
		r.Body().SetStr(fmt.Sprintf(sentences[rng.IntN(len(sentences))], rng.IntN(1e4), rng.IntN(1e6), status, rng.IntN(1e4)))
		a := r.Attributes()
		a.PutStr("http.request.method", verbs[rng.IntN(len(verbs))])
		a.PutStr("http.route", routes[rng.IntN(len(routes))])
		a.PutInt("http.response.status_code", status)
		a.PutDouble("duration_ms", float64(rng.IntN(2e5))/100)
		a.PutStr("user.id", fmt.Sprintf("u%06d", rng.IntN(1e6)))
		a.PutStr("thread.name", fmt.Sprintf("worker-%d", rng.IntN(16)))
		if rng.IntN(10) < 3 {
			id := randomID(rng)
			r.SetTraceID(id)
			r.SetSpanID([8]byte(id[8:]))
		}
	}
	body, err := plogotlp.NewExportRequestFromLogs(data).MarshalProto()
	return body, recordsPerPost, err
}

// traces makes 100 traces of ten spans over several services.
func (g generator) traces(n int) ([]byte, int, error) {
	rng := g.rng(n)
	data := ptrace.NewTraces()
	scopes := make([]ptrace.SpanSlice, len(serviceNames))
	for i := range scopes {
		rs := data.ResourceSpans().AppendEmpty()
		describe(rs.Resource(), i, n%podsPerService)
		scopes[i] = rs.ScopeSpans().AppendEmpty().Spans()
	}
	begin := g.start.Add(time.Duration(n) * 100 * time.Millisecond)
	for t := range recordsPerPost / spansPerTrace {
		traceID := randomID(rng)
		var ids [spansPerTrace][8]byte
		for i := range spansPerTrace {
			id := randomID(rng)
			ids[i] = [8]byte(id[8:])
			service := 0
			if i > 0 {
				service = (t + i) % len(serviceNames)
			}
			s := scopes[service].AppendEmpty()
			s.SetTraceID(traceID)
			s.SetSpanID(ids[i])
			if i > 0 {
				s.SetParentSpanID(ids[(i-1)/2])
			}
			route := routes[rng.IntN(len(routes))]
			s.SetName(verbs[rng.IntN(len(verbs))] + " " + route)
			s.SetKind(ptrace.SpanKindServer)
			from := begin.Add(time.Duration(t)*time.Millisecond + time.Duration(i)*50*time.Microsecond)
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(from))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(from.Add(time.Duration(rng.ExpFloat64() * float64(20*time.Millisecond)))))
			a := s.Attributes()
			a.PutStr("http.request.method", verbs[rng.IntN(len(verbs))])
			a.PutStr("http.route", route)
			status := [...]int64{200, 200, 200, 200, 200, 200, 201, 204, 404, 500}[rng.IntN(10)]
			a.PutInt("http.response.status_code", status)
			a.PutStr("user.id", fmt.Sprintf("u%06d", rng.IntN(1e6)))
			a.PutStr("server.address", "shop.example.com")
			if status == 500 {
				s.Status().SetCode(ptrace.StatusCodeError)
				s.Status().SetMessage("upstream answered 500")
			}
		}
	}
	body, err := ptraceotlp.NewExportRequestFromTraces(data).MarshalProto()
	return body, recordsPerPost, err
}
