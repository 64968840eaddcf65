package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// wantAcknowledged finds everything that was acknowledged to an HTTP sender.
func (s *server) wantAcknowledged(a *acknowledged, x *sender, at time.Time) {
	s.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	service := "e2e-" + x.via
	points, err := s.promNumbers(service, at)
	require.NoError(s.t, err)
	require.Empty(s.t, missing(a.points, points), "acknowledged points")
	records, err := s.lokiNumbers(service, at.Add(-time.Minute), at.Add(time.Minute))
	require.NoError(s.t, err)
	require.Empty(s.t, missing(a.records, records), "acknowledged records")
	for n := range maps.Keys(a.spans) {
		require.NoError(s.t, s.tempoHas(x, n))
	}
}

func newAcknowledged() *acknowledged {
	return &acknowledged{spans: map[int]bool{}, records: map[int]bool{}, points: map[int]bool{}}
}

// waitForSome waits until some of every signal were acknowledged.
func (s *server) waitForSome(a *acknowledged, n int) {
	s.t.Helper()
	s.eventually("acknowledgements", func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if min(len(a.records), len(a.spans), len(a.points)) < n {
			return fmt.Errorf("%d records, %d spans, %d points", len(a.records), len(a.spans), len(a.points))
		}
		return nil
	})
}

func TestSigtermInTheMiddleOfALoad(t *testing.T) {
	s := newServer(t, "")
	s.start()
	at := time.Now().Truncate(time.Second)
	for _, x := range []*sender{s.httpSender(), s.grpcSender()} {
		a, done := newAcknowledged(), make(chan struct{})
		go func() {
			defer close(done)
			a.load(t.Context(), x, at)
		}()
		s.waitForSome(a, 400)
		began := time.Now()
		s.stop()
		require.Less(t, time.Since(began), 30*time.Second, "the drain's bound")
		<-done
		s.start()
		s.wantAcknowledged(a, x, at)
	}
	s.stop()
}

// newestSegment returns the last file of a store's write-ahead log.
func (s *server) newestSegment(store string) string {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "data", store, "wal", "*.wal"))
	require.NoError(s.t, err)
	require.NotEmpty(s.t, names)
	slices.Sort(names)
	return names[len(names)-1]
}

// TestTornLogIsRepaired damages the end of the write-ahead logs as a crash of
// the machine could: bytes of a record that was never whole.
func TestTornLogIsRepaired(t *testing.T) {
	s := newServer(t, "telemetry: {self_ingest: false}\n")
	s.start()
	at := time.Now().Truncate(time.Second)
	x := s.httpSender()
	a := newAcknowledged()
	send := func(from int) {
		require.NoError(t, x.sendSpans(t.Context(), from, from+20, at))
		require.NoError(t, x.sendRecords(t.Context(), from, from+20, at))
		require.NoError(t, x.sendPoints(t.Context(), from, from+20, at))
		a.add(a.spans, from, from+20)
		a.add(a.records, from, from+20)
		a.add(a.points, from, from+20)
	}
	send(0)
	send(20)
	s.kill()
	for _, store := range []string{"logs", "traces"} {
		name := s.newestSegment(store)
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.Write(bytes.Repeat([]byte("torn"), 1000))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	s.start()
	log := s.log.String()
	for _, store := range []string{"logs", "traces"} {
		require.Regexp(t, `level=WARN msg="wal: torn end of a segment cut" component=`+store+` .*bytes=4000`, log)
	}
	s.wantAcknowledged(a, x, at)

	// A record whose end is missing was never acknowledged, in a real crash. The
	// others are kept, and what comes next is too.
	send(40)
	s.kill()
	for _, store := range []string{"logs", "traces"} {
		name := s.newestSegment(store)
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(name, info.Size()-7))
	}
	s.start()
	require.Equal(t, 2, strings.Count(s.log.String(), "torn end of a segment cut"), "one for each store")
	for n := 40; n < 60; n++ {
		delete(a.records, n)
		delete(a.spans, n)
	}
	s.wantAcknowledged(a, x, at)
	send(60)
	s.kill()
	s.start()
	require.NotContains(t, s.log.String(), "torn end of a segment")
	s.wantAcknowledged(a, x, at)
	s.stop()
}

const reloadRules = `
groups:
  - name: g
    interval: 1s
    rules:
      - {record: reloaded, expr: 'vector(%d)'}
`

