package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Options says what to load.
type Options struct {
	Program string // the binary to run
	Signals []string
	Records int // of logs and of traces
	Series  int // of metrics
	Scrapes int
	Seed    uint64
	Out     io.Writer

	// Peer, if set, is loaded and asked after Belfry with the same data.
	Peer *Peer
}

// signal is one of the three loads and the questions asked after it.
type signal struct {
	name    string
	unit    string
	path    string
	folder  string // below the data folder
	batches int
	make    batchMaker
	queries []query
}

type query struct {
	name, url string
	urls      []string // instead of url: another one each time
}

// queryRuns is how often a question is asked; the median is reported.
const queryRuns = 7

// span of generated time that the questions are about.
func (o Options) signals(start time.Time) []signal {
	g := generator{seed: o.Seed, start: start}
	batches := max(o.Records/recordsPerPost, 1)
	metricBatches := max(o.Series/recordsPerPost, 1) * o.Scrapes
	from := start.Add(-time.Second)
	eventsTo := start.Add(time.Duration(batches)*100*time.Millisecond + time.Minute)
	loki := func(expr string, more url.Values) string {
		return "/loki/api/v1/query_range?" + values(more, "query", expr, "start", nanos(from), "end", nanos(eventsTo))
	}
	step := url.Values{"step": {"60"}}
	all := []signal{
		{"metrics", "sample", "/v1/metrics", "metrics", metricBatches, g.metrics(o.Series), g.metricQueries("", o.Scrapes, nil)},
		{"logs", "record", "/v1/logs", "logs", batches, g.logs, []query{
			{name: "needle word, everything", url: loki(`{service_name=~".+"} |= "nosuchneedleword"`, nil)},
			{name: "field equality count", url: loki(`sum(count_over_time({service_name=~".+"} | http_response_status_code="500" [1m]))`, step)},
			{name: "count per minute by service", url: loki(`sum by (service_name) (count_over_time({service_name=~".+"}[1m]))`, step)},
			{name: "regex, everything", url: loki(`sum(count_over_time({service_name=~".+"} |~ "user [0-9]+7 " [1m]))`, step)},
			{name: "last 100 of a service", url: loki(`{service_name="cart"}`, url.Values{"limit": {"100"}})},
		}},
		{"traces", "span", "/v1/traces", "traces", batches, g.traces,
			append(g.tempoQueries("/tempo", batches), query{name: "services", url: "/jaeger/api/services"})},
	}
	var chosen []signal
	for _, s := range all {
		for _, name := range o.Signals {
			if name == s.name || name == "all" {
				chosen = append(chosen, s)
			}
		}
	}
	return chosen
}

