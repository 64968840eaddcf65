package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options says what to load.
type Options struct {
	Program string // the binary to run
	Signals []string
	Records int // of logs and of traces
	Series  int // of metrics
	Scrapes int
	// Protocol is how metrics are sent: OTLP if it is empty, RemoteWrite or
	// RemoteWrite2. Logs and traces are sent by OTLP.
	Protocol string
	Seed     uint64
	Out      io.Writer
	Profiles string // folder for CPU profiles of Belfry; none if it is empty

	// Peer, if set, is loaded and asked at the same time as Belfry with the same data.
	Peer *Peer
}

// signal is one of the three loads and the questions asked after it.
type signal struct {
	name    string
	unit    string
	by      protocol
	folder  string // below the data folder
	batches int
	make    batchMaker
	queries []query
}

type query struct {
	name, url string
	urls      []string // instead of url: another one each time
}

// signals returns the loads whose generated time begins at start.
func (o Options) signals(start time.Time) ([]signal, error) {
	g := generator{seed: o.Seed, start: start}
	metricsBy, err := protocolOf(o.Protocol)
	if err != nil {
		return nil, err
	}
	batches := max(o.Records/recordsPerPost, 1)
	metricBatches := max(o.Series/recordsPerPost, 1) * o.Scrapes
	from := start.Add(-time.Second)
	eventsTo := start.Add(time.Duration(batches)*100*time.Millisecond + time.Minute)
	loki := func(expr string, more url.Values) string {
		return "/loki/api/v1/query_range?" + values(more, "query", expr, "start", nanos(from), "end", nanos(eventsTo))
	}
	step := url.Values{"step": {"60"}}
	all := []signal{
		{"metrics", "sample", metricsBy, "metrics", metricBatches, g.metrics(o.Series, metricsBy), g.metricQueries("", o.Scrapes, nil)},
		{"logs", "record", protocol{path: "/v1/logs"}, "logs", batches, g.logs, []query{
			{name: "needle word, everything", url: loki(`{service_name=~".+"} |= "nosuchneedleword"`, nil)},
			{name: "field equality count", url: loki(`sum(count_over_time({service_name=~".+"} | http_response_status_code="500" [1m]))`, step)},
			{name: "count per minute by service", url: loki(`sum by (service_name) (count_over_time({service_name=~".+"}[1m]))`, step)},
			{name: "top 10 routes", url: "/loki/api/v1/query?" + values(nil, "time", nanos(eventsTo), "query",
				fmt.Sprintf(`topk(10, sum by (http_route) (count_over_time({service_name=~".+"}[%ds])))`, int(eventsTo.Sub(from).Seconds())))},
			{name: "regex, everything", url: loki(`sum(count_over_time({service_name=~".+"} |~ "user [0-9]+7 " [1m]))`, step)},
			{name: "last 100 of a service", url: loki(`{service_name="cart"}`, url.Values{"limit": {"100"}})},
		}},
		{"traces", "span", protocol{path: "/v1/traces"}, "traces", batches, g.traces,
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
	return chosen, nil
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
	signals, err := o.signals(start)
	if err != nil {
		return err
	}
	withFleet := slices.Contains(o.Signals, Fleet)
	if len(signals) == 0 && !withFleet {
		return fmt.Errorf("no such load: %s (want metrics, logs, traces, all or %s)", strings.Join(o.Signals, ", "), Fleet)
	}
	for _, s := range signals {
		if err := o.run(ctx, s, start); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if withFleet {
		if err := runFleet(ctx, o); err != nil {
			return fmt.Errorf("%s: %w", Fleet, err)
		}
	}
	return nil
}

// run measures one signal.
func (o Options) run(ctx context.Context, s signal, start time.Time) (err error) {
	dir, err := os.MkdirTemp("", "belfry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var flags []string
	if o.Profiles != "" {
		flags = append(flags, "--cpu-profile", filepath.Join(o.Profiles, s.name+".pprof"))
	}
	own, ready, err := Spawn(ctx, o.Program, dir, flags...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Stop()) }()
	targets := []*target{{name: "belfry", p: own, folder: s.folder, queries: s.queries}}
	if o.Peer != nil {
		queries, err := peerQueries(o.Peer.Kind, s.name, generator{seed: o.Seed, start: start}, o, s.batches)
		if err != nil {
			return err
		}
		peer, err := o.Peer.process(ctx, dir)
		if err != nil {
			return fmt.Errorf("the peer: %w", err)
		}
		defer func() { err = errors.Join(err, peer.Stop()) }()
		targets = append(targets, &target{name: o.Peer.Kind, p: peer, queries: queries})
	}
	fmt.Fprintf(o.Out, "%s\n  ready after %d ms\n", s.name, ready.Milliseconds())
	return measure(ctx, o.Out, s, targets)
}
