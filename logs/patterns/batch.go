package patterns

import (
	"time"

	"belfry/logs"
)

// bucket is how finely lines are counted in time.
const bucket = int64(30 * time.Second)

// The first 2^fullShift lines of a batch are all looked at, of the next so many every
// second, of those that follow every third, and so on; lines of errors are
// thinned apart from the others, so that few among many are seen.
const fullShift = 6

// Levels whose lines are rare and looked for.
const (
	levelError    = "error"
	levelCritical = "critical"
)

// maxSample is how much of a line is kept for clustering.
const maxSample = maxBytes + 1

// Batch counts the lines of one request. It is used by one goroutine, and may be reused.
type Batch struct {
	miner   *Miner
	classes *classes
	streams []*stream
	current int
	counts  map[batchKey]*batchCount
	thin    [2]thinning
}

// thinning takes fewer and fewer of what comes.
type thinning struct{ seen, skip int }

// take returns how many the next one stands for, 0 if it is left out.
func (t *thinning) take() int64 {
	t.seen++
	if t.skip > 0 {
		t.skip--
		return 0
	}
	t.skip = (t.seen - 1) >> fullShift
	return int64(t.skip) + 1
}

// stream is what lines are counted under. It is read-only.
type stream struct {
	service string
	labels  []logs.Label
}

type batchKey struct {
	signature uint64
	at        int64 // start of the bucket
	stream    int
	level     string
}

type batchCount struct {
	lines  int64
	sample []byte
}

// NewBatch returns an empty batch.
func (m *Miner) NewBatch() *Batch {
	return &Batch{miner: m, classes: m.classes, current: -1, counts: map[batchKey]*batchCount{}}
}

// Stream begins the lines of a stream, given by what its sender says of it. labels is asked
// for streams that are not known yet.
func (b *Batch) Stream(raw []byte, labels func() ([]logs.Label, error)) error {
	s, err := b.miner.streamOf(raw, labels)
	if err != nil || s == nil {
		b.current = -1
		return err
	}
	b.streams = append(b.streams, s)
	b.current = len(b.streams) - 1
	return nil
}

// Add counts a line; level is a constant.
func (b *Batch) Add(at int64, level string, line []byte) {
	if b.current < 0 || len(line) == 0 {
		return
	}
	thin := &b.thin[0]
	if level == levelError || level == levelCritical {
		thin = &b.thin[1]
	}
	weight := thin.take()
	if weight == 0 {
		return
	}
	key := batchKey{b.classes.signature(line), at - at%bucket, b.current, level}
	c := b.counts[key]
	if c == nil {
		c = &batchCount{sample: append([]byte(nil), line[:min(len(line), maxSample)]...)}
		b.counts[key] = c
	}
	c.lines += weight
}

// Reset empties the batch.
func (b *Batch) Reset() {
	b.streams, b.current, b.thin = b.streams[:0], -1, [2]thinning{}
	clear(b.counts)
}
