package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// queryRuns is how often a question is asked; the median is reported.
const queryRuns = 7

// target is a process that is measured.
type target struct {
	name    string
	p       *Process
	folder  string // what of its data folder counts
	queries []query

	before, loaded, settled time.Duration // CPU time
	idle, full              Memory        // before the load and after it
}

// report prints a line per measure: a figure of each target, and the first one's
// share of the second one's.
type report struct {
	w       *tabwriter.Writer
	targets int
}

func newReport(out io.Writer, targets []*target) *report {
	r := &report{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), targets: len(targets)}
	if len(targets) > 1 {
		fmt.Fprintf(r.w, "  \t%s\t%s\tratio\n", targets[0].name, targets[1].name)
	}
	return r
}

func (r *report) row(name, format string, figures ...float64) {
	fmt.Fprintf(r.w, "  %s", name)
	for _, f := range figures {
		fmt.Fprintf(r.w, "\t"+format, f)
	}
	if len(figures) > 1 && len(figures) == r.targets {
		fmt.Fprintf(r.w, "\t%.2f", figures[0]/figures[1])
	}
	fmt.Fprintln(r.w)
}

// measure loads the targets with a signal, all at the same time, lets them settle, and asks.
func measure(ctx context.Context, out io.Writer, s signal, targets []*target) error {
	figures := func(f func(t *target) (float64, error)) ([]float64, error) {
		list := make([]float64, len(targets))
		for i, t := range targets {
			var err error
			if list[i], err = f(t); err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
		}
		return list, nil
	}
	records, sent, wall, err := load(ctx, s, targets)
	if err != nil {
		return err
	}
	n := float64(records)
	r := newReport(out, targets)
	defer func() { _ = r.w.Flush() }()
	fmt.Fprintf(r.w, "  load\t%d %ss, %d bytes sent each, %.0f a second\n", records, s.unit, sent/int64(records), n/wall.Seconds())
	perRecord := func(f func(t *target) time.Duration) []float64 {
		list, _ := figures(func(t *target) (float64, error) { return float64((f(t) - t.before).Nanoseconds()) / 1e3 / n, nil })
		return list
	}
	r.row("CPU, µs a "+s.unit, "%.2f", perRecord(func(t *target) time.Duration { return t.loaded })...)
	r.row("CPU once settled", "%.2f", perRecord(func(t *target) time.Duration { return t.settled })...)
	for _, m := range []struct {
		name string
		of   func(t *target) int64
	}{
		{"memory when idle, MB", func(t *target) int64 { return t.idle.Now }},
		{"peak memory while loading", func(t *target) int64 { return t.full.Peak }},
		{"  pages of files in the end", func(t *target) int64 { return t.full.File }},
	} {
		list, _ := figures(func(t *target) (float64, error) { return float64(m.of(t)) / 1e6, nil })
		r.row(m.name, "%.0f", list...)
	}
	for _, q := range s.queries {
		walls, cpus, err := ask(ctx, targets, q.name)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		r.row(q.name+", ms", "%.1f", walls...)
		r.row("  its CPU", "%.0f", cpus...)
	}
	// What is in memory goes to files when a process stops.
	disk, err := figures(func(t *target) (float64, error) {
		if err := t.p.Stop(); err != nil {
			return 0, fmt.Errorf("stopping: %w", err)
		}
		size, err := t.p.DiskBytes(t.folder, isLog)
		return float64(size), err
	})
	if err != nil {
		return err
	}
	list, _ := figures(func(*target) (float64, error) { return 0, nil })
	for _, d := range []struct {
		name, format string
		by           float64
	}{{"disk without WAL, bytes a " + s.unit, "%.1f", n}, {"disk, bytes a byte sent", "%.3f", float64(sent)}} {
		for i := range disk {
			list[i] = disk[i] / d.by
		}
		r.row(d.name, d.format, list...)
	}
	return nil
}

