package part

import (
	"fmt"
	"testing"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/vfs"

	"github.com/stretchr/testify/require"
)

// The parts in testdata hold the same rows, each written by the release that
// brought its version of the format. They are never written again.
const (
	sampleBlocks = 2
	sampleRows   = 500
)

// sampleText is what row n holds in the columns of byte strings.
func sampleText(n int) map[string]string {
	return map[string]string{
		"line":  fmt.Sprintf("request %d of user u%04d took %d.%03d ms", n, n*7919%10000, n%50, n*31%1000),
		"route": fmt.Sprintf("/route/%d", n%5),
		"host":  fmt.Sprintf("host-%03d", n%100),
		"const": "always",
	}
}

// sampleNum is what row n holds in the columns of numbers.
func sampleNum(n int) map[string]column.Value {
	return map[string]column.Value{
		"status":   column.IntValue([]int64{200, 204, 404, 500}[n*n%4]),
		"count":    column.IntValue(int64(n * 3)),
		"duration": column.FloatValue(float64(n*37%1000) / 100),
		"ok":       column.BoolValue(n%3 > 0),
	}
}

// has says which rows have no value.
func sampleHas(name string, n int) bool { return name != "host" || n%2 == 0 }

func writeSample(t *testing.T, w *Writer) {
	t.Helper()
	for b := range sampleBlocks {
		var times []uint64
		builders := map[string]*column.Builder{}
		var values []Values
		builder := func(name string, kind column.Kind, flags uint8) *column.Builder {
			if builders[name] == nil {
				builders[name] = &column.Builder{Kind: kind}
				values = append(values, Values{w.Column(name, kind, flags), builders[name]})
			}
			return builders[name]
		}
		for i := range sampleRows {
			n := b*sampleRows + i
			times = append(times, uint64(1_700_000_000_000_000_000+n*1_000_000))
			builder("id", column.ID, FlagIndexed).AppendBytes(uint32(i), testID(n/3))
			for _, name := range []string{"line", "route", "host", "const"} {
				if sampleHas(name, n) {
					builder(name, column.String, 0).AppendBytes(uint32(i), []byte(sampleText(n)[name]))
				}
			}
			for _, name := range []string{"status", "count", "duration", "ok"} {
				v := sampleNum(n)[name]
				builder(name, v.Kind(), 0).AppendValue(uint32(i), v)
			}
		}
		require.NoError(t, w.WriteBlock(times, []Run{{fmt.Sprintf("s%d", b), sampleRows}}, values))
	}
	_, err := w.Finish()
	require.NoError(t, err)
}

func TestOldVersions(t *testing.T) {
	codec, err := encoding.NewCodec(1)
	require.NoError(t, err)
	t.Cleanup(codec.Close)
	mem := vfs.NewMem()
	f, err := mem.Create("now")
	require.NoError(t, err)
	writeSample(t, NewWriter(f, codec, encoding.Small, column.DefaultPageBytes))
	now, err := mem.Open("now")
	require.NoError(t, err)
	files := map[string]vfs.File{"now": now}
	for _, name := range []string{"v2.part", "v3.part", "v4.part"} {
		f, err := vfs.OS{}.Open("testdata/" + name)
		require.NoError(t, err)
		files[name] = f
	}
	for name, f := range files {
		t.Run(name, func(t *testing.T) {
			r, err := Open(f, codec)
			require.NoError(t, err)
			defer r.Close()
			requireSample(t, r)
		})
	}
}

func requireSample(t *testing.T, r *Reader) {
	t.Helper()
	require.Len(t, r.Blocks, sampleBlocks)
	io := &IO{Arena: &column.Arena{}}
	for b := range r.Blocks {
		blk := &r.Blocks[b]
		_, times, err := r.ReadHead(io, blk)
		require.NoError(t, err)
		vectors := map[string]*column.Vector{}
		for i := range blk.Columns {
			c := &blk.Columns[i]
			chunk, err := r.OpenColumn(io, blk, c)
			require.NoError(t, err)
			if chunk.Paged() {
				_, err = chunk.Load(nil, r.Pages(io, c), io.Arena)
				require.NoError(t, err)
			}
			vectors[r.Columns[c.Column].Name] = chunk.Vector()
			sel := []uint32{0, 3, 4, 250, sampleRows - 1}
			picked, _, err := r.PickColumn(io, blk, c, sel)
			require.NoError(t, err)
			for i, row := range sel {
				require.Equal(t, chunk.Vector().Value(int(row)), picked.Value(i), "%s row %d", r.Columns[c.Column].Name, row)
			}
		}
		require.Len(t, vectors, 9)
		for i := range sampleRows {
			n := b*sampleRows + i
			require.EqualValues(t, 1_700_000_000_000_000_000+n*1_000_000, times[i])
			for name, want := range sampleText(n) {
				require.Equal(t, sampleHas(name, n), vectors[name].Has(i))
				if vectors[name].Has(i) {
					require.Equal(t, want, string(vectors[name].Bytes(i)))
				}
			}
			for name, want := range sampleNum(n) {
				require.Equal(t, want, vectors[name].Value(i), name)
			}
			places, err := r.FindID(io, r.FindColumn("id", column.ID), testID(n/3), nil)
			require.NoError(t, err)
			require.Contains(t, places, Place{b, i})
		}
	}
}
