package collector

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"google.golang.org/grpc"

	"belfry/internal/fault"
)

func TestShutdownAnswersWhatItHasTaken(t *testing.T) {
	w := start(t, nil)
	hold := make(chan struct{})
	w.logs.hold = hold
	conn := w.dial(t)
	errs := make(chan error, 2)
	body := request(t, "logs", []string{"held"}, 0)
	go func() { _, err := export(t.Context(), conn, "logs", body); errs <- err }()
	go func() {
		a := w.overHTTP()(t, "/v1/logs", protobufHeader, body)
		errs <- httpError(a)
	}()
	require.Eventually(t, func() bool { w.logs.mu.Lock(); defer w.logs.mu.Unlock(); return w.logs.calls == 2 }, 10*time.Second, time.Millisecond)

	down := make(chan error, 1)
	go func() { down <- w.Shutdown(context.WithoutCancel(t.Context())) }()
	// It has begun when new connections are refused.
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", w.http)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond)
	select {
	case err := <-down:
		t.Fatalf("shut down with requests inside: %v", err)
	default:
	}
	close(hold)
	for range 2 {
		require.NoError(t, <-errs)
	}
	require.NoError(t, <-down)
	require.Equal(t, []string{"held", "held"}, w.logs.names("default"))
}

// TestShutdownLetsCallersInsideOut is about callers in the same process: one is
// inside, one comes while the collector stops, one later.
func TestShutdownLetsCallersInsideOut(t *testing.T) {
	w := start(t, nil)
	hold := make(chan struct{})
	w.logs.hold = hold
	errs := make(chan error, 1)
	go func() { errs <- w.Consumer().ConsumeLogs(t.Context(), oneLog("held")) }()
	require.Eventually(t, func() bool { w.logs.mu.Lock(); defer w.logs.mu.Unlock(); return w.logs.calls == 1 }, 10*time.Second, time.Millisecond)
	down := make(chan error, 1)
	go func() { down <- w.Shutdown(context.WithoutCancel(t.Context())) }()
	require.Eventually(t, w.door.Waits, 10*time.Second, time.Millisecond)
	late := make(chan error, 1)
	go func() { late <- w.Consumer().ConsumeLogs(t.Context(), oneLog("late")) }()
	close(hold)
	require.NoError(t, <-errs)
	require.NoError(t, <-down)
	require.Equal(t, fault.Unavailable, fault.KindOf(<-late))
	require.Equal(t, []string{"held"}, w.logs.names("default"))
	require.Equal(t, http.StatusServiceUnavailable, w.overMux()(t, "/v1/logs", protobufHeader, request(t, "logs", []string{"later"}, 0)).code)
}

func oneLog(body string) plog.Logs {
	ld := plog.NewLogs()
	ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr(body)
	return ld
}

func httpError(a answer) error {
	if a.code != http.StatusOK {
		return errors.New(string(a.body))
	}
	return nil
}

func TestShutdownIsBounded(t *testing.T) {
	w := start(t, nil)
	w.logs.hold = make(chan struct{})
	conn := w.dial(t)
	answered := make(chan error, 1)
	go func() {
		_, err := export(t.Context(), conn, "logs", request(t, "logs", []string{"held"}, 0))
		answered <- err
	}()
	require.Eventually(t, func() bool { w.logs.mu.Lock(); defer w.logs.mu.Unlock(); return w.logs.calls == 1 }, 10*time.Second, time.Millisecond)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cancel()
	_ = w.Shutdown(ctx)
	require.Error(t, <-answered, "not acknowledged, since not kept")
}

func TestShutdownWithoutStartAndTwice(t *testing.T) {
	_, set := newWorld(t, nil)
	c, err := New(t.Context(), set)
	require.NoError(t, err)
	require.NoError(t, c.Shutdown(t.Context()))
	require.NoError(t, c.Shutdown(t.Context()))
	require.Error(t, c.Start(t.Context()))
}

