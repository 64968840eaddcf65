package exemplars

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

const start = 1_700_006_400_000 // six hours begin

// some returns n exemplars a minute from a time on, of a few series.
func some(seed uint64, from int64, n int) []exemplar.QueryResult {
	rng := rand.New(rand.NewPCG(seed, 1))
	series := make([]exemplar.QueryResult, 7)
	for i := range series {
		series[i].SeriesLabels = labels.FromStrings("__name__", "latency_bucket", "le", strconv.Itoa(i), "job", fmt.Sprint("job-", i%2))
	}
	values := []float64{0.5, math.NaN(), math.Inf(1), math.Copysign(0, -1), 5e-324}
	for i := range n {
		s := &series[rng.IntN(len(series))]
		s.Exemplars = append(s.Exemplars, exemplar.Exemplar{
			Labels: labels.FromStrings("trace_id", fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64())),
			Value:  values[rng.IntN(len(values))] * rng.Float64(), Ts: from + int64(i)*60_000, HasTs: rng.IntN(9) > 0,
		})
	}
	return Merge(series)
}

func open(t testing.TB, dir string) *Folder {
	d, err := Open(dir)
	require.NoError(t, err)
	return d
}

func matcher(kind labels.MatchType, name, value string) *labels.Matcher {
	return labels.MustNewMatcher(kind, name, value)
}

func all(t testing.TB, d *Folder) []exemplar.QueryResult {
	got, err := d.Select(math.MinInt64, math.MaxInt64, []*labels.Matcher{matcher(labels.MatchRegexp, "__name__", ".+")})
	require.NoError(t, err)
	return got
}

// printed tells values apart by their bits.
func printed(rs []exemplar.QueryResult) (out []string) {
	for _, r := range rs {
		for _, e := range r.Exemplars {
			out = append(out, fmt.Sprint(r.SeriesLabels, e.Labels, math.Float64bits(e.Value), e.Ts, e.HasTs))
		}
	}
	return out
}

func TestWhatIsAddedIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "exemplars")
	d := open(t, dir)
	require.Empty(t, all(t, d))
	first, second := some(1, start, 100), some(2, start+50*60_000, 3000)
	require.NoError(t, d.Add(first))
	require.NoError(t, d.Add(second))
	require.NoError(t, d.Add(nil))
	want := printed(Merge(slices.Concat(some(1, start, 100), some(2, start+50*60_000, 3000))))
	require.Len(t, want, 3100)
	require.Equal(t, want, printed(all(t, d)))
	require.Equal(t, want, printed(all(t, open(t, dir))), "after it was opened again")
	require.NoError(t, d.Add(some(1, start, 100)))
	require.Equal(t, want, printed(all(t, d)), "none twice")

	for _, q := range []struct {
		from, to int64
		sets     [][]*labels.Matcher
		keep     func(ls labels.Labels) bool
	}{
		{start + 60_000, start + 120_000, [][]*labels.Matcher{{matcher(labels.MatchEqual, "job", "job-1")}}, func(ls labels.Labels) bool { return ls.Get("job") == "job-1" }},
		{0, math.MaxInt64, [][]*labels.Matcher{{matcher(labels.MatchNotEqual, "le", "3"), matcher(labels.MatchRegexp, "job", "job-[1]")}}, func(ls labels.Labels) bool { return ls.Get("job") == "job-1" && ls.Get("le") != "3" }},
		{0, math.MaxInt64, [][]*labels.Matcher{{matcher(labels.MatchEqual, "le", "2")}, {matcher(labels.MatchEqual, "le", "3")}}, func(ls labels.Labels) bool { return ls.Get("le") == "2" || ls.Get("le") == "3" }},
		{0, math.MaxInt64, [][]*labels.Matcher{{matcher(labels.MatchEqual, "none", "")}}, func(labels.Labels) bool { return true }},
		{0, math.MaxInt64, [][]*labels.Matcher{{matcher(labels.MatchEqual, "none", "x")}}, func(labels.Labels) bool { return false }},
		{0, start - 1, [][]*labels.Matcher{{}}, func(labels.Labels) bool { return true }},
	} {
		got, err := d.Select(q.from, q.to, q.sets...)
		require.NoError(t, err)
		var want []exemplar.QueryResult
		for _, r := range all(t, d) {
			if !q.keep(r.SeriesLabels) {
				continue
			}
			r.Exemplars = slices.DeleteFunc(r.Exemplars, func(e exemplar.Exemplar) bool { return e.Ts < q.from || e.Ts > q.to })
			want = append(want, r)
		}
		require.Equal(t, printed(want), printed(got), q.sets)
	}
}

func TestFilesOfSixHoursBecomeOne(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	for i := range 12 {
		require.NoError(t, d.Add(some(uint64(i), start+int64(i)*3_600_000, 50)))
	}
	want := printed(all(t, d))
	require.NoError(t, d.Compact(start+11*3_600_000))
	require.Len(t, d.list(), 7, "the first six, and those of hours that go on")
	require.Equal(t, want, printed(all(t, d)))
	require.NoError(t, d.Compact(start+12*3_600_000))
	require.Len(t, d.list(), 2)
	require.Equal(t, want, printed(all(t, open(t, dir))))
	require.NoError(t, d.DropBefore(start+6*3_600_000))
	require.Len(t, d.list(), 1)
	require.Len(t, all(t, open(t, dir)), 7)
	require.Positive(t, d.Size())
}

