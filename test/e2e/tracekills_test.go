package e2e

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// tracesPerRequest is how many traces begin in each request of a traceSender.
const tracesPerRequest = 50

// traceSender sends traces of three spans, each below the one before, that come in
// three requests one after the other.
type traceSender struct {
	s       *server
	service string
	id      uint64 // of the sender, part of its trace IDs
	at      time.Time
	acked   int // requests
}

// send sends request n.
func (x *traceSender) send(n int) error {
	data := ptrace.NewTraces()
	rs := data.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", x.service)
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for depth, name := range []string{"root", "child", "leaf"} {
		first := n - depth // the request that the traces began in
		if first < 0 {
			continue
		}
		for i := range tracesPerRequest {
			span := spans.AppendEmpty()
			var id [16]byte
			binary.BigEndian.PutUint64(id[:], x.id)
			binary.BigEndian.PutUint64(id[8:], uint64(first*tracesPerRequest+i+1))
			span.SetTraceID(id)
			span.SetSpanID([8]byte{7: byte(depth + 1)})
			if depth > 0 {
				span.SetParentSpanID([8]byte{7: byte(depth)})
			}
			span.SetName(name)
			from := x.at.Add(time.Duration(first)*time.Millisecond + time.Duration(depth)*time.Microsecond)
			span.SetStartTimestamp(pcommon.NewTimestampFromTime(from))
			span.SetEndTimestamp(pcommon.NewTimestampFromTime(from.Add(time.Millisecond)))
			span.Attributes().PutStr("user.id", fmt.Sprintf("u%08d", rand.IntN(1e8)))
		}
	}
	body, err := ptraceotlp.NewExportRequestFromTraces(data).MarshalProto()
	if err != nil {
		return err
	}
	for {
		a, err := x.s.trySend("http://"+x.s.http+"/v1/traces", body, "Content-Type", "application/x-protobuf")
		switch {
		case err != nil:
			return err
		case a.code == http.StatusOK:
			return nil
		case a.code != http.StatusTooManyRequests && a.code != http.StatusServiceUnavailable:
			return fmt.Errorf("%d %s", a.code, a.body)
		}
	}
}

// TestTracesSurviveKills loads traces whose spans come in several requests on several connections
// into small memtables, so that flushes set traces apart and merges join them all the time, and
// kills the process at random moments on the same folder. All acknowledged spans must be there once,
// and the traces' structure as it was sent, whatever part of it was joined when.
func TestTracesSurviveKills(t *testing.T) {
	s := newServer(t, "traces: {flush: {size: 1MiB, age: 1s}}\n")
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	var all []*traceSender
	for round := range killRoundsWanted(t) {
		s.start()
		all = append(all, s.traceUntilKilled(round, at, 20+rand.IntN(600))...)
		s.start()
		for _, x := range all {
			x.check(round)
		}
		s.kill()
	}
	s.start()
	for _, x := range all {
		x.check(-1)
	}
	s.stop()
}

// traceUntilKilled sends traces until so many requests are acknowledged, and kills the process meanwhile.
func (s *server) traceUntilKilled(round int, at time.Time, target int) []*traceSender {
	var mu sync.Mutex
	var wg sync.WaitGroup
	senders := make([]*traceSender, 3)
	for i := range senders {
		x := &traceSender{s: s, service: fmt.Sprintf("kill-%d-%d", round, i), id: uint64(round*10 + i + 1), at: at}
		senders[i] = x
		wg.Go(func() {
			for n := 0; x.send(n) == nil; n++ {
				mu.Lock()
				x.acked++
				mu.Unlock()
			}
		})
	}
	s.eventually("acknowledgements", func() error {
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, x := range senders {
			n += x.acked
		}
		if n < target {
			return context.DeadlineExceeded
		}
		return nil
	})
	s.kill()
	wg.Wait()
	return senders
}

// check counts the sender's spans by name and by structure.
func (x *traceSender) check(round int) {
	x.s.t.Helper()
	roots := x.count(`{ %s && name = "root" }`)
	// The last request may be stored without having been acknowledged.
	require.Zero(x.s.t, roots%tracesPerRequest)
	requests := roots / tracesPerRequest
	require.GreaterOrEqual(x.s.t, requests, x.acked, "round %d, %s", round, x.service)
	require.LessOrEqual(x.s.t, requests, x.acked+1, "round %d, %s", round, x.service)
	children, leaves := max(requests-1, 0)*tracesPerRequest, max(requests-2, 0)*tracesPerRequest
	for query, want := range map[string]int{
		`{ %s }`: roots + children + leaves,
		`{ %s && name = "root" } > { name = "child" }`:                       children,
		`{ %s && name = "root" } >> { name = "leaf" }`:                       leaves,
		`{ %s && nestedSetParent < 0 }`:                                      roots,
		`{ %s && name = "leaf" && rootName = "root" }`:                       leaves,
		`{ %s && name = "root" && span:childCount = 1 }`:                     children,
		`{ %s && name = "leaf" && traceDuration > 1ms }`:                     leaves,
		`{ %s && name = "child" && traceDuration <= 1ms }`:                   0,
		`{ %s && name = "leaf" } << { name = "child" } << { name = "root" }`: leaves,
	} {
		require.Equal(x.s.t, want, x.count(query), "round %d, %s: %s", round, x.service, query)
	}
}

// count returns how many spans a query selects; %s in it is a condition on the sender.
func (x *traceSender) count(query string) int {
	x.s.t.Helper()
	var answer struct {
		Series []struct {
			Samples []struct{ Value json.Number }
		}
	}
	query = fmt.Sprintf(query, fmt.Sprintf("resource.service.name = %q", x.service)) + " | count_over_time()"
	require.NoError(x.s.t, x.s.get("/tempo/api/metrics/query_range", &answer, "q", query,
		"start", strconv.FormatInt(x.at.Unix()-1, 10), "end", strconv.FormatInt(x.at.Unix()+600, 10), "step", "60s"))
	total := 0
	for _, series := range answer.Series {
		for _, sample := range series.Samples {
			n, err := strconv.ParseFloat(sample.Value.String(), 64)
			if sample.Value == "" {
				n, err = 0, nil
			}
			require.NoError(x.s.t, err)
			total += int(n)
		}
	}
	return total
}
