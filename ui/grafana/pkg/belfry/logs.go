package belfry

import (
	"context"
	"net/url"
	"strconv"
	"time"

	jsoniter "github.com/json-iterator/go"
)

// categorized asks for an entry's metadata and parsed labels apart from its
// stream's.
var categorized = []string{"X-Loki-Response-Encoding-Flags", "categorize-labels"}

func readStream(it *jsoniter.Iterator) Stream {
	var s Stream
	it.ReadObjectCB(func(it *jsoniter.Iterator, key string) bool {
		switch key {
		case "stream":
			s.Labels = readLabels(it)
		case "values":
			it.ReadArrayCB(func(it *jsoniter.Iterator) bool {
				s.Entries = append(s.Entries, readEntry(it))
				return it.Error == nil
			})
		default:
			it.Skip()
		}
		return it.Error == nil
	})
	return s
}

func readEntry(it *jsoniter.Iterator) Entry {
	var e Entry
	n := 0
	it.ReadArrayCB(func(it *jsoniter.Iterator) bool {
		switch n++; n {
		case 1:
			ns, err := strconv.ParseInt(it.ReadString(), 10, 64)
			if err != nil {
				it.ReportError("timestamp", err.Error())
			}
			e.Time = ns
		case 2:
			e.Line = it.ReadString()
		case 3:
			it.ReadObjectCB(func(it *jsoniter.Iterator, key string) bool {
				switch key {
				case "structuredMetadata":
					e.Metadata = readLabels(it)
				case "parsed":
					e.Parsed = readLabels(it)
				default:
					it.Skip()
				}
				return it.Error == nil
			})
		default:
			it.Skip()
		}
		return it.Error == nil
	})
	return e
}

func (r *Result) stats(it *jsoniter.Iterator) {
	var s struct {
		Summary struct {
			TotalBytesProcessed float64 `json:"totalBytesProcessed"`
			TotalLinesProcessed float64 `json:"totalLinesProcessed"`
			ExecTime            float64 `json:"execTime"`
		} `json:"summary"`
	}
	it.ReadVal(&s)
	r.Stats = Stats{Bytes: s.Summary.TotalBytesProcessed, Lines: s.Summary.TotalLinesProcessed, Seconds: s.Summary.ExecTime}
}

// LogRange is a query of LogQL over a range.
type LogRange struct {
	Query      string
	Start, End time.Time // End is not included
	Step       time.Duration
	Limit      int
	Forward    bool
}

// LogsRange asks for lines, or for numbers over time.
func (c *Client) LogsRange(ctx context.Context, q LogRange) (*Result, error) {
	p := url.Values{
		"query": {q.Query}, "start": {nanos(q.Start)}, "end": {nanos(q.End)}, "direction": {"backward"},
	}
	if q.Forward {
		p.Set("direction", "forward")
	}
	if q.Limit > 0 {
		p.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Step > 0 {
		p.Set("step", seconds(q.Step))
	}
	a, err := c.post(ctx, "/loki/api/v1/query_range", p, categorized...)
	if err != nil {
		return nil, err
	}
	return decodeResult(a.body)
}

// LogsInstant asks for numbers at a time.
func (c *Client) LogsInstant(ctx context.Context, query string, at time.Time) (*Result, error) {
	a, err := c.post(ctx, "/loki/api/v1/query", url.Values{"query": {query}, "time": {nanos(at)}}, categorized...)
	if err != nil {
		return nil, err
	}
	return decodeResult(a.body)
}

// Pattern is a shape that many lines share.
type Pattern struct {
	Pattern string     `json:"pattern"`
	Level   string     `json:"level"`
	Samples [][2]int64 `json:"samples"` // seconds, count
}

// Patterns asks for the shapes of the lines that a query selects.
func (c *Client) Patterns(ctx context.Context, query string, start, end time.Time, step time.Duration) ([]Pattern, error) {
	var out struct{ Data []Pattern }
	err := c.getJSON(ctx, "/loki/api/v1/patterns", url.Values{
		"query": {query}, "start": {nanos(start)}, "end": {nanos(end)}, "step": {seconds(step)},
	}, &out)
	return out.Data, err
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

func unix(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', -1, 64)
}
