package columnar

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"belfry/internal/columnar/encoding"
	"belfry/internal/vfs"

	"github.com/grafana/regexp"
	"golang.org/x/sys/unix"
)

// The load of the benchmarks: log records with a body of about 90 bytes, ten
// attributes, 70 % with random trace and span IDs, 200 streams.
//
// A payload is: count, then per row: stream, time, severity, body, trace, span,
// status, latency, five short strings; all little-endian with lengths.
const (
	bBody ColRef = iota
	bTrace
	bSpan
	bSeverity
	bStatus
	bLatency
	bMethod
	bRoute
	bRegion
	bUser
	bVersion
)

func benchColumns() []ColumnDef {
	return []ColumnDef{
		{Name: "body", Kind: KindString},
		{Name: "trace_id", Kind: KindID, NoWordFilter: true},
		{Name: "span_id", Kind: KindID, NoFilter: true},
		{Name: "severity", Kind: KindInt},
		{Name: "status", Kind: KindInt},
		{Name: "latency", Kind: KindFloat},
		{Name: "method", Kind: KindString},
		{Name: "route", Kind: KindString},
		{Name: "region", Kind: KindString},
		{Name: "user", Kind: KindString, NoWordFilter: true},
		{Name: "version", Kind: KindString},
	}
}

func benchDecode(p []byte, _ time.Time, w *RowWriter) error {
	le := binary.LittleEndian
	str := func() []byte {
		n := int(p[0])
		s := p[1 : 1+n]
		p = p[1+n:]
		return s
	}
	for len(p) > 0 {
		if s := p[:2]; !w.SelectStream(s) {
			n := le.Uint16(s)
			w.StreamField("service.name", String(fmt.Sprint("service-", n%20)))
			w.StreamField("pod", String(fmt.Sprint("pod-", n)))
			w.DefineStream()
		}
		w.Begin(int64(le.Uint64(p[2:])))
		w.SetInt(bSeverity, int64(p[10]))
		w.SetInt(bStatus, int64(le.Uint16(p[11:])))
		w.SetFloat(bLatency, float64(le.Uint32(p[13:]))/1000)
		hasID := p[17] != 0
		if hasID {
			w.SetID(bTrace, p[18:34])
			w.SetID(bSpan, p[34:42])
		}
		p = p[42:]
		w.SetString(bBody, str())
		w.SetString(bMethod, str())
		w.SetString(bRoute, str())
		w.SetString(bRegion, str())
		w.SetString(bUser, str())
		w.SetString(bVersion, str())
		w.End()
	}
	return nil
}

// benchPayloads returns payloads of 500 rows each.
func benchPayloads(n int) [][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	le := binary.LittleEndian
	out := make([][]byte, n)
	now := toyNow
	verbs := []string{"fetched", "stored", "rejected", "queued", "delivered", "expired", "refreshed"}
	things := []string{"order", "invoice", "session", "cart", "payment", "shipment", "profile"}
	for i := range out {
		var p []byte
		stream := rnd.IntN(200)
		for j := range 500 {
			if j%50 == 0 {
				stream = rnd.IntN(200)
			}
			now += int64(rnd.IntN(200_000))
			p = le.AppendUint16(p, uint16(stream))
			p = le.AppendUint64(p, uint64(now))
			p = append(p, byte([]int{9, 9, 9, 9, 13, 17}[rnd.IntN(6)]))
			p = le.AppendUint16(p, uint16([]int{200, 200, 200, 201, 404, 500}[rnd.IntN(6)]))
			p = le.AppendUint32(p, uint32(rnd.ExpFloat64()*20000))
			if rnd.IntN(10) < 7 {
				p = append(p, 1)
			} else {
				p = append(p, 0)
			}
			for range 3 {
				p = le.AppendUint64(p, rnd.Uint64())
			}
			str := func(s string) { p = append(append(p, byte(len(s))), s...) }
			str(fmt.Sprintf("%s %s %d for customer %d in %d ms, attempt %d of 3 via node-%d", verbs[rnd.IntN(7)], things[rnd.IntN(7)],
				rnd.IntN(1e6), rnd.IntN(5e4), rnd.IntN(900), 1+rnd.IntN(3), rnd.IntN(64)))
			str([]string{"GET", "POST", "PUT"}[rnd.IntN(3)])
			str(fmt.Sprint("/api/v1/", things[rnd.IntN(7)], "s/{id}"))
			str([]string{"eu-west-1", "us-east-1"}[rnd.IntN(2)])
			str(fmt.Sprint("user-", rnd.IntN(100_000)))
			str("1.4.2")
		}
		out[i] = p
	}
	return out
}

