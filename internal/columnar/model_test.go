package columnar

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"belfry/internal/vfs"

	"github.com/grafana/regexp"
	"github.com/stretchr/testify/require"
)

// model runs random operations on a DB and on a slice of rows, and compares.
type model struct {
	t    *testing.T
	rnd  *rand.Rand
	o    Options
	mem  *vfs.Mem
	db   *DB
	rows []toyRow // in the order of arrival
}

func TestModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			m := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), mem: vfs.NewMem()}
			m.o = toyOptions(m.mem)
			m.o.BlockRows = []int{7, 64, 1000, 32 << 10}[seed%4]
			m.o.MaxColumns = []int{2, 5, 2000}[seed%3]
			m.o.MaxFrozen = 1000
			m.o.QueryConcurrency = 1 + int(seed%3)
			if seed%5 == 0 {
				m.o.FlushBytes = 20 << 10
			}
			m.open()
			for range 60 {
				m.step()
			}
			m.check()
			require.NoError(t, m.db.Close())
		})
	}
}

func (m *model) open() {
	db, err := Open(m.o)
	require.NoError(m.t, err)
	m.db = db
}

func (m *model) step() {
	ctx := context.Background()
	switch m.rnd.IntN(16) {
	case 0, 1, 2, 3, 4, 5:
		rows := make([]toyRow, 1+m.rnd.IntN(60))
		for i := range rows {
			rows[i] = m.row()
		}
		res, err := m.db.Append(ctx, "t", toyPayload(m.t, rows...))
		require.NoError(m.t, err)
		for _, r := range rows {
			if r.Reject == "" {
				m.rows = append(m.rows, r)
			} else {
				res.Rejected--
			}
		}
		require.Zero(m.t, res.Rejected)
	case 6, 7:
		require.NoError(m.t, m.db.Flush(ctx))
	case 8:
		m.mergeSome()
	case 9:
		if m.rnd.IntN(2) == 0 {
			require.NoError(m.t, m.db.Close())
		} else {
			// Killed: what was written stays.
			clone := m.mem.CloneKilled()
			require.NoError(m.t, m.db.Close())
			m.mem = clone
			m.o.FS = clone
		}
		m.open()
	case 10, 11:
		m.delete()
	case 12:
		require.NoError(m.t, m.db.erase(ctx))
	default:
		m.query()
	}
}

func (m *model) delete() {
	from := m.time()
	q := Query{From: from, To: from + m.rnd.Int64N(dayNanos/4), Filter: m.filter(1)}
	var kept []toyRow
	for _, r := range m.rows {
		if r.Time < q.From || r.Time >= q.To || !modelMatch(q.Filter, &r) {
			kept = append(kept, r)
		}
	}
	if _, err := encodeFilter(q.Filter); err != nil {
		return
	}
	d, err := m.db.Delete(context.Background(), DeletionRequest{Tenant: "t", From: q.From, To: q.To, Filter: q.Filter})
	require.NoError(m.t, err)
	if m.rnd.IntN(2) == 0 {
		alone := len(m.db.deletions.pending) == 1
		require.NoError(m.t, m.db.erase(context.Background()))
		d, err = m.db.Deletion("t", d.ID)
		require.NoError(m.t, err)
		require.Equal(m.t, DeletionDone, d.State)
		if alone {
			require.EqualValues(m.t, len(m.rows)-len(kept), d.Rows)
		}
	}
	m.rows = kept
}

// mergeSome merges neighbors of one day.
func (m *model) mergeSome() {
	byDay := map[int64][]*partHandle{}
	for _, h := range m.db.parts["t"] {
		byDay[h.day] = append(byDay[h.day], h)
	}
	for _, parts := range byDay {
		if len(parts) < 2 {
			continue
		}
		from := m.rnd.IntN(len(parts) - 1)
		to := from + 2 + m.rnd.IntN(len(parts)-from-1)
		for i := from + 1; i < to; i++ {
			if m.db.cleanRank(parts[i]) != m.db.cleanRank(parts[from]) {
				to = i
			}
		}
		if to-from < 2 {
			continue
		}
		require.NoError(m.t, m.db.merge(context.Background(), slices.Clone(parts[from:to])))
	}
}

