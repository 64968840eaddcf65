package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

const (
	// Fleet is the load that measures what metrics take on disk once they are
	// old.
	Fleet = "fleet"

	seriesPerTarget  = 200
	targetsPerBatch  = 5
	seriesPerMetric  = 4
	fleetAge         = 8 * time.Hour   // of the newest sample: all of them leave the head
	fleetPatience    = 3 * time.Minute // until they are merged
	coldMetricPrefix = "belfry_metrics_cold_"
)

// fleet makes scrapes of a busy fleet: a quarter of the series is constant, a
// quarter counts fast, a fifth slowly, a tenth each are CPU seconds, sizes in
// bytes and noisy gauges. Targets are scraped some milliseconds off the beat.
type fleet struct {
	start  time.Time
	groups int
	next   []func() float64 // by series
	jitter []*rand.Rand     // by target
}

// newFleet rounds the number of series up, so that each of the senders always has
// the same targets, and sends their scrapes in order.
func newFleet(seed uint64, series int, start time.Time) *fleet {
	groups := max(series/(seriesPerTarget*targetsPerBatch), 1)
	groups = (groups + senders - 1) / senders * senders
	f := &fleet{start: start, groups: groups}
	for i := range groups * targetsPerBatch {
		f.jitter = append(f.jitter, rand.New(rand.NewPCG(seed+1, uint64(i)))) //nolint:gosec // load, not secrets
	}
	for i := range groups * targetsPerBatch * seriesPerTarget {
		f.next = append(f.next, fleetValues(rand.New(rand.NewPCG(seed, uint64(i))), i%20)) //nolint:gosec // load, not secrets
	}
	return f
}

func fleetValues(rng *rand.Rand, kind int) func() float64 {
	v := float64(rng.IntN(1e6))
	rate := 5 + rng.Float64()*2000
	switch {
	case kind < 5:
		return func() float64 { return v }
	case kind < 9:
		return func() float64 {
			if rng.IntN(8) == 0 {
				v += float64(1 + rng.IntN(3))
			}
			return v
		}
	case kind < 14:
		return func() float64 { v += math.Round(rate * (0.9 + 0.2*rng.Float64())); return v }
	case kind < 16:
		return func() float64 { v += rng.Float64() * 3; return math.Round(v*100) / 100 }
	case kind < 18:
		pages := rng.IntN(1 << 18)
		return func() float64 { pages = max(pages+rng.IntN(401)-200, 0); return float64(pages) * 4096 }
	}
	return func() float64 { return math.Round((50+rng.NormFloat64()*10)*10) / 10 }
}

// batch is a batchMaker: a scrape of five targets.
func (f *fleet) batch(n int) ([]byte, int, error) {
	scrape, group := n/f.groups, n%f.groups
	data := pmetric.NewMetrics()
	for t := range targetsPerBatch {
		target := group*targetsPerBatch + t
		rm := data.ResourceMetrics().AppendEmpty()
		describe(rm.Resource(), target%len(serviceNames), target)
		rm.Resource().Attributes().PutStr("service.instance.id", fmt.Sprintf("10.1.%d.%d:9100", target/250, target%250))
		metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
		at := f.start.Add(time.Duration(scrape)*scrapeInterval + time.Duration(target*37%15_000+f.jitter[target].IntN(5))*time.Millisecond)
		for i := range seriesPerTarget {
			if i%seriesPerMetric == 0 {
				m := metrics.AppendEmpty()
				m.SetName(fmt.Sprintf("fleet.metric.%d", i/seriesPerMetric))
				m.SetEmptyGauge()
			}
			p := metrics.At(metrics.Len() - 1).Gauge().DataPoints().AppendEmpty()
			p.SetTimestamp(pcommon.NewTimestampFromTime(at))
			p.SetDoubleValue(f.next[target*seriesPerTarget+i]())
			p.Attributes().PutStr("mode", strconv.Itoa(i%seriesPerMetric))
		}
	}
	body, err := pmetricotlp.NewExportRequestFromMetrics(data).MarshalProto()
	return body, targetsPerBatch * seriesPerTarget, err
}

// runFleet loads a fresh process with samples that are hours old, waits until
// all of them are in cold blocks and merged, and prints what they take.
func runFleet(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "belfry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, _, err := Spawn(ctx, o.Program, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	span := time.Duration(o.Scrapes) * scrapeInterval
	f := newFleet(o.Seed, o.Series, time.Now().Add(-fleetAge-span).Truncate(6*time.Hour))
	records, _, err := send(ctx, []string{p.OTLP + "/v1/metrics"}, protocol{}, f.groups*o.Scrapes, f.batch)
	if err != nil {
		return err
	}
	loaded, err := p.CPU()
	if err != nil {
		return err
	}
	// A sample of now pushes the others out of the head.
	now := newFleet(o.Seed, 1, time.Now())
	if _, _, err := send(ctx, []string{p.OTLP + "/v1/metrics"}, protocol{}, 1, now.batch); err != nil {
		return err
	}
	cold, err := p.awaitCold(ctx, float64(records))
	if err != nil {
		return err
	}
	settled, err := p.CPU()
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "fleet\n  %d samples of %d series in %.0f cold blocks\n", records, len(f.next), cold["blocks"])
	fmt.Fprintf(o.Out, "  %.3f bytes a sample, with its index (%.0f bytes)\n", cold["bytes"]/cold["samples"], cold["bytes"])
	fmt.Fprintf(o.Out, "  %.3f µs of CPU a sample from the head to there\n", float64((settled-loaded).Nanoseconds())/1e3/float64(records))
	return nil
}

// awaitCold returns the process' metrics of cold blocks once these hold so many
// samples and have stopped changing.
func (p *Process) awaitCold(ctx context.Context, samples float64) (map[string]float64, error) {
	deadline := time.Now().Add(fleetPatience)
	var last map[string]float64
	for quiet := 0; quiet < 10; {
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		cold, err := p.coldMetrics(ctx)
		if err != nil {
			return nil, err
		}
		if cold["samples"] >= samples && cold["waiting_blocks"] == 0 && last != nil && cold["bytes"] == last["bytes"] {
			quiet++
		} else {
			quiet = 0
		}
		last = cold
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("after %s there are %.0f of %.0f samples in cold blocks", fleetPatience, cold["samples"], samples)
		}
	}
	return last, nil
}

// coldMetrics returns the metrics of cold blocks, summed over their labels.
func (p *Process) coldMetrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Base+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s", resp.Status)
	}
	out := map[string]float64{}
	lines := bufio.NewScanner(io.LimitReader(resp.Body, 64<<20))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, rest, ok := strings.Cut(lines.Text(), "{")
		if !ok || !strings.HasPrefix(name, coldMetricPrefix) {
			continue
		}
		if v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64); err == nil {
			out[strings.TrimPrefix(name, coldMetricPrefix)] += v
		}
	}
	return out, lines.Err()
}
