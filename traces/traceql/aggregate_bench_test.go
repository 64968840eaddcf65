package traceql

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
)

// toyColumns are columns in memory.
type toyColumns struct {
	starts  []int64
	columns map[traces.Field]*traces.Column
}

func (c *toyColumns) Len() int                                              { return len(c.starts) }
func (c *toyColumns) Starts() []int64                                       { return c.starts }
func (c *toyColumns) Column(f traces.Field) (*traces.Column, error)         { return c.columns[f], nil }
func (c *toyColumns) Spans([]traces.Field) ([]traces.Span, error)           { return nil, nil }
func (c *toyColumns) Attributes() ([]traces.Field, error)                   { return nil, nil }
func (c *toyColumns) Resources() iter.Seq2[*traces.Resource, [2]int]        { return nil }
func (c *toyColumns) Sample(traces.Field, int) (*traces.Sample, error)      { return nil, nil }
func (c *toyColumns) IDs(int) (id traces.TraceID, s traces.SpanID, e error) { return id, s, nil }
func (c *toyColumns) Place(int) traces.Place                                { return traces.Place{} }

// toyBlocks returns blocks of spans with so many names, in six runs each of an hour in time order.
func toyBlocks(blocks, rows, names int) []*toyColumns {
	r := rand.New(rand.NewPCG(1, 1))
	var out []*toyColumns
	for range blocks {
		c := &toyColumns{starts: make([]int64, rows)}
		dict := make([]traces.Value, 1, names+1)
		for i := range names {
			dict = append(dict, traces.String(fmt.Sprintf("GET /route/%d", i)))
		}
		durations := make([]uint64, rows)
		ids := make([]uint32, rows)
		run := (rows + 5) / 6
		for i := range rows {
			c.starts[i] = int64(i%run) * 3600e9 / int64(run)
			durations[i] = uint64(1e6 * (1 + r.ExpFloat64()*50))
			ids[i] = uint32(1 + r.IntN(names))
		}
		c.columns = map[traces.Field]*traces.Column{
			traces.Intrinsic(traces.Duration): {Kind: traces.KindInt, Nums: durations},
			traces.Intrinsic(traces.Name):     {Dict: dict, IDs: ids},
		}
		out = append(out, c)
	}
	return out
}

func BenchmarkAggregate(b *testing.B) {
	const rows = 32 << 10
	for _, names := range []int{50, 1000} {
		blocks := toyBlocks(30, rows, names)
		for _, query := range []string{
			`{ } | rate() by (name)`,
			`{ } | avg_over_time(duration) by (name)`,
			`{ } | histogram_over_time(duration) by (name)`,
			`{ } | quantile_over_time(duration, 0.99)`,
			`{ } | quantile_over_time(duration, 0.99) by (name)`,
		} {
			q, err := Parse(query)
			require.NoError(b, err)
			b.Run(fmt.Sprintf("%s, %d names", query, names), func(b *testing.B) {
				for b.Loop() {
					a := newAggregator(q.Metrics, &RangeRequest{To: 3600e9, Step: 180e9}, Limits{Series: 1 << 20})
					c := newColumnAggregator(a, nil)
					for _, block := range blocks {
						require.NoError(b, c.visit(block))
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(blocks)*rows), "ns/span")
			})
		}
	}
}
