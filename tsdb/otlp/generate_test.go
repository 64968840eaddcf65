package otlp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/protobuf/encoding/protowire"
)

// generator makes random requests: every type, attributes of every kind, names
// that collide, resources with and without a name, several times over.
type generator struct {
	rng *rand.Rand
}

func newGenerator(seed uint64) *generator { return &generator{rand.New(rand.NewPCG(seed, 1))} }

func (g *generator) chance(n int) bool { return g.rng.IntN(n) == 0 }

func (g *generator) pick(list ...string) string { return list[g.rng.IntN(len(list))] }

func (g *generator) request() pmetric.Metrics {
	md := pmetric.NewMetrics()
	for range 1 + g.rng.IntN(3) {
		rm := md.ResourceMetrics().AppendEmpty()
		g.resource(rm.Resource().Attributes())
		for range 1 + g.rng.IntN(2) {
			sm := rm.ScopeMetrics().AppendEmpty()
			if !g.chance(3) {
				sm.Scope().SetName(g.pick("lib", "other/lib"))
				sm.Scope().SetVersion(g.pick("", "v1"))
				sm.SetSchemaUrl(g.pick("", "https://opentelemetry.io/schemas/1.30.0"))
				g.attributes(sm.Scope().Attributes(), 2)
			}
			for range 1 + g.rng.IntN(5) {
				g.metric(sm.Metrics().AppendEmpty())
			}
		}
	}
	return md
}

func (g *generator) resource(m pcommon.Map) {
	for _, name := range []string{"service.name", "service.namespace", "service.instance.id", "k8s.pod.name", "host.name", "job", "a.b", "a_b"} {
		if !g.chance(3) {
			m.PutStr(name, g.pick("shop", "cart", "ä/b", "1"))
		}
	}
	g.attributes(m, 2)
}

func (g *generator) attributes(m pcommon.Map, most int) {
	for range g.rng.IntN(most + 1) {
		g.value(m.PutEmpty(g.pick("http.route", "http_route", "code", "1st", "_x", "__x", "le", "instance", "service.name", "__name__", "ünder", "a.b")), 0)
	}
}

func (g *generator) value(v pcommon.Value, depth int) {
	switch kind := g.rng.IntN(12); {
	case kind < 5:
		v.SetStr(g.pick("", "x", "/api/v1/things", "日本", `q"uo\te`))
	case kind == 5:
		v.SetInt(g.rng.Int64() - math.MaxInt64/2)
	case kind == 6:
		v.SetBool(g.chance(2))
	case kind == 7:
		v.SetDouble(g.float())
	case kind == 8:
		v.SetEmptyBytes().FromRaw([]byte{0, 1, 0xff})
	case kind == 9 && depth < 3:
		list := v.SetEmptySlice()
		for range g.rng.IntN(3) {
			g.value(list.AppendEmpty(), depth+1)
		}
	case kind == 10 && depth < 3:
		entries := v.SetEmptyMap()
		for range g.rng.IntN(3) {
			g.value(entries.PutEmpty(g.pick("k", "l", "<m>")), depth+1)
		}
	}
}

func (g *generator) float() float64 {
	switch g.rng.IntN(8) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1 - 2*g.rng.IntN(2))
	case 2:
		return 0
	case 3:
		return float64(g.rng.IntN(100))
	}
	return (g.rng.Float64() - 0.5) * math.Pow10(g.rng.IntN(40)-20)
}

func (g *generator) metric(m pmetric.Metric) {
	m.SetName(g.pick("http.server.duration", "up", "1st.metric", "queue size", "requests_total", "a") + g.pick("", "", ".ratio"))
	m.SetUnit(g.pick("", "s", "By", "1", "{things}", "m/s", "%", "Cel"))
	m.SetDescription(g.pick("", "What it is.", "Else."))
	n := 1 + g.rng.IntN(4)
	switch g.rng.IntN(6) {
	case 0:
		g.numbers(m.SetEmptyGauge().DataPoints(), n)
	case 1, 2:
		s := m.SetEmptySum()
		s.SetIsMonotonic(g.chance(2))
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		g.numbers(s.DataPoints(), n)
	case 3:
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for range n {
			g.histogram(h.DataPoints().AppendEmpty())
		}
	case 4:
		h := m.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for range n {
			g.exponential(h.DataPoints().AppendEmpty())
		}
	case 5:
		s := m.SetEmptySummary()
		for range n {
			g.summary(s.DataPoints().AppendEmpty())
		}
	}
}

// timed is what all points have.
type timed interface {
	SetTimestamp(pcommon.Timestamp)
	SetStartTimestamp(pcommon.Timestamp)
	SetFlags(pmetric.DataPointFlags)
	Attributes() pcommon.Map
}

func (g *generator) point(p timed) {
	p.SetTimestamp(ts(time.Duration(g.rng.IntN(600_000)) * time.Millisecond))
	if !g.chance(3) {
		p.SetStartTimestamp(ts(-time.Hour))
	}
	p.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(g.chance(6)))
	g.attributes(p.Attributes(), 4)
}