func TestReload(t *testing.T) {
	s := newServer(t, "")
	s.start()
	rulesFile := filepath.Join(s.dir, "rules.yaml")
	writeRules := func(value int) {
		require.NoError(t, os.WriteFile(rulesFile, fmt.Appendf(nil, reloadRules, value), 0o600))
	}
	t.Run("SIGHUP: a new rule and a new receiver", func(t *testing.T) {
		writeRules(1)
		statsd := s.freeAddr("udp")
		s.configure(fmt.Sprintf(`    statsd: {endpoint: %q, aggregation_interval: 100ms}
  service: {pipelines: {metrics/statsd: {receivers: [statsd]}}}
rules: {files: [rules.yaml], evaluation_interval: 1s}
`, statsd))
		require.NoError(t, s.cmd.Process.Signal(syscall.SIGHUP))
		require.Equal(t, "1", s.wantSample(`reloaded`).value)
		s.eventually("the new receiver", func() error {
			dialAndWrite(t, "udp", statsd, []byte("hello:1|g"))
			samples, err := s.promSamples("hello")
			if err == nil && len(samples) == 0 {
				err = errors.New("no series")
			}
			return err
		})
		require.NoError(t, s.httpSender().sendPoints(t.Context(), 0, 10, time.Now()), "the old receiver goes on")
	})
	t.Run("POST /-/reload: the rules file alone", func(t *testing.T) {
		writeRules(2)
		require.NoError(t, s.post("/-/reload", "", nil))
		s.wantSample(`reloaded == 2`)
	})
	t.Run("a bad one is refused with all its faults, and the old one goes on", func(t *testing.T) {
		good := s.config
		bad := strings.Replace(good, "rules:", "nonsense: 1\nmetrics: {durability: maybe}\ntraces: {flush: {age: 0s}}\nrules:", 1)
		require.NotEqual(t, good, bad)
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, "belfry.yaml"), []byte(bad), 0o600))
		a := s.send("/-/reload", nil)
		require.Equal(t, http.StatusBadRequest, a.code)
		for _, fault := range []string{"belfry.yaml:", "nonsense", "metrics.durability", "traces.flush.age"} {
			require.Contains(t, a.body, fault)
		}
		require.NoError(t, s.httpSender().sendPoints(t.Context(), 10, 20, time.Now()))

		require.NoError(t, os.WriteFile(filepath.Join(s.dir, "belfry.yaml"), []byte(good), 0o600))
		require.NoError(t, os.WriteFile(rulesFile, []byte("groups: [{name: g, rules: [{record: a b, expr: 'sum('}]}]"), 0o600))
		a = s.send("/-/reload", nil)
		require.Equal(t, http.StatusBadRequest, a.code)
		require.Contains(t, a.body, "rules.yaml")
		require.Contains(t, a.body, "the running configuration goes on")
		writeRules(3)
		require.NoError(t, s.post("/-/reload", "", nil))
		s.wantSample(`reloaded == 3`)
	})
	s.stop()
}

// smallVolume mounts a file system of some bytes at the server's data folder.
func (s *server) smallVolume(bytes int) string {
	s.t.Helper()
	dir := filepath.Join(s.dir, "data")
	require.NoError(s.t, os.Mkdir(dir, 0o700))
	unmount, err := mountSmall(dir, bytes)
	if err != nil {
		s.t.Skipf("a full disk needs a small volume, and this process may not mount one: %v", err)
	}
	s.t.Cleanup(unmount)
	return dir
}

// fill takes all free space of a volume and returns how to give it back.
func (s *server) fill(dir string) (free func()) {
	s.t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	require.NoError(s.t, err)
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err = f.Write(block); err != nil {
			require.ErrorIs(s.t, err, syscall.ENOSPC)
			block = block[:len(block)/2]
		}
	}
	require.NoError(s.t, f.Close())
	return func() { require.NoError(s.t, os.Remove(name)) }
}

func TestFullDisk(t *testing.T) {
	s := newServer(t, "metrics: {min_free_disk: 1MiB}\ntelemetry: {self_ingest: false}\n")
	dir := s.smallVolume(64 << 20)
	s.t.Cleanup(func() { // before the volume goes
		if s.cmd != nil && s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	s.start()
	at := time.Now().Truncate(time.Second)
	x, a := s.httpSender(), newAcknowledged()
	sendSome := func(from int) {
		t.Helper()
		require.NoError(t, x.sendSpans(t.Context(), from, from+100, at))
		require.NoError(t, x.sendRecords(t.Context(), from, from+100, at))
		require.NoError(t, x.sendPoints(t.Context(), from, from+100, at))
		a.add(a.spans, from, from+100)
		a.add(a.records, from, from+100)
		a.add(a.points, from, from+100)
	}
	sendSome(0)
	free := s.fill(dir)

	requests := map[string][]byte{}
	big := strings.Repeat("x", 200_000)
	requests["logs"], _ = plogotlp.NewExportRequestFromLogs(logsOf("refused", func(r plog.LogRecord) { r.Body().SetStr(big) })).MarshalProto()
	requests["traces"], _ = ptraceotlp.NewExportRequestFromTraces(spansOf("refused", func(r ptrace.Span) { r.Attributes().PutStr("big", big) })).MarshalProto()
	requests["metrics"], _ = pmetricotlp.NewExportRequestFromMetrics(pointsOf("refused", func(pmetric.Metric) {})).MarshalProto()
	for signal, request := range requests {
		s.eventually(signal+" are refused", func() error { // what has room in allocated pages may still be kept
			ans, err := s.trySend("http://"+s.http+"/v1/"+signal, request, "Content-Type", protobufType)
			if err == nil && ans.code == 200 {
				err = errors.New("kept")
			}
			return err
		})
		ans := s.send("http://"+s.http+"/v1/"+signal, request, "Content-Type", protobufType)
		require.Equal(t, 503, ans.code, "%s: %s", signal, ans.body)
		require.NotEmpty(t, ans.header.Get("Retry-After"), "%s: a delay", signal)
		require.Regexp(t, "no space left|disk is nearly full", statusOf(t, ans))
		_, err := s.callRaw(s.grpc, grpcMethods[signal], request)
		st := grpcstatus.Convert(err)
		require.Equal(t, codes.Unavailable, st.Code(), "%s: %v", signal, err)
		require.True(t, slices.ContainsFunc(st.Details(), func(d any) bool { _, ok := d.(*errdetails.RetryInfo); return ok }), "%s: %v", signal, st.Details())
	}
	s.wantAcknowledged(a, x, at)
	require.NoError(t, s.get("/-/healthy", nil))

	free()
	s.eventually("writes resume", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return errors.Join(x.sendSpans(ctx, 100, 200, at), x.sendRecords(ctx, 100, 200, at), x.sendPoints(ctx, 100, 200, at))
	})
	sendSome(200)
	a.add(a.spans, 100, 200)
	a.add(a.records, 100, 200)
	a.add(a.points, 100, 200)
	s.wantAcknowledged(a, x, at)
	s.kill()
	s.start()
	s.wantAcknowledged(a, x, at)
	s.stop()
}