func (m *model) pick(of ...string) string { return of[m.rnd.IntN(len(of))] }

func (m *model) body() string {
	var words []string
	for range m.rnd.IntN(6) {
		words = append(words, m.pick("error", "Error", "timeout", "GET", "/api/v1", "user_7", "naïve", "\u212aelvin", "kelvin", "x", "7", "foo-bar", "\xff\xfe"))
	}
	return strings.Join(words, m.pick(" ", ", ", "="))
}

func (m *model) value(k Kind) Value {
	switch k {
	case KindString:
		return String(m.body())
	case KindInt:
		return Int([]int64{0, 1, -1, 200, 404, math.MaxInt64, math.MinInt64, 1 << 53, 1<<53 + 1, int64(m.rnd.IntN(1000))}[m.rnd.IntN(10)])
	case KindFloat:
		return Float([]float64{0, math.Copysign(0, -1), 1.5, 200, math.NaN(), math.Inf(1), 0.1, m.rnd.NormFloat64(), 1 << 53}[m.rnd.IntN(9)])
	case KindBool:
		return Bool(m.rnd.IntN(2) == 0)
	case KindBytes:
		return Bytes([]byte(m.pick("", "a", "\x00\x01", "bytes")))
	case KindID:
		return ID(m.id())
	}
	return JSON(m.pick(`{"a":1}`, `["x","error"]`, `[]`))
}

func (m *model) id() []byte {
	b := make([]byte, 16)
	binary.BigEndian.PutUint64(b[8:], uint64(m.rnd.IntN(40)))
	return b
}

func (m *model) time() int64 {
	base := toyNow - 3*dayNanos
	if m.rnd.IntN(3) > 0 {
		return base + int64(m.rnd.IntN(50))*1_000_000 // many equal ones
	}
	return base + m.rnd.Int64N(2*dayNanos)
}

func (m *model) row() toyRow {
	r := toyRow{Time: m.time(), Stream: map[string]string{"app": m.pick("a", "b", "c", "shop")}}
	if m.rnd.IntN(2) == 0 {
		r.Stream["host"] = m.pick("h1", "h2")
	}
	if m.rnd.IntN(20) > 0 {
		r.Fields = append(r.Fields, field("body", String(m.body())))
	}
	if m.rnd.IntN(2) == 0 {
		r.Fields = append(r.Fields, field("trace", ID(m.id())))
	}
	if m.rnd.IntN(2) == 0 {
		r.Fields = append(r.Fields, field("status", Int(int64(200+m.rnd.IntN(5)))))
	}
	if m.rnd.IntN(2) == 0 {
		r.Fields = append(r.Fields, field("user", String("user-"+m.pick("1", "2", "3"))))
	}
	for range m.rnd.IntN(4) {
		k := KindString + Kind(m.rnd.IntN(int(KindJSON)))
		r.Fields = append(r.Fields, field(m.pick("v1", "v2", "v3", "v4", "status", "rare"), m.value(k)))
	}
	if m.rnd.IntN(30) == 0 {
		r.Reject = "bad luck"
	}
	return r
}

func (m *model) ref() Ref {
	if m.rnd.IntN(5) == 0 {
		return Ref{Name: m.pick("app", "host", "none"), Stream: true}
	}
	if m.rnd.IntN(8) == 0 {
		return Ref{Every: true, Stream: m.rnd.IntN(3) == 0}
	}
	r := Ref{Name: m.pick("body", "trace", "status", "user", "v1", "v2", "v3", "v4", "rare", "none")}
	if m.rnd.IntN(3) == 0 {
		r.Kind = KindString + Kind(m.rnd.IntN(int(KindJSON)))
	}
	return r
}

