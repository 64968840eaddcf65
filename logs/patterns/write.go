package patterns

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"belfry/logs"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

const (
	// How often counts are written.
	writeEvery = time.Minute
	// Names of the metadata of counts and news.
	fieldCount   = "count"
	fieldPattern = "pattern"
	fieldService = "pattern_service"
	// streamLabels marks a resource whose attributes are the stream's labels.
	streamLabels = "belfry.stream_labels"
)

// Run writes counts, clusters and news until ctx ends, and once more then. News
// go to events, which may be nil.
func (m *Miner) Run(ctx context.Context, events logs.Appender) error {
	t := time.NewTicker(writeEvery)
	defer t.Stop()
	for {
		done := false
		select {
		case <-ctx.Done():
			done = true
		case <-t.C:
		}
		if err := m.Write(context.WithoutCancel(ctx), events); err != nil {
			m.metrics.errors.Inc()
			m.o.Logger.Error("patterns: writing", "error", err)
		}
		if done {
			return nil
		}
	}
}

// Write writes the counts and news since the last time, and the clusters if they have changed.
func (m *Miner) Write(ctx context.Context, events logs.Appender) error {
	var errs []error
	for tenant, out := range m.takeCounts() {
		if len(out.counts) > 0 {
			request, err := marshal(countRequest(out.counts))
			if err == nil {
				_, err = m.o.Store.Append(ctx, tenant, request)
			}
			errs = append(errs, err)
		}
		if len(out.news) > 0 && events != nil {
			request, err := marshal(newsRequest(out.news, m.o.Now()))
			if err == nil {
				_, err = events.Append(ctx, tenant, request)
			}
			m.metrics.news.Add(float64(len(out.news)))
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, m.save())...)
}

type taken struct {
	counts []count
	news   []told
}

type count struct {
	labels         []logs.Label
	pattern, level string
	at, lines      int64
}

type told struct {
	pattern, service, level string
}

// takeCounts empties the tenants' counts and news.
func (m *Miner) takeCounts() map[string]taken {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]taken{}
	for tenant, t := range m.tenants {
		var x taken
		for k, n := range t.counts {
			x.counts = append(x.counts, count{k.labels.labels, k.cluster.text(), k.level, k.at, n})
		}
		for _, n := range t.news {
			x.news = append(x.news, told{n.cluster.text(), n.service, n.level})
		}
		clear(t.counts)
		t.news = nil
		out[tenant] = x
	}
	return out
}

func marshal(l plog.Logs) ([]byte, error) { return (&plog.ProtoMarshaler{}).MarshalLogs(l) }

func compareLabels(a, b []logs.Label) int {
	return slices.CompareFunc(a, b, func(x, y logs.Label) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Value, y.Value))
	})
}

// countRequest has an entry for each count: its line is the pattern.
func countRequest(counts []count) plog.Logs {
	slices.SortFunc(counts, func(a, b count) int {
		return cmp.Or(compareLabels(a.labels, b.labels), cmp.Compare(a.at, b.at), cmp.Compare(a.pattern, b.pattern))
	})
	l := plog.NewLogs()
	var records plog.LogRecordSlice
	for i := range counts {
		c := &counts[i]
		if i == 0 || compareLabels(counts[i-1].labels, c.labels) != 0 {
			rl := l.ResourceLogs().AppendEmpty()
			rl.Resource().Attributes().PutBool(streamLabels, true)
			for _, label := range c.labels {
				rl.Resource().Attributes().PutStr(label.Name, label.Value)
			}
			records = rl.ScopeLogs().AppendEmpty().LogRecords()
		}
		r := records.AppendEmpty()
		r.SetTimestamp(pcommon.Timestamp(c.at))
		r.SetSeverityText(c.level)
		r.Body().SetStr(c.pattern)
		r.Attributes().PutInt(fieldCount, c.lines)
	}
	return l
}

// newsRequest has an entry for each new pattern: its line is the pattern.
func newsRequest(news []told, now time.Time) plog.Logs {
	l := plog.NewLogs()
	rl := l.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", ServiceName)
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for _, n := range news {
		r := records.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(now))
		r.SetSeverityText(n.level)
		r.Body().SetStr(n.pattern)
		r.Attributes().PutStr(fieldPattern, n.pattern)
		r.Attributes().PutStr(fieldService, n.service)
	}
	return l
}