func (g *generator) numbers(points pmetric.NumberDataPointSlice, n int) {
	for range n {
		p := points.AppendEmpty()
		g.point(p)
		switch g.rng.IntN(5) {
		case 0:
		case 1, 2:
			p.SetIntValue(g.rng.Int64() - math.MaxInt64/2)
		default:
			p.SetDoubleValue(g.float())
		}
		g.exemplars(p.Exemplars())
	}
}

func (g *generator) histogram(p pmetric.HistogramDataPoint) {
	g.point(p)
	bounds := g.rng.IntN(6)
	for i := range bounds {
		p.ExplicitBounds().Append(float64(i*i) + 0.5)
	}
	total := uint64(0)
	for range max(bounds+1-g.rng.IntN(2)*g.rng.IntN(3), 0) {
		c := uint64(max(g.rng.IntN(9)-3, 0))
		p.BucketCounts().Append(c)
		total += c
	}
	p.SetCount(total)
	if g.chance(2) {
		p.SetSum(g.float())
	}
	g.exemplars(p.Exemplars())
}

func (g *generator) exponential(p pmetric.ExponentialHistogramDataPoint) {
	g.point(p)
	p.SetScale(int32(g.rng.IntN(13) - 4))
	p.SetZeroCount(uint64(g.rng.IntN(3)))
	total := p.ZeroCount()
	for _, b := range []pmetric.ExponentialHistogramDataPointBuckets{p.Positive(), p.Negative()} {
		b.SetOffset(int32(g.rng.IntN(40) - 20))
		for range g.rng.IntN(12) {
			c := uint64(max(g.rng.IntN(6)-3, 0))
			b.BucketCounts().Append(c)
			total += c
		}
	}
	p.SetCount(total)
	if g.chance(2) {
		p.SetSum(g.float())
	}
	g.exemplars(p.Exemplars())
}

func (g *generator) summary(p pmetric.SummaryDataPoint) {
	g.point(p)
	p.SetCount(uint64(g.rng.IntN(1000)))
	p.SetSum(g.float())
	for range g.rng.IntN(4) {
		q := p.QuantileValues().AppendEmpty()
		q.SetQuantile(float64(g.rng.IntN(100)) / 100)
		q.SetValue(g.float())
	}
}

func (g *generator) exemplars(list pmetric.ExemplarSlice) {
	if !g.chance(3) {
		return
	}
	for i := range 1 + g.rng.IntN(3) {
		e := list.AppendEmpty()
		e.SetTimestamp(ts(time.Duration(i) * time.Second))
		if g.chance(2) {
			e.SetIntValue(int64(i * 3))
		} else {
			e.SetDoubleValue(float64(i * 3))
		}
		if !g.chance(3) {
			e.SetTraceID(pcommon.TraceID{1, 2, byte(i)})
			e.SetSpanID(pcommon.SpanID{3, byte(i)})
		}
		g.attributes(e.FilteredAttributes(), 2)
		if g.chance(4) {
			e.FilteredAttributes().PutStr("long", fmt.Sprintf("%0100d", i))
		}
	}
}

// later moves all gauges' and sums' points on, so that the request is the next one
// of the same series.
func (g *generator) later(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				points := pmetric.NewNumberDataPointSlice()
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					points = m.Gauge().DataPoints()
				case pmetric.MetricTypeSum:
					points = m.Sum().DataPoints()
				}
				for _, p := range points.All() {
					p.SetTimestamp(p.Timestamp() + pcommon.Timestamp(15*time.Second))
					p.SetDoubleValue(g.float())
				}
			}
		}
	}
}

// shuffled writes the fields of the outer messages in another order, with an
// unknown one among them.
func shuffled(t *testing.T, message []byte, rng *rand.Rand) []byte {
	t.Helper()
	return shuffledMessage(t, message, rng, []int32{1, 2, 2})
}

// shuffledMessage does so with a message and those in its field path[0], and so on.
func shuffledMessage(t *testing.T, message []byte, rng *rand.Rand, path []int32) []byte {
	t.Helper()
	var fields [][]byte
	for len(message) > 0 {
		number, typ, n := protowire.ConsumeTag(message)
		require.Positive(t, n)
		size := protowire.ConsumeFieldValue(number, typ, message[n:])
		require.GreaterOrEqual(t, size, 0)
		field := message[: n+size : n+size]
		if len(path) > 0 && int32(number) == path[0] && typ == protowire.BytesType {
			inner, _ := protowire.ConsumeBytes(message[n:])
			field = protowire.AppendBytes(protowire.AppendTag(nil, number, typ), shuffledMessage(t, inner, rng, path[1:]))
		}
		fields = append(fields, field)
		message = message[n+size:]
	}
	if len(path) == 0 { // a Metric: its parts in any order
		rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	}
	fields = append(fields, protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 7))
	var out []byte
	for _, f := range fields {
		out = append(out, f...)
	}
	return out
}