func TestDeletedExemplarsLeaveTheDisk(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	require.NoError(t, d.Add(some(1, start, 100)))
	require.NoError(t, d.Add(some(2, start+600*60_000, 100)))
	require.NoError(t, d.Delete(start+600*60_000, func(ls labels.Labels, _ int64) bool { return ls.Get("job") == "job-0" }))
	for _, r := range all(t, open(t, dir)) {
		if r.SeriesLabels.Get("job") == "job-0" {
			require.GreaterOrEqual(t, r.Exemplars[0].Ts, int64(start+600*60_000))
		}
	}
	require.NoError(t, d.Delete(math.MaxInt64, func(labels.Labels, int64) bool { return true }))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestCrashesLeaveNothingHalf(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	require.NoError(t, d.Add(some(1, start, 100)))
	want := printed(all(t, d))
	written, err := os.ReadFile(d.list()[0].path)
	require.NoError(t, err)
	// A file that was being written, and one that replaces another which is still there.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "0000000000000007"+suffix+creating), written[:100], 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "0000000000000005"+suffix), written, 0o600))
	d = open(t, dir)
	require.Equal(t, want, printed(all(t, d)))
	require.NoError(t, d.Add(some(3, start, 10)))
	require.FileExists(t, filepath.Join(dir, "0000000000000006"+suffix))
}

// Every byte that flips is noticed, by who opens or by who reads.
func TestFlippedBytesAreErrors(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	require.NoError(t, d.Add(some(1, start, 12)))
	path := d.list()[0].path
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	damaged := func(b []byte) error {
		require.NoError(t, os.WriteFile(path, b, 0o600))
		d, err := Open(dir)
		if err == nil {
			_, err = d.Select(math.MinInt64, math.MaxInt64, []*labels.Matcher{})
		}
		return err
	}
	require.NoError(t, damaged(good))
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= byte(1 << (i % 8))
		err := damaged(bad)
		require.Error(t, err, "byte %d of %d", i, len(good))
		if i >= 8 && i < 12 {
			continue // another version
		}
		require.ErrorIs(t, err, ErrCorrupt, "byte %d of %d", i, len(good))
	}
	for _, n := range []int{0, 10, 50, len(good) / 2, len(good) - 1} {
		require.ErrorIs(t, damaged(good[:n]), ErrCorrupt)
	}
}

func TestADamagedFileDoesNotTakeTheOthers(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	require.NoError(t, d.Add(some(1, start, 60)))
	require.NoError(t, d.Add(some(2, start, 60)))
	require.NoError(t, os.WriteFile(d.list()[0].path, []byte("x"), 0o600))
	d, err := Open(dir)
	require.ErrorIs(t, err, ErrCorrupt)
	require.Equal(t, printed(some(2, start, 60)), printed(all(t, d)))
}

// FuzzRead reads files whose checksums are right and whose contents are not.
func FuzzRead(f *testing.F) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(f, err)
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	require.NoError(f, err)
	f.Cleanup(func() { dec.Close(); require.NoError(f, enc.Close()) })
	for _, n := range []int{1, 50} {
		good, err := encode(some(uint64(n), start, n))
		require.NoError(f, err)
		foot, err := parseFooter(good[len(good)-footerSize:], int64(len(good)))
		require.NoError(f, err)
		dir, err := dec.DecodeAll(good[foot.dirOffset:foot.dirOffset+uint64(foot.dirLength)], nil)
		require.NoError(f, err)
		block, err := dec.DecodeAll(good[headerSize:foot.dirOffset], nil)
		require.NoError(f, err)
		at := bytes.Index(dir, binary.LittleEndian.AppendUint32(nil, crc32.Checksum(good[headerSize:foot.dirOffset], castagnoli)))
		f.Add(dir[:at-2], dir[at+4:], block)
	}
	f.Fuzz(func(t *testing.T, before, after, block []byte) {
		packed := enc.EncodeAll(block, nil)
		file := append(binary.LittleEndian.AppendUint64(magic[:len(magic):len(magic)], version), packed...)
		dir := binary.AppendUvarint(slices.Clone(before), uint64(len(packed)))
		dir = binary.LittleEndian.AppendUint32(dir, crc32.Checksum(packed, castagnoli))
		packed = enc.EncodeAll(append(dir, after...), nil)
		foot := footer{dirOffset: uint64(len(file)), dirLength: uint32(len(packed)), dirCRC: crc32.Checksum(packed, castagnoli), maxt: math.MaxInt64}
		path := filepath.Join(t.TempDir(), "0000000000000001"+suffix)
		require.NoError(t, os.WriteFile(path, foot.append(append(file, packed...)), 0o600))
		d, err := Open(filepath.Dir(path))
		require.NoError(t, err)
		_, _ = d.Select(math.MinInt64, math.MaxInt64, []*labels.Matcher{matcher(labels.MatchRegexp, "le", "[0-3]")})
	})
}