func values(more url.Values, pairs ...string) string {
	v := url.Values{}
	maps.Copy(v, more)
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func nanos(t time.Time) string   { return strconv.FormatInt(t.UnixNano(), 10) }
func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// Run starts a fresh process for each signal, loads it, asks, and prints.
func Run(ctx context.Context, o Options) error {
	if info, err := os.Stat(o.Program); err == nil {
		fmt.Fprintf(o.Out, "binary: %.1f MB\n", float64(info.Size())/1e6)
	}
	// The load ends now, so that no point of it is in the future.
	span := max(time.Duration(o.Records/recordsPerPost)*100*time.Millisecond, time.Duration(o.Scrapes)*scrapeInterval)
	start := time.Now().Add(-span).Truncate(time.Second)
	signals := o.signals(start)
	if len(signals) == 0 {
		return fmt.Errorf("no such load: %s (want metrics, logs, traces or all)", strings.Join(o.Signals, ", "))
	}
	for _, s := range signals {
		if err := runOwn(ctx, o, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if o.Peer == nil {
			continue
		}
		if err := runPeer(ctx, o, s, start); err != nil {
			return fmt.Errorf("%s of the peer: %w", s.name, err)
		}
	}
	return nil
}

// runOwn measures a fresh process of Belfry.
func runOwn(ctx context.Context, o Options, s signal) error {
	dir, err := os.MkdirTemp("", "belfry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, ready, err := Spawn(ctx, o.Program, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "%s\n  ready after %d ms\n", s.name, ready.Milliseconds())
	return measure(ctx, o, s, p)
}

// measure loads a process with a signal, lets it settle, and asks.
func measure(ctx context.Context, o Options, s signal, p *Process) (err error) {
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, p.Stop())
		}
	}()
	if err := settle(ctx, p); err != nil {
		return err
	}
	idle, _, err := p.Memory()
	if err != nil {
		return err
	}
	before, err := p.CPU()
	if err != nil {
		return err
	}
	begin := time.Now()
	records, sent, err := send(ctx, p.OTLP+s.path, s.batches, s.make)
	if err != nil {
		return err
	}
	wall := time.Since(begin)
	loaded, err := p.CPU()
	if err != nil {
		return err
	}
	_, peak, err := p.Memory()
	if err != nil {
		return err
	}
	if err := settle(ctx, p); err != nil {
		return err
	}
	settled, err := p.CPU()
	if err != nil {
		return err
	}

	w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("idle memory", "%.0f MB", float64(idle)/1e6)
	row("load", "%d %ss, %d bytes of OTLP each", records, s.unit, sent/int64(records))
	row("rate", "%.0f %ss/s", float64(records)/wall.Seconds(), s.unit)
	row("CPU", "%.2f µs a %s", float64((loaded-before).Nanoseconds())/1e3/float64(records), s.unit)
	row("CPU once settled", "%.2f µs a %s", float64((settled-before).Nanoseconds())/1e3/float64(records), s.unit)
	row("peak memory", "%.0f MB", float64(peak)/1e6)
	for _, q := range s.queries {
		wall, cpu, size, err := p.ask(ctx, q)
		if err != nil {
			return errors.Join(w.Flush(), fmt.Errorf("%s: %w", q.name, err))
		}
		row(q.name, "%.1f ms (CPU %.0f ms, %d bytes)", float64(wall.Microseconds())/1e3, float64(cpu.Milliseconds()), size)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	stopped = true
	if err := p.Stop(); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	disk, err := p.DiskBytes(s.folder, func(path string) bool {
		return strings.Contains(filepath.ToSlash(path), "/wal/") || strings.Contains(filepath.ToSlash(path), "/wbl/")
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "  disk after stop, without WAL: %.1f bytes a %s\n", float64(disk)/float64(records), s.unit)
	return nil
}

// settle waits until the process uses no CPU to speak of, for 15 s at most.
func settle(ctx context.Context, p *Process) error {
	last, err := p.CPU()
	if err != nil {
		return err
	}
	for range 15 {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		now, err := p.CPU()
		if err != nil {
			return err
		}
		if now-last <= 2*clockTick {
			return nil
		}
		last = now
	}
	return nil
}

// ask measures one question: the median wall time, the mean CPU time and the
// size of the answer.
func (p *Process) ask(ctx context.Context, q query) (wall, cpu time.Duration, size int64, err error) {
	before, err := p.CPU()
	if err != nil {
		return 0, 0, 0, err
	}
	walls := make([]time.Duration, queryRuns)
	for i := range walls {
		path := q.url
		if q.urls != nil {
			path = q.urls[i%len(q.urls)]
		}
		begin := time.Now()
		if size, err = get(ctx, p.Base+path); err != nil {
			return 0, 0, 0, err
		}
		walls[i] = time.Since(begin)
	}
	after, err := p.CPU()
	if err != nil {
		return 0, 0, 0, err
	}
	slices.Sort(walls)
	return walls[queryRuns/2], (after - before) / queryRuns, size, nil
}

func get(ctx context.Context, url string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return 0, fmt.Errorf("%s: %s", resp.Status, text)
	}
	return io.Copy(io.Discard, resp.Body)
}