// TestReloadKeepsServing sends without pause through every door while the
// configuration changes, each HTTP request on a new connection.
func TestReloadKeepsServing(t *testing.T) {
	w := start(t, nil)
	conn := w.dial(t)
	body := request(t, "logs", []string{"a"}, 0)
	post, mux := w.overHTTP(), w.overMux()
	stop := make(chan struct{})
	var sent atomic.Int64
	var sending sync.WaitGroup
	keep := func(send func() error) {
		sending.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := send(); err != nil {
					t.Errorf("while reloading: %v", err)
					return
				}
				sent.Add(1)
			}
		})
	}
	keep(func() error { return httpError(post(t, "/v1/logs", protobufHeader, body)) })
	keep(func() error { return httpError(mux(t, "/v1/logs", protobufHeader, body)) })
	keep(func() error { _, err := export(t.Context(), conn, "logs", body, grpc.WaitForReady(true)); return err })
	for i := range 6 {
		var user map[string]any
		if i%2 == 0 {
			user = lanes()["processors"]
		}
		before := sent.Load()
		require.NoError(t, w.Reload(t.Context(), onFreePorts(user)))
		require.Eventually(t, func() bool { return sent.Load() > before+20 }, 10*time.Second, time.Millisecond)
	}
	close(stop)
	sending.Wait()
	require.Len(t, w.logs.names("default"), int(sent.Load()), "each acknowledged request is kept once")
}

func TestReloadWithBadConfigurationChangesNothing(t *testing.T) {
	w := start(t, nil)
	err := w.Reload(t.Context(), map[string]any{"receivers": map[string]any{"nonsense": nil}})
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	require.ErrorContains(t, err, "receivers.nonsense")
	require.Equal(t, http.StatusOK, w.overHTTP()(t, "/v1/logs", protobufHeader, request(t, "logs", []string{"a"}, 0)).code)
}

func TestReloadOfTheSameLeavesEverythingRunning(t *testing.T) {
	t.Setenv("BELFRY_TEST_LIMIT", "70")
	user := onFreePorts(map[string]any{"processors": map[string]any{"memory_limiter": map[string]any{"limit_percentage": "${env:BELFRY_TEST_LIMIT}"}}})
	w := start(t, user)
	running := w.running
	require.NoError(t, w.Reload(t.Context(), user))
	require.Same(t, running, w.running)
	require.Equal(t, http.StatusOK, w.overHTTP()(t, "/v1/logs", protobufHeader, request(t, "logs", []string{"a"}, 0)).code)
	t.Setenv("BELFRY_TEST_LIMIT", "71")
	require.NoError(t, w.Reload(t.Context(), user))
	require.NotSame(t, running, w.running)
}

// TestReloadGoesBack: the new configuration is valid, but its port is taken.
func TestReloadGoesBack(t *testing.T) {
	w := start(t, nil)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	user := onFreePorts(nil)
	user["receivers"].(map[string]any)["otlp/second"] = map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": taken.Addr().String()},
	}}
	user["service"] = map[string]any{"pipelines": map[string]any{"logs": map[string]any{"receivers": []any{"otlp", "otlp/second"}}}}
	err = w.Reload(t.Context(), user)
	require.ErrorContains(t, err, "the old one runs again")
	require.ErrorContains(t, err, "address already in use")
	for _, send := range []sender{w.overHTTP(), w.overMux()} {
		require.Equal(t, http.StatusOK, send(t, "/v1/logs", protobufHeader, request(t, "logs", []string{"a"}, 0)).code)
	}
}

func TestStartFailsWhereThePortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	_, set := newWorld(t, map[string]any{"receivers": map[string]any{"otlp": map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": taken.Addr().String()},
	}}}})
	c, err := New(t.Context(), set)
	require.NoError(t, err)
	require.ErrorContains(t, c.Start(t.Context()), "address already in use")
	require.NoError(t, c.Shutdown(t.Context()))
}
