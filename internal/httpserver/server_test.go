package httpserver

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, h http.Handler, reg prometheus.Registerer) (string, *Server) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Address = "127.0.0.1:0"
	cfg.MaxRequestSize = 10
	s := New(Options{Config: cfg, Handler: h, Logger: slog.New(slog.DiscardHandler), Registerer: reg})
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		require.NoError(t, s.Shutdown(context.Background()))
	})
	return "http://" + s.Addr().String(), s
}

func do(t *testing.T, method, url string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestBodiesAreLimitedDeclaredOrNot(t *testing.T) {
	url, _ := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	}), nil)
	code, text := do(t, http.MethodPost, url, strings.NewReader("0123456789a"))
	require.Equal(t, http.StatusRequestEntityTooLarge, code)
	require.Contains(t, text, "over the limit of 10")
	code, _ = do(t, http.MethodPost, url, io.MultiReader(bytes.NewReader(make([]byte, 11))))
	require.Equal(t, http.StatusRequestEntityTooLarge, code, "a body of undeclared length")
	code, _ = do(t, http.MethodPost, url, strings.NewReader("0123456789"))
	require.Equal(t, http.StatusOK, code)
}

// TestTheRestOfABodyIsNotTheNextRequest is about handlers that close a body
// before its end, as one that finds a bomb does.
func TestTheRestOfABodyIsNotTheNextRequest(t *testing.T) {
	server := httptest.NewServer(limitBodies(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.Body.Close()
	}), 4<<20))
	defer server.Close()
	for range 10 {
		code, text := do(t, http.MethodPost, server.URL, bytes.NewReader(make([]byte, 1<<20)))
		require.Equal(t, http.StatusOK, code, text)
	}
}

func TestAPanicIsAnsweredAndTheServerGoesOn(t *testing.T) {
	reg := prometheus.NewRegistry()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("oh") })
	mux.HandleFunc("GET /ok", func(http.ResponseWriter, *http.Request) {})
	url, _ := start(t, mux, reg)
	code, _ := do(t, http.MethodGet, url+"/panic", nil)
	require.Equal(t, http.StatusInternalServerError, code)
	code, _ = do(t, http.MethodGet, url+"/ok", nil)
	require.Equal(t, http.StatusOK, code)
	code, _ = do(t, "BREW", url+"/no/such/route", nil)
	require.Equal(t, http.StatusNotFound, code)
	require.Equal(t, 3, testutil.CollectAndCount(reg, "belfry_http_request_duration_seconds"))
}

func TestShutdownWaitsForRequestsUnderWay(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	url, s := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = w.Write([]byte("done"))
	}), nil)
	got := make(chan string, 1)
	go func() {
		_, text := do(t, http.MethodGet, url, nil)
		got <- text
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	close(release)
	require.Equal(t, "done", <-got)
	require.NoError(t, <-stopped)
}

func TestConfigValidate(t *testing.T) {
	require.NoError(t, func() error { c := DefaultConfig(); return c.Validate() }())
	c := Config{Address: "nowhere", TLS: TLSConfig{CertFile: "x"}}
	err := c.Validate()
	for _, part := range []string{"address: ", "max_request_size: ", "read_timeout: ", "tls: "} {
		require.ErrorContains(t, err, part)
	}
	for address, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "0.0.0.0:1": false, ":1": false, "10.0.0.1:1": false} {
		require.Equal(t, want, Loopback(address), address)
	}
}