func (m *model) filter(depth int) Filter {
	if depth > 0 && m.rnd.IntN(2) == 0 {
		switch m.rnd.IntN(3) {
		case 0:
			return And{m.filter(depth - 1), m.filter(depth - 1)}
		case 1:
			return Or{m.filter(depth - 1), m.filter(depth - 1), m.filter(depth - 1)}
		default:
			return Not{m.filter(depth - 1)}
		}
	}
	value := func() Value { return m.value(KindString + Kind(m.rnd.IntN(int(KindJSON)))) }
	switch ref := m.ref(); m.rnd.IntN(13) {
	case 0:
		return Equal{Ref: ref, Value: value()}
	case 1:
		return Equal{Ref: ref, Value: String(value().Text()), AsText: true}
	case 2:
		return In{Ref: ref, Values: []Value{value(), value(), value()}}
	case 3:
		return Range{Ref: ref, Min: Int(int64(m.rnd.IntN(300))), Max: Float(404.5), ExcludeMin: m.rnd.IntN(2) == 0}
	case 4:
		return Range{Ref: ref, Max: Int(200), ExcludeMax: m.rnd.IntN(2) == 0}
	case 5:
		return Range{Ref: ref, Min: String("b"), Max: String("f")}
	case 6:
		return Contains{Ref: ref, Text: m.pick("err", "error", " time", "=7=", "user-", "\xff", "kel", "200", "a")}
	case 7:
		return Contains{Ref: ref, Text: m.pick("ERROR", "get", "Time", "API/"), Fold: true}
	case 8:
		return Words{Ref: ref, Words: []string{m.pick("error", "timeout", "7", "foo-bar", "naïve", "user_7")}, Fold: m.rnd.IntN(2) == 0}
	case 9:
		return Regexp{Ref: ref, Re: regexp.MustCompile(m.pick("err.r", "^GET", "(?i)timeout", "api/v[0-9]+", "x|7", "(kelvin)+", "user-[12]$", "^$"))}
	case 10:
		return Exists{Ref: ref}
	case 11:
		return HasPrefix{Ref: ref, Text: m.pick("error", "GET", "user-1", "2", "")}
	}
	switch m.rnd.IntN(3) {
	case 0:
		t := m.time()
		return TimeRange{t, t + dayNanos}
	case 1:
		if len(m.rows) > 0 {
			return InStreams{[]StreamID{m.rows[m.rnd.IntN(len(m.rows))].streamID()}}
		}
	}
	return Func{Ref: m.ref(), Match: func(v Value) bool { return len(v.Text())%3 == 1 }}
}

// expected returns the matching rows in an order.
func (m *model) expected(q Query, order Order) []toyRow {
	var out []toyRow
	for _, r := range m.rows {
		if r.Time >= q.From && r.Time < q.To && modelMatch(q.Filter, &r) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b toyRow) int {
		byTime := cmp.Compare(a.Time, b.Time)
		if order == NewestFirst {
			byTime = -byTime
		}
		x, y := a.streamID(), b.streamID()
		return cmp.Or(byTime, bytes.Compare(x[:], y[:]))
	})
	return out
}

func (m *model) query() {
	ctx := context.Background()
	q := Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}
	if m.rnd.IntN(2) == 0 {
		q.From = m.time()
		q.To = q.From + m.rnd.Int64N(dayNanos)
	}
	for range 4 {
		q.Filter = m.filter(3)
		order := Order(m.rnd.IntN(2))
		want := m.expected(q, order)
		m.compareSelect(ctx, q, order, want)
		m.compareScan(ctx, q, want)
	}
	id := m.id()
	q.Filter = Equal{Ref: Ref{Name: "trace", Kind: KindID}, Value: ID(id)}
	want := m.expected(q, OldestFirst)
	rows, _, err := m.db.Lookup(ctx, LookupQuery{Tenant: "t", Column: "trace", ID: id, From: q.From, To: q.To})
	require.NoError(m.t, err)
	m.sameRows(rows, want, "lookup")
}

