package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds every wait for something that must come; it is far above what
// any of them takes.
const patience = 60 * time.Second

var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "belfry-e2e-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "belfry")
		build := exec.Command("go", "build", "-o", program, "belfry/cmd/belfry")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// server is a Belfry process.
type server struct {
	t    *testing.T
	dir  string
	base string // of the HTTP APIs
	grpc string // host:port
	http string // host:port of OTLP/HTTP

	maxRequest string // max_request_size

	config string
	cmd    *exec.Cmd
	log    *logBuffer
}

// newServer prepares a server with a data folder and ports of its own; extra is
// added to its configuration file.
func newServer(t *testing.T, extra string) *server {
	t.Helper()
	ports := freePorts(t, 3)
	s := &server{
		t:    t,
		dir:  t.TempDir(),
		base: fmt.Sprintf("http://127.0.0.1:%d", ports[0]),
		grpc: fmt.Sprintf("127.0.0.1:%d", ports[1]),
		http: fmt.Sprintf("127.0.0.1:%d", ports[2]),

		maxRequest: "32MiB",
	}
	s.configure(extra)
	return s
}

// configure writes the configuration file. extra follows the collector's otlp
// receiver.
func (s *server) configure(extra string) {
	s.t.Helper()
	s.config = fmt.Sprintf(`server: {address: "%s", max_request_size: %s}
external_url: %s
collector:
  receivers:
    otlp:
      protocols:
        grpc: {endpoint: "%s"}
        http: {endpoint: "%s"}
%s`, strings.TrimPrefix(s.base, "http://"), s.maxRequest, s.base, s.grpc, s.http, extra)
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, "belfry.yaml"), []byte(s.config), 0o600))
}

// start runs the process and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	s.log = &logBuffer{}
	s.cmd = exec.Command(program, "serve", "--config", filepath.Join(s.dir, "belfry.yaml"), "--data", filepath.Join(s.dir, "data"))
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	require.NoError(s.t, s.cmd.Start())
	cmd := s.cmd
	s.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if s.t.Failed() {
			s.t.Logf("log of the server:\n%s", s.log)
		}
	})
	s.eventually("ready", func() error { return s.get("/-/ready", nil) })
}

// kill ends the process as the kernel's out-of-memory killer would.
func (s *server) kill() {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGKILL))
	_ = s.cmd.Wait()
}

// stop ends the process as an operator would, and wants it to end well.
func (s *server) stop() {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(s.t, s.cmd.Wait(), "exit after SIGTERM")
}

// eventually tries until fn returns nil.
func (s *server) eventually(what string, fn func() error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}

// get asks for a path (with its query) and decodes the JSON answer into out, if
// it is not nil.
func (s *server) get(path string, out any, params ...string) error {
	return s.do(http.MethodGet, path, nil, out, params...)
}

func (s *server) post(path, body string, out any) error {
	return s.do(http.MethodPost, path, strings.NewReader(body), out)
}

// submit sends an empty form, as the button on a page does.
func (s *server) submit(target string) error {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, target, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", target, resp.Status)
	}
	return nil
}

func (s *server) do(method, path string, body io.Reader, out any, params ...string) error {
	q := url.Values{}
	for i := 0; i < len(params); i += 2 {
		q.Add(params[i], params[i+1])
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	target := path
	if !strings.HasPrefix(path, "http://") {
		target = s.base + path
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, target, body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(text))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: %w in %.200s", method, path, err, text)
	}
	return nil
}

func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// logBuffer is a bytes.Buffer that may be read while a process writes to it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
