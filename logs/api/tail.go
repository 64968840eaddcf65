package api

import (
	"cmp"
	"context"
	"encoding/json"
	"hash/maphash"
	"net/http"
	"slices"
	"time"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logql/syntax"

	"github.com/coder/websocket"
)

const (
	maxDelay     = 5 * time.Second
	tailPeriod   = 300 * time.Millisecond
	tailOverlap  = 10 * time.Second // entries may come so late
	tailPerTick  = 2000
	tailWriteFor = 10 * time.Second
)

func sortedLabels(l []logs.Label) []logs.Label {
	slices.SortFunc(l, func(a, b logs.Label) int { return cmp.Compare(a.Name, b.Name) })
	return l
}

type tailFrame struct {
	Streams       []stream       `json:"streams"`
	EncodingFlags []string       `json:"encodingFlags,omitempty"`
	Dropped       []droppedEntry `json:"dropped_entries,omitempty"`
}

type droppedEntry struct {
	Labels    map[string]string `json:"labels"`
	Timestamp string            `json:"timestamp"`
}

// tail follows a query over a WebSocket: first the newest entries since start, then
// what arrives. Each round looks back over tailOverlap and sends what it has not sent.
func (a *API) tail(w http.ResponseWriter, r *http.Request) {
	t, err := a.newTail(r)
	if err != nil {
		a.writeError(w, err)
		return
	}
	select {
	case a.tails <- struct{}{}:
		defer func() { <-a.tails }()
	default:
		a.writeError(w, fault.Limitedf(time.Second, "%w", errTooManyTails))
		return
	}
	// The origin is not checked: a page of another origin could read no more
	// than with the tenant's credentials, which browsers send with no WebSocket
	// but as cookies, and there are none here.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	ctx := conn.CloseRead(r.Context())
	if err := t.run(ctx, conn); err != nil && ctx.Err() == nil {
		_ = conn.Close(websocket.StatusInternalError, truncated(err.Error()))
		return
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
}

// truncated fits a reason into a WebSocket's close frame.
func truncated(s string) string { return s[:min(len(s), 120)] }

type tailer struct {
	api    *API
	params logql.Params
	delay  time.Duration
	from   time.Time
	seen   map[uint64]int64 // hash of a sent entry to its time
	seed   maphash.Seed
	flags  bool
}

func (a *API) newTail(r *http.Request) (*tailer, error) {
	if err := r.ParseForm(); err != nil {
		return nil, fault.Invalidf("%w", err)
	}
	t := &tailer{api: a, seen: map[uint64]int64{}, seed: maphash.MakeSeed(), flags: categorize(r)}
	t.params = logql.Params{Tenant: tenant.ID(r.Context()), Query: r.Form.Get("query")}
	e, err := syntax.Parse(t.params.Query)
	if err != nil {
		return nil, err
	}
	if _, ok := e.(*syntax.LogExpr); !ok {
		return nil, fault.Invalidf("only log queries can be followed")
	}
	if t.params.Limit, err = intParam(r, "limit", defaultLimit); err != nil {
		return nil, err
	}
	if s := r.Form.Get("delay_for"); s != "" {
		if t.delay, err = parseStep("delay_for", s); err != nil {
			return nil, err
		}
		if t.delay > maxDelay {
			return nil, fault.Invalidf("delay_for can't be greater than %d", maxDelay/time.Second)
		}
	}
	t.from = a.o.Now().Add(-defaultSince)
	if s := r.Form.Get("start"); s != "" {
		if t.from, err = parseTime(s); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *tailer) run(ctx context.Context, conn *websocket.Conn) error {
	p := t.params
	p.Start, p.End, p.Direction = t.from, t.api.o.Now().Add(-t.delay), logs.Backward
	p.Limit = min(p.Limit, t.api.engineLimit())
	if p.End.After(p.Start) {
		res, err := t.api.engine.Range(ctx, p)
		if err != nil {
			return err
		}
		slices.Reverse(res.Entries)
		for i := range res.Entries {
			t.mark(&res.Entries[i])
		}
		if err := t.send(ctx, conn, res.Entries, nil); err != nil {
			return err
		}
	}
	last := p.End
	ticker := time.NewTicker(tailPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		end := t.api.o.Now().Add(-t.delay)
		if err := t.round(ctx, conn, last.Add(-tailOverlap), end, p.Start); err != nil {
			return err
		}
		last = end
	}
}

func (a *API) engineLimit() int {
	if a.o.Limits.MaxEntries > 0 {
		return a.o.Limits.MaxEntries
	}
	return logql.DefaultLimits().MaxEntries
}

func (t *tailer) round(ctx context.Context, conn *websocket.Conn, from, to, floor time.Time) error {
	if from.Before(floor) {
		from = floor
	}
	p := t.params
	p.Start, p.End, p.Direction = from, to, logs.Forward
	var batch []logql.Entry
	var dropped []droppedEntry
	_, err := t.api.engine.Stream(ctx, p, nil, func(e logql.Entry, _ logs.Cursor) bool {
		if !t.mark(&e) {
			return true
		}
		if len(batch) >= tailPerTick {
			dropped = append(dropped, droppedEntry{labelMap(e.Stream), formatNanos(e.Time)})
			return len(dropped) < tailPerTick
		}
		batch = append(batch, e)
		return true
	})
	if err != nil {
		return err
	}
	for h, at := range t.seen {
		if at < from.UnixNano() {
			delete(t.seen, h)
		}
	}
	return t.send(ctx, conn, batch, dropped)
}

// mark notes that an entry is sent, and reports whether it had not been.
func (t *tailer) mark(e *logql.Entry) bool {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for _, list := range [][]logs.Label{e.Stream, e.Metadata, e.Parsed} {
		for _, l := range list {
			_, _ = h.WriteString(l.Name)
			_ = h.WriteByte(0)
			_, _ = h.WriteString(l.Value)
			_ = h.WriteByte(0)
		}
		_ = h.WriteByte(1)
	}
	_, _ = h.WriteString(e.Line)
	_, _ = h.WriteString(formatNanos(e.Time))
	sum := h.Sum64()
	if _, ok := t.seen[sum]; ok {
		return false
	}
	t.seen[sum] = e.Time
	return true
}

func (t *tailer) send(ctx context.Context, conn *websocket.Conn, entries []logql.Entry, dropped []droppedEntry) error {
	if len(entries) == 0 && len(dropped) == 0 {
		return nil
	}
	frame := tailFrame{Streams: streams(entries, t.flags), Dropped: dropped}
	if t.flags {
		frame.EncodingFlags = []string{categorizeFlag}
	}
	b, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tailWriteFor)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, b)
}