// cpu returns the processor time that the process has used: on a busy machine
// the only figure that means anything.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchOptions(fs vfs.FS, dir string) Options {
	return Options{Dir: dir, FS: fs, Signal: "bench", Decode: benchDecode, Columns: benchColumns(), MergeConcurrency: -1, FlushAge: time.Hour}
}

func BenchmarkIngest(b *testing.B) {
	payloads := benchPayloads(40)
	wire := 0
	for _, p := range payloads {
		wire += len(p)
	}
	run := func(b *testing.B, flush bool) {
		db, err := Open(benchOptions(vfs.OS{}, b.TempDir()))
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		ctx := context.Background()
		b.ReportAllocs()
		rows := 0
		begin := cpu()
		for b.Loop() {
			for _, p := range payloads {
				if _, err := db.Append(ctx, "t", p); err != nil {
					b.Fatal(err)
				}
				rows += 500
			}
			if flush {
				if err := db.Flush(ctx); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(cpu()-begin)/float64(rows), "cpu-ns/row")
		b.ReportMetric(float64(wire)/float64(500*len(payloads)), "wireB/row")
		if _, size, n := db.partTotals(); n > 0 {
			b.ReportMetric(float64(size)/float64(n), "diskB/row")
		}
	}
	b.Run("flush", func(b *testing.B) { run(b, true) })
}

func BenchmarkMerge(b *testing.B) {
	payloads := benchPayloads(400)
	var used time.Duration
	merged, size := uint64(0), int64(0)
	for b.Loop() {
		b.StopTimer()
		db, err := Open(benchOptions(vfs.NewMem(), "d"))
		if err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		for i, p := range payloads {
			if _, err := db.Append(ctx, "t", p); err != nil {
				b.Fatal(err)
			}
			if i%50 == 49 {
				if err := db.Flush(ctx); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.StartTimer()
		begin := cpu()
		mergeAll(b, db)
		used += cpu() - begin
		b.StopTimer()
		_, bytes, rows := db.partTotals()
		merged, size = merged+rows, size+bytes
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(used)/float64(merged), "cpu-ns/row")
	b.ReportMetric(float64(size)/float64(merged), "diskB/row")
}

func BenchmarkQuery(b *testing.B) {
	o := benchOptions(vfs.OS{}, b.TempDir())
	o.QueryConcurrency = 1
	o.FlushBytes = 1 << 30
	db, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	payloads := benchPayloads(1000)
	for _, p := range payloads {
		if _, err := db.Append(ctx, "t", p); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	all := Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64}
	scan := func(name string, f Filter, col ColumnKey) {
		b.Run(name, func(b *testing.B) {
			var matched int64
			begin, n := cpu(), 0
			for b.Loop() {
				n++
				q := all
				q.Filter = f
				var sum atomic.Int64
				stats, err := db.Scan(ctx, q, func() Worker {
					var counts [1 << 16]int64
					return WorkerFunc(func(blk *Block) error {
						if col.Name == "" {
							return nil
						}
						v, err := blk.Column(col)
						if err != nil || v.DictLen() == 0 {
							return err
						}
						for i := range v.Len() {
							counts[v.DictID(i)]++
						}
						sum.Add(counts[0])
						return nil
					})
				})
				if err != nil {
					b.Fatal(err)
				}
				matched = stats.RowsMatched
			}
			b.ReportMetric(float64(cpu()-begin)/float64(n)/500_000, "cpu-ns/row")
			b.ReportMetric(float64(matched), "rows")
		})
	}
	body := RowRef("body")
	scan("count", nil, ColumnKey{})
	scan("count_by_route", nil, ColumnKey{"route", KindString})
	scan("equal_int", Equal{Ref: RowRef("status"), Value: Int(404)}, ColumnKey{})
	scan("equal_dict", Equal{Ref: RowRef("route"), Value: String("/api/v1/carts/{id}")}, ColumnKey{})
	scan("contains", Contains{Ref: body, Text: "attempt 3"}, ColumnKey{})
	scan("contains_none", Contains{Ref: body, Text: "absentneedle"}, ColumnKey{})
	scan("contains_fold", Contains{Ref: body, Text: "EXPIRED", Fold: true}, ColumnKey{})
	scan("word_none", Words{Ref: body, Words: []string{"absentneedle"}}, ColumnKey{})
	scan("word_some", Words{Ref: body, Words: []string{"expired"}}, ColumnKey{})
	scan("regexp", Regexp{Ref: body, Re: regexp.MustCompile(`customer 12\d+ in`)}, ColumnKey{})
	scan("id_none", Equal{Ref: RowRef("trace_id"), Value: ID(make([]byte, 16))}, ColumnKey{})
	b.Run("last_100", func(b *testing.B) {
		for b.Loop() {
			rows, _, err := db.Select(ctx, SelectQuery{Query: all, Limit: 100})
			if err != nil || len(rows) != 100 {
				b.Fatal(len(rows), err)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	o := benchOptions(vfs.OS{}, b.TempDir())
	o.Columns[bTrace].Indexed = true
	db, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	for i, p := range benchPayloads(400) {
		if _, err := db.Append(ctx, "t", p); err != nil {
			b.Fatal(err)
		}
		if i%40 == 39 { // ten parts
			if err := db.Flush(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	rows, _, err := db.Select(ctx, SelectQuery{
		Query: Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64, Filter: Exists{Ref: RowRef("trace_id")}}, Limit: 500,
	})
	if err != nil {
		b.Fatal(err)
	}
	_, size, total := db.partTotals()
	begin, n := cpu(), 0
	for b.Loop() {
		id, _ := rows[n%len(rows)].Field("trace_id")
		found, _, err := db.Lookup(ctx, LookupQuery{Tenant: "t", Column: "trace_id", ID: []byte(id.Str()), From: math.MinInt64, To: math.MaxInt64})
		if err != nil || len(found) != 1 {
			b.Fatal(len(found), err)
		}
		n++
	}
	b.ReportMetric(float64(cpu()-begin)/float64(n)/1000, "cpu-us/lookup")
	b.ReportMetric(float64(size)/float64(total), "diskB/row")
}

// BenchmarkLookupManyParts looks up IDs that none of 100 parts has.
func BenchmarkLookupManyParts(b *testing.B) {
	o := benchOptions(vfs.OS{}, b.TempDir())
	o.Columns[bTrace].Indexed = true
	db, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	for i, p := range benchPayloads(400) {
		if _, err := db.Append(ctx, "t", p); err != nil {
			b.Fatal(err)
		}
		if i%4 == 3 {
			if err := db.Flush(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	absent := make([]byte, 16)
	begin, n := cpu(), 0
	for b.Loop() {
		binary.LittleEndian.PutUint64(absent, uint64(n))
		found, _, err := db.Lookup(ctx, LookupQuery{Tenant: "t", Column: "trace_id", ID: absent, From: math.MinInt64, To: math.MaxInt64})
		if err != nil || len(found) != 0 {
			b.Fatal(len(found), err)
		}
		n++
	}
	b.ReportMetric(float64(cpu()-begin)/float64(n)/1000, "cpu-us/lookup")
}

// BenchmarkQueryDuringMerge measures a scan of all rows while merges go on.
func BenchmarkQueryDuringMerge(b *testing.B) {
	db, err := Open(benchOptions(vfs.OS{}, b.TempDir()))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	for i, p := range benchPayloads(400) {
		if _, err := db.Append(ctx, "t", p); err != nil {
			b.Fatal(err)
		}
		if i%20 == 19 {
			if err := db.Flush(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	done, stop := make(chan struct{}), make(chan struct{})
	merges := 0
	go func() { // merges the same parts again and again, into files that nobody sees
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			var sources []mergeSource
			for _, h := range db.parts["t"] {
				s := newPartSource(h)
				defer s.close()
				sources = append(sources, s)
			}
			h, err := db.writePart(ctx, partInfo{tenant: "t"}, sources, partOptions{level: encoding.Fast, blockRows: db.o.BlockRows, pace: db.newPacer()})
			if err != nil {
				b.Error(err)
				return
			}
			h.drop.Store(true)
			h.release()
			merges++
		}
	}()
	body := RowRef("body")
	var worst time.Duration
	for b.Loop() {
		begin := time.Now()
		_, err := db.Scan(ctx, Query{Tenant: "t", From: math.MinInt64, To: math.MaxInt64, Filter: Contains{Ref: body, Text: "absentneedle"}}, func() Worker {
			return WorkerFunc(func(*Block) error { return nil })
		})
		if err != nil {
			b.Fatal(err)
		}
		worst = max(worst, time.Since(begin))
	}
	close(stop)
	<-done
	b.ReportMetric(float64(merges)/b.Elapsed().Seconds(), "merges/s")
	b.ReportMetric(float64(worst.Milliseconds()), "worst-ms")
}
