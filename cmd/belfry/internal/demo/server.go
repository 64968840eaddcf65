package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// startPatience bounds how long the server may take to be ready.
const startPatience = 30 * time.Second

// stopPatience bounds how long it may take to drain.
const stopPatience = 40 * time.Second

// server is the Belfry process that the demo shows.
type server struct {
	base string
	cmd  *exec.Cmd
	log  string
	done chan error
}

// startServer starts the program's serve command with the configuration in dir
// and returns when it is ready. Its log goes to a file in dir.
func startServer(ctx context.Context, program, dir, base string) (*server, error) {
	s := &server{base: base, log: filepath.Join(dir, "belfry.log"), done: make(chan error, 1)}
	logFile, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()                                                                 // the process has its own descriptor
	s.cmd = exec.Command(program, "serve", "--config", filepath.Join(dir, "belfry.yaml")) //nolint:gosec,noctx // this very program; it is stopped by a signal
	s.cmd.Stdout, s.cmd.Stderr = logFile, logFile
	// Ctrl-C reaches the whole process group: the server must outlive the shop,
	// so that the shop's last telemetry has where to go.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.done <- s.cmd.Wait() }()
	if err := s.waitReady(ctx); err != nil {
		text, _ := os.ReadFile(s.log)
		return nil, errors.Join(fmt.Errorf("the server did not start: %w\n%s", err, text), s.stop())
	}
	return s, nil
}

func (s *server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/-/ready", http.NoBody)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case err := <-s.done:
			s.done <- err
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ended reports whether the process is gone already.
func (s *server) ended() bool {
	select {
	case err := <-s.done:
		s.done <- err
		return true
	default:
		return false
	}
}

// stop asks the process to end and waits; one that does not drain in time is
// killed, which loses nothing that it acknowledged.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		return err
	case <-time.After(stopPatience):
		return errors.Join(errors.New("the server did not stop in time"), s.cmd.Process.Kill())
	}
}
