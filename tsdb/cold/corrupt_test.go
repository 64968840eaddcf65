package cold

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"
)

// small is the file of a small block with something of everything.
func small(t testing.TB) []byte {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	var all []storage.Series
	for kind, make := range kinds {
		var ss []chunks.Sample
		for i := range 150 {
			s := make(rng, i)
			s.t = t0 + int64(i)*15_000
			ss = append(ss, s)
		}
		for i := range 2 {
			all = append(all, storage.NewListSeries(labels.FromStrings("__name__", kind, "i", strconv.Itoa(i)), ss))
		}
	}
	dir, err := promtsdb.CreateBlock(all, t.TempDir(), 24*hour, discard)
	require.NoError(t, err)
	b := buildFrom(t, openBlock(t, dir))
	file, err := os.ReadFile(filepath.Join(b.Dir(), blockFile))
	require.NoError(t, err)
	return file
}

// readAll reads everything that a file says, in every way.
func readAll(file []byte) (map[string][]string, error) {
	b, err := newBlock(file)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	q, err := b.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	for _, name := range b.names.names {
		if _, _, err := q.LabelValues(context.Background(), name, nil, labels.MustNewMatcher(labels.MatchRegexp, "i", "1")); err != nil {
			return nil, err
		}
	}
	set := q.Select(context.Background(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "i", "[01]"))
	for set.Next() {
		it := set.At().Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			ls := set.At().Labels().String()
			out[ls] = append(out[ls], line(it, kind))
		}
		if err := it.Err(); err != nil {
			return nil, err
		}
	}
	return out, set.Err()
}

func TestDamageIsAnError(t *testing.T) {
	file := small(t)
	want, err := readAll(file)
	require.NoError(t, err)
	require.Len(t, want, 2*len(kinds))
	rng := rand.New(rand.NewPCG(2, 2))
	flips := 3000
	if testing.Short() {
		flips = 300
	}
	for range flips {
		at, bit := rng.IntN(len(file)), byte(1)<<rng.IntN(8)
		file[at] ^= bit
		_, err := readAll(file)
		require.Error(t, err, "bit %d of byte %d of %d", bit, at, len(file))
		file[at] ^= bit
	}
	for range 300 {
		n := rng.IntN(len(file))
		_, err := readAll(file[:n:n])
		require.Error(t, err, "cut to %d of %d", n, len(file))
	}
}

// Checksums find damage by accident. What is damaged and has the right checksums
// must not bring the process down either.
func FuzzRead(f *testing.F) {
	file := small(f)
	f.Add(uint16(100), []byte{1, 2, 3})
	f.Fuzz(func(_ *testing.T, at uint16, with []byte) {
		damaged := append([]byte(nil), file...)
		copy(damaged[headerSize+int(at)%(len(file)-headerSize):], with)
		_, _ = readAll(restamp(damaged))
	})
}

// restamp makes all checksums right.
func restamp(file []byte) []byte {
	entries, ok := directory(file)
	if !ok {
		return file
	}
	for i := range entries {
		e := &entries[i]
		if e.offset > uint64(len(file)) || e.length > uint64(len(file))-e.offset {
			return file
		}
	}
	for i := range entries {
		if entries[i].section == sectionColumns {
			stampPages(file, entries, entries[i])
		}
	}
	for i := range entries {
		e := &entries[i]
		e.crc = checksum(file[e.offset : e.offset+e.length])
	}
	end := len(file) - tailSize - len(entries)*sectionEntry
	return appendFooter(file[:end:end], entries)
}

func stampPages(file []byte, entries []sectionAt, columns sectionAt) {
	for _, e := range entries {
		if e.section != sectionPages {
			continue
		}
		pages := file[e.offset : e.offset+e.length]
		for at := uint64(0); at < columns.length && len(pages) >= 4; at += pageSize {
			end := min(at+pageSize, columns.length)
			putChecksum(pages, file[columns.offset+at:columns.offset+end])
			pages = pages[4:]
		}
	}
}
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func putChecksum(dst, b []byte) { binary.LittleEndian.PutUint32(dst, checksum(b)) }

// directory reads the directory of sections without checking it.
func directory(file []byte) ([]sectionAt, bool) {
	tail := file[len(file)-tailSize:]
	n := int(binary.LittleEndian.Uint32(tail))
	if n < 0 || n > int(lastSection) || n*sectionEntry > len(file)-headerSize-tailSize {
		return nil, false
	}
	dir := file[len(file)-tailSize-n*sectionEntry:]
	out := make([]sectionAt, n)
	for i := range out {
		e := dir[i*sectionEntry:]
		out[i] = sectionAt{section(e[0]), binary.LittleEndian.Uint64(e[1:]), binary.LittleEndian.Uint64(e[9:]), 0}
	}
	return out, true
}
