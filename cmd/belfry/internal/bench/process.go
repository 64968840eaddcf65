package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// Process is a server under test.
type Process struct {
	Base string // of its HTTP APIs, as http://127.0.0.1:4321
	OTLP string // of its OTLP/HTTP receiver
	Dir  string // its data

	pid int
	cmd *exec.Cmd // nil for a process that somebody else started
	log bytes.Buffer
}

// Attach returns a process that runs already: a peer, to be measured beside.
func Attach(base, otlp, dir string, pid int) *Process {
	return &Process{Base: base, OTLP: otlp, Dir: dir, pid: pid}
}

// Spawn starts the program's `serve` on free ports and an empty folder, with
// more flags if there are any, and returns when it is ready, with the time that
// took.
func Spawn(ctx context.Context, program, dir string, flags ...string) (*Process, time.Duration, error) {
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, 0, err
	}
	config := filepath.Join(dir, "bench.yaml")
	text := fmt.Sprintf(`server: {address: "127.0.0.1:%d"}
telemetry: {self_ingest: false}
collector:
  receivers:
    otlp:
      protocols:
        grpc: {endpoint: "127.0.0.1:%d"}
        http: {endpoint: "127.0.0.1:%d"}
`, ports[0], ports[1], ports[2])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, 0, err
	}
	begin := time.Now()
	p, err := start(ctx, &Process{
		Base: fmt.Sprintf("http://127.0.0.1:%d", ports[0]),
		OTLP: fmt.Sprintf("http://127.0.0.1:%d", ports[2]),
		Dir:  filepath.Join(dir, "data"),
	}, fmt.Sprintf("http://127.0.0.1:%d/-/ready", ports[0]), program, append([]string{"serve", "--config", config, "--data", filepath.Join(dir, "data")}, flags...)...)
	return p, time.Since(begin), err
}

// start runs a command as p, and returns when it answers at the ready address.
func start(ctx context.Context, p *Process, ready, program string, args ...string) (*Process, error) {
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	if err := waitReady(ctx, ready); err != nil {
		return nil, errors.Join(err, p.Stop(), errors.New(p.log.String()))
	}
	return p, nil
}

// Stop ends the process as an operator would, if it was started here. A second
// call does nothing.
func (p *Process) Stop() error {
	cmd := p.cmd
	if cmd == nil {
		return nil
	}
	p.cmd = nil
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		return errors.Join(err, cmd.Wait(), p.lastWords())
	}
	if err := cmd.Wait(); err != nil {
		return errors.Join(err, p.lastWords())
	}
	return nil
}

// lastWords are what a process that failed has written in the end: a panic from
// its beginning.
func (p *Process) lastWords() error {
	const most = 4 << 10
	text := p.log.String()
	for _, start := range []string{"panic: ", "fatal error: ", "unexpected fault"} {
		if i := strings.Index(text, start); i >= 0 {
			return errors.New(text[i:min(i+most, len(text))])
		}
	}
	return errors.New(text[max(len(text)-most, 0):])
}

func freePorts(ctx context.Context, n int) ([]int, error) {
	var ports []int
	for range n {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// waitReady polls until the server answers 200, for a minute at most.
func waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
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
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time: %w", url, ctx.Err())
		}
	}
}

// CPU returns the CPU time that the process has used, in user and kernel mode.
func (p *Process) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold spaces; what follows it may not.
	_, rest, ok := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("cannot read /proc/PID/stat")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// Memory is a process' resident set, in bytes.
type Memory struct {
	Now, Peak int64
	// File is what of it, now, are pages of files: mostly of the program, which
	// the kernel maps as it finds them in its cache and drops when it needs room.
	File int64
}

// Memory returns the resident set now and at its highest.
func (p *Process) Memory() (Memory, error) {
	var m Memory
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		field, known := map[string]*int64{"VmRSS": &m.Now, "VmHWM": &m.Peak, "RssFile": &m.File}[name]
		if !known {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return m, fmt.Errorf("/proc/PID/status: %q: %w", line, err)
		}
		*field = kb << 10
	}
	return m, nil
}

// DiskBytes returns the size of all files below a folder of the data folder.
func (p *Process) DiskBytes(sub string, skip func(path string) bool) (int64, error) {
	var total int64
	err := filepath.WalkDir(filepath.Join(p.Dir, sub), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // merged away while we looked
		}
		if err != nil || d.IsDir() || skip(path) {
			return err
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total, err
}
