package plugin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
	"belfry/ui/grafana/pkg/rewrite"
)

// Purposes of a query of logs.
const (
	purposeVolume  = "volume"
	purposeSample  = "sample"
	purposeContext = "context"
)

// volumeBuckets is how many bars a graph of volume has at most.
const volumeBuckets = 100

// logs answers LogQL: lines, or numbers computed from them.
func (d *Datasource) logs(ctx context.Context, q *Query) (data.Frames, error) {
	if strings.TrimSpace(q.Expr) == "" {
		q.Expr = "{}"
	}
	expr, err := rewrite.LogQL(q.Expr, q.Filters, q.GroupBy)
	if err != nil {
		return nil, invalid{err}
	}
	lines := rewrite.IsLogSelection(expr)
	if q.by.alert && (lines || q.Purpose != "") {
		return nil, invalidf("an alert rule needs numbers: count lines, as in sum(count_over_time(%s [5m]))", expr)
	}
	switch {
	case q.Purpose == purposeVolume:
		return d.volume(ctx, q, expr)
	case q.Purpose == purposeContext:
		return d.contextOf(ctx, q, expr)
	case q.Purpose == purposeSample:
		return d.lines(ctx, q, rewrite.Selection(expr))
	case lines:
		return d.lines(ctx, q, expr)
	}
	return d.logNumbers(ctx, q, expr)
}

func (d *Datasource) lines(ctx context.Context, q *Query, expr string) (data.Frames, error) {
	forward := q.Direction == "forward"
	res, err := d.client.LogsRange(ctx, belfry.LogRange{Query: expr, Start: q.from, End: q.to, Limit: q.MaxLines, Forward: forward})
	if err != nil {
		return nil, err
	}
	if res.Kind != belfry.KindStreams {
		return d.numbers(q, expr, res, false), nil
	}
	rows := rowsOf(res.Streams)
	sortRows(rows, forward)
	return data.Frames{d.logFrame(q, expr, rows, res)}, nil
}

func (d *Datasource) logNumbers(ctx context.Context, q *Query, expr string) (data.Frames, error) {
	var frames data.Frames
	if q.Mode != "instant" {
		from, to := q.aligned()
		res, err := d.client.LogsRange(ctx, belfry.LogRange{Query: expr, Start: from, End: to, Step: q.step})
		if err != nil {
			return nil, err
		}
		frames = append(frames, d.numbers(q, expr, res, false)...)
	}
	if q.Mode == "instant" || q.Mode == "both" {
		res, err := d.client.LogsInstant(ctx, expr, q.to)
		if err != nil {
			return nil, err
		}
		frames = append(frames, d.numbers(q, expr, res, true)...)
	}
	return frames, nil
}

const levelLabel = "detected_level"

// volume counts lines by level over time. A query of numbers has none.
func (d *Datasource) volume(ctx context.Context, q *Query, expr string) (data.Frames, error) {
	if !rewrite.IsLogSelection(expr) {
		return data.Frames{}, nil
	}
	q.step = max(q.step, q.to.Sub(q.from)/volumeBuckets)
	if q.step > time.Second {
		q.step -= q.step % time.Second
	}
	from, to := q.aligned()
	// A comment at the end must not swallow the range.
	counted := "sum by (" + levelLabel + ") (count_over_time(" + expr + "\n[" + rewrite.Duration(q.step) + "]))"
	res, err := d.client.LogsRange(ctx, belfry.LogRange{Query: counted, Start: from, End: to.Add(q.step), Step: q.step})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(res.Series, func(a, b belfry.Series) int { return strings.Compare(a.Labels[levelLabel], b.Labels[levelLabel]) })
	frames := make(data.Frames, 0, len(res.Series))
	for _, s := range res.Series {
		level := s.Labels[levelLabel]
		if level == "" {
			level = "unknown"
		}
		s.Labels = map[string]string{"level": level}
		f := seriesFrame(s, level, q.step)
		f.Meta = &data.FrameMeta{Type: data.FrameTypeTimeSeriesMulti, TypeVersion: version(), ExecutedQueryString: executed(counted, q.step, false)}
		frames = append(frames, f)
	}
	return frames, nil
}

// contextTies is how many lines of the anchor's very nanosecond are looked
// through for the anchor.
const contextTies = 1000

// contextOf finds the lines before or after an anchor. Lines of the anchor's own
// nanosecond are told apart by their IDs, so that no line is in both directions
// or in none.
func (d *Datasource) contextOf(ctx context.Context, q *Query, expr string) (data.Frames, error) {
	if q.Anchor == nil {
		return nil, invalidf("a context needs the line that it is of")
	}
	ns, err := strconv.ParseInt(q.Anchor.Nanos, 10, 64)
	if err != nil {
		return nil, invalidf("the anchor's time %q is not in nanoseconds", q.Anchor.Nanos)
	}
	forward := q.Direction == "forward"
	ask := belfry.LogRange{Query: expr, Start: q.from, End: time.Unix(0, ns+1), Limit: q.MaxLines + contextTies, Forward: forward}
	if forward {
		ask.Start, ask.End = time.Unix(0, ns), q.to
	}
	if !ask.End.After(ask.Start) {
		ask.Start, ask.End = time.Unix(0, ns), time.Unix(0, ns+1)
	}
	res, err := d.client.LogsRange(ctx, ask)
	if err != nil {
		return nil, err
	}
	rows := rowsOf(res.Streams)
	sortRows(rows, forward)
	rows = slices.DeleteFunc(rows, func(r row) bool {
		if r.time != ns {
			return false
		}
		if forward {
			return r.id <= q.Anchor.ID
		}
		return r.id >= q.Anchor.ID
	})
	return data.Frames{d.logFrame(q, expr, rows[:min(len(rows), q.MaxLines)], res)}, nil
}
