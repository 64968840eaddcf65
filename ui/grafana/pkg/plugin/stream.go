package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
	"belfry/ui/grafana/pkg/rewrite"
)

// Waiting before a lost connection is made again.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 15 * time.Second
)

// tailQuery reads the query of a stream: lines only.
func (d *Datasource) tailQuery(raw json.RawMessage) (string, error) {
	var q Query
	if err := json.Unmarshal(raw, &q); err != nil {
		return "", invalidf("the query cannot be read: %w", err)
	}
	if strings.TrimSpace(q.Expr) == "" {
		q.Expr = "{}"
	}
	expr, err := rewrite.LogQL(q.Expr, q.Filters, nil)
	if err != nil {
		return "", invalid{err}
	}
	if !rewrite.IsLogSelection(expr) {
		return "", invalidf("only lines can be followed, not numbers")
	}
	return expr, nil
}

// SubscribeStream lets everybody who may use the data source follow its lines.
func (d *Datasource) SubscribeStream(_ context.Context, req *backend.SubscribeStreamRequest) (*backend.SubscribeStreamResponse, error) {
	if _, err := d.tailQuery(req.Data); err != nil {
		return &backend.SubscribeStreamResponse{Status: backend.SubscribeStreamStatusNotFound}, nil
	}
	return &backend.SubscribeStreamResponse{Status: backend.SubscribeStreamStatusOK}, nil
}

// PublishStream lets nobody write.
func (d *Datasource) PublishStream(context.Context, *backend.PublishStreamRequest) (*backend.PublishStreamResponse, error) {
	return &backend.PublishStreamResponse{Status: backend.PublishStreamStatusPermissionDenied}, nil
}

// RunStream follows lines until nobody listens any more. A server that goes away
// is waited for, and followed from the last line on.
func (d *Datasource) RunStream(ctx context.Context, req *backend.RunStreamRequest, sender *backend.StreamSender) error {
	expr, err := d.tailQuery(req.Data)
	if err != nil {
		return err
	}
	t := &follower{d: d, expr: expr, sender: sender, seen: map[string]int64{}}
	wait := firstRetry
	for ctx.Err() == nil {
		before := t.sent
		err := d.client.Tail(ctx, belfry.TailQuery{Query: expr, Start: t.start(), Limit: d.settings.MaxLines}, t.send)
		var reported *belfry.Error
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &reported) && reported.Status < 500 && reported.Status != 429:
			return err // the query is at fault and will stay so
		case t.failed != nil:
			return t.failed
		}
		if t.sent > before {
			wait = firstRetry
		}
		backend.Logger.FromContext(ctx).Debug("live tail begins again", "error", err, "wait", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, lastRetry)
	}
	return nil
}

// lookBack is how far before its newest line a stream begins again, for lines that
// come late, and history what it shows at first.
const (
	lookBack = 10 * time.Second
	history  = time.Minute
)

// follower sends what comes, the schema with the first frame only, and no line
// twice.
type follower struct {
	d      *Datasource
	expr   string
	sender *backend.StreamSender
	newest int64            // ns
	seen   map[string]int64 // IDs of lines within lookBack of the newest
	sent   int
	failed error // of the side that listens
	shape  string
}

// start is where to follow from.
func (t *follower) start() time.Time {
	if t.newest == 0 {
		return t.d.now().Add(-history)
	}
	return time.Unix(0, t.newest).Add(-lookBack)
}

func (t *follower) send(streams []belfry.Stream) error {
	rows := t.fresh(rowsOf(streams))
	if len(rows) == 0 {
		return nil
	}
	sortRows(rows, true)
	f := t.d.logFrame(&Query{MaxLines: t.d.settings.MaxLines}, t.expr, rows, &belfry.Result{})
	f.Meta.Stats = nil
	include := data.IncludeDataOnly
	if shape := shapeOf(f); shape != t.shape {
		include, t.shape = data.IncludeAll, shape
	}
	if err := t.sender.SendFrame(f, include); err != nil {
		t.failed = err
		return err
	}
	t.sent += len(rows)
	return nil
}

// fresh leaves out what was sent before, and forgets what cannot come again.
func (t *follower) fresh(rows []row) []row {
	out := rows[:0]
	for _, r := range rows {
		if _, ok := t.seen[r.id]; ok {
			continue
		}
		t.seen[r.id] = r.time
		t.newest = max(t.newest, r.time)
		out = append(out, r)
	}
	for id, at := range t.seen {
		if at < t.newest-int64(lookBack) {
			delete(t.seen, id)
		}
	}
	return out
}

func shapeOf(f *data.Frame) string {
	var b strings.Builder
	for _, field := range f.Fields {
		b.WriteString(field.Name + ":" + field.Type().ItemTypeString() + ";")
	}
	return b.String()
}