// compareSelect pages through all rows.
func (m *model) compareSelect(ctx context.Context, q Query, order Order, want []toyRow) {
	sq := SelectQuery{Query: q, Order: order, Limit: 1 + m.rnd.IntN(30)}
	var rows []Row
	for {
		page, stats, err := m.db.Select(ctx, sq)
		require.NoError(m.t, err)
		require.Equal(m.t, CutNone, stats.Cut)
		rows = append(rows, page...)
		if len(page) < sq.Limit || len(rows) > len(want) {
			break
		}
		c, err := ParseCursor(page[len(page)-1].Cursor.String())
		require.NoError(m.t, err)
		sq.After = &c
		if m.rnd.IntN(10) == 0 {
			require.NoError(m.t, m.db.Flush(ctx))
		}
	}
	m.sameRows(rows, want, fmt.Sprintf("%#v", q.Filter))
}

func (m *model) sameRows(rows []Row, want []toyRow, what string) {
	m.t.Helper()
	got := make([]string, len(rows))
	for i := range rows {
		got[i] = rowText(&rows[i])
	}
	exp := make([]string, len(want))
	for i := range want {
		exp[i] = want[i].text()
	}
	sameTexts(m.t, exp, got, what)
}

// sameTexts tells the first difference only.
func sameTexts(t *testing.T, want, got []string, what string) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			t.Fatalf("%s: %d rows, want %d; beyond: %q", what, len(got), len(want), got[i])
		case i >= len(got):
			t.Fatalf("%s: %d rows, want %d; missing: %q", what, len(got), len(want), want[i])
		case want[i] != got[i]:
			t.Fatalf("%s: row %d of %d is\n%q, want\n%q", what, i, len(want), got[i], want[i])
		}
	}
}

func (m *model) compareScan(ctx context.Context, q Query, want []toyRow) {
	type scanWorker struct{ texts []string }
	var workers []*scanWorker
	stats, err := m.db.Scan(ctx, q, func() Worker {
		w := &scanWorker{}
		workers = append(workers, w)
		return WorkerFunc(func(b *Block) error {
			keys, err := b.Columns()
			if err != nil {
				return err
			}
			texts := make([]Row, b.Len())
			for i := range texts {
				texts[i] = Row{Time: b.Times()[i], Stream: b.Stream(i)}
			}
			for _, key := range keys {
				v, err := b.Column(key)
				if err != nil {
					return err
				}
				for i := range texts {
					if v != nil && v.Has(i) {
						texts[i].Fields = append(texts[i].Fields, Field{key.Name, v.Value(i)})
					}
				}
			}
			for i := range texts {
				w.texts = append(w.texts, rowText(&texts[i]))
			}
			return nil
		})
	})
	require.NoError(m.t, err)
	require.EqualValues(m.t, len(want), stats.RowsMatched)
	var got []string
	for _, w := range workers {
		got = append(got, w.texts...)
	}
	var exp []string
	for i := range want {
		exp = append(exp, want[i].text())
	}
	sort.Strings(got)
	sort.Strings(exp)
	sameTexts(m.t, exp, got, "scan")
}

// check compares the catalogs.
func (m *model) check() {
	ctx := context.Background()
	m.query()
	require.NoError(m.t, m.db.erase(ctx)) // the catalogs' numbers are exact only then
	all := Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}
	streams, err := m.db.Streams(ctx, "t", all.From, all.To, nil)
	require.NoError(m.t, err)
	counts := map[StreamID]int64{}
	statuses := map[Value]int64{}
	for i := range m.rows {
		counts[m.rows[i].streamID()]++
		seen := map[ColumnKey]bool{}
		for _, f := range m.rows[i].Fields {
			key := ColumnKey{f.Name, f.Kind}
			if !seen[key] && f.Name == "status" {
				statuses[f.value()]++
			}
			seen[key] = true
		}
	}
	require.Len(m.t, streams, len(counts))
	for _, s := range streams {
		require.Equal(m.t, counts[s.ID], s.Rows)
	}
	values, _, err := m.db.Values(ctx, all, RowRef("status"), 1000)
	require.NoError(m.t, err)
	require.Len(m.t, values, len(statuses))
	for _, v := range values {
		require.Equal(m.t, statuses[v.Value], v.Rows, v.Value.Text())
	}
}