// isLog reports whether a file is part of a write-ahead log.
func isLog(path string) bool {
	slashed := filepath.ToSlash(path)
	return strings.Contains(slashed, "/wal/") || strings.Contains(slashed, "/wbl/")
}

// load sends the signal's batches to all targets, and notes what that cost each.
func load(ctx context.Context, s signal, targets []*target) (records int, sent int64, wall time.Duration, err error) {
	urls := make([]string, len(targets))
	for i, t := range targets {
		urls[i] = s.by.endpoint(t.p)
		if err = settle(ctx, t.p); err != nil {
			return 0, 0, 0, err
		}
		if t.idle, err = t.p.Memory(); err != nil {
			return 0, 0, 0, err
		}
		if t.before, err = t.p.CPU(); err != nil {
			return 0, 0, 0, err
		}
	}
	begin := time.Now()
	if records, sent, err = send(ctx, urls, s.by, s.batches, s.make); err != nil {
		return 0, 0, 0, err
	}
	wall = time.Since(begin)
	for _, t := range targets {
		if t.loaded, err = t.p.CPU(); err != nil {
			return 0, 0, 0, err
		}
		if t.full, err = t.p.Memory(); err != nil {
			return 0, 0, 0, err
		}
	}
	for _, t := range targets {
		if err = settle(ctx, t.p); err != nil {
			return 0, 0, 0, err
		}
	}
	for _, t := range targets {
		if t.settled, err = t.p.CPU(); err != nil {
			return 0, 0, 0, err
		}
	}
	return records, sent, wall, nil
}

// settleTime is how long a process may work on after a load.
const settleTime = 2 * time.Minute

// settle waits until the process has used no CPU to speak of for three seconds.
func settle(ctx context.Context, p *Process) error {
	last, err := p.CPU()
	if err != nil {
		return err
	}
	quiet := 0
	for end := time.Now().Add(settleTime); time.Now().Before(end) && quiet < 3; {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		now, err := p.CPU()
		if err != nil {
			return err
		}
		quiet++
		if now-last > 2*clockTick {
			quiet = 0
		}
		last = now
	}
	return nil
}

// ask measures a question, put to all targets that have it in turn: the median wall time and
// the mean CPU time of each, in milliseconds; NaN for a target that does not have it.
func ask(ctx context.Context, targets []*target, name string) (walls, cpus []float64, err error) {
	times := make([][]time.Duration, len(targets))
	used := make([]time.Duration, len(targets))
	for run := range queryRuns {
		for i, t := range targets {
			url := t.question(name, run)
			if url == "" {
				continue
			}
			wall, cpu, err := t.p.time(func() error { return get(ctx, t.p.Base+url) })
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", t.name, err)
			}
			times[i] = append(times[i], wall)
			used[i] += cpu
		}
	}
	for i := range targets {
		if len(times[i]) == 0 {
			walls, cpus = append(walls, math.NaN()), append(cpus, math.NaN())
			continue
		}
		slices.Sort(times[i])
		walls = append(walls, float64(times[i][queryRuns/2].Microseconds())/1e3)
		cpus = append(cpus, float64((used[i]/queryRuns).Microseconds())/1e3)
	}
	return walls, cpus, nil
}

// question returns the address of a question, "" if the target has none such.
func (t *target) question(name string, run int) string {
	for _, q := range t.queries {
		switch {
		case q.name != name:
		case q.urls != nil:
			return q.urls[run%len(q.urls)]
		default:
			return q.url
		}
	}
	return ""
}

// time returns how long f takes, and the CPU time that the process uses meanwhile.
func (p *Process) time(f func() error) (wall, cpu time.Duration, err error) {
	before, err := p.CPU()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := f(); err != nil {
		return 0, 0, err
	}
	wall = time.Since(begin)
	after, err := p.CPU()
	return wall, after - before, err
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return errors.New(resp.Status + ": " + string(text))
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
