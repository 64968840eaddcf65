package cold

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// Querier returns a querier over the samples from mint to maxt, both included.
// It keeps the block open until it is closed. Series that its Select returns
// implement tsdb.ColumnSeries.
func (b *Block) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := b.querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &querier{q}, nil
}

// ChunkQuerier is Querier for chunks of Prometheus' encoding, which are made when
// they are asked for. Its series are tsdb.ColumnReaders, too.
func (b *Block) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q, err := b.querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return &chunkQuerier{q}, nil
}

func (b *Block) querier(mint, maxt int64) (*baseQuerier, error) {
	if err := b.acquire(); err != nil {
		return nil, err
	}
	return &baseQuerier{b: b, mint: mint, maxt: maxt}, nil
}

type baseQuerier struct {
	b          *Block
	mint, maxt int64
	closed     bool
}

func (q *baseQuerier) Close() error {
	if !q.closed {
		q.closed = true
		q.b.release()
	}
	return nil
}

func (q *baseQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	vs, err := q.b.labelValues(ctx, name, matchers)
	return limit(vs, hints), nil, err
}

func (q *baseQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	ns, err := q.b.labelNames(ctx, matchers)
	return limit(ns, hints), nil, err
}

func limit(s []string, hints *storage.LabelHints) []string {
	if hints != nil && hints.Limit > 0 && len(s) > hints.Limit {
		return s[:hints.Limit]
	}
	return s
}

func (q *baseQuerier) selectSeries(ctx context.Context, hints *storage.SelectHints, matchers []*labels.Matcher) *seriesSet {
	ids, err := q.b.matching(ctx, matchers)
	if err != nil {
		return &seriesSet{err: err}
	}
	s := &seriesSet{
		ctx: ctx, ids: ids.Iterator(), reader: seriesReader{b: q.b}, stones: q.b.tombstones.Load(),
		mint: q.mint, maxt: q.maxt,
	}
	if hints != nil {
		s.mint, s.maxt = max(hints.Start, q.mint), min(hints.End, q.maxt)
		s.shards, s.shard, s.limit = hints.ShardCount, hints.ShardIndex, hints.Limit
	}
	return s
}

type querier struct{ *baseQuerier }

var _ storage.Searcher = (*querier)(nil)

func (q *querier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return q.selectSeries(ctx, hints, matchers)
}

// SearchLabelNames implements storage.Searcher.
func (q *querier) SearchLabelNames(ctx context.Context, hints *storage.SearchHints, matchers ...*labels.Matcher) storage.SearchResultSet {
	ns, err := q.b.labelNames(ctx, matchers)
	if err != nil {
		return storage.ErrSearchResultSet(err)
	}
	return storage.NewSearchResultSetFromSlice(storage.ApplySearchHints(ns, hints), nil)
}

// SearchLabelValues implements storage.Searcher.
func (q *querier) SearchLabelValues(ctx context.Context, name string, hints *storage.SearchHints, matchers ...*labels.Matcher) storage.SearchResultSet {
	vs, err := q.b.labelValues(ctx, name, matchers)
	if err != nil {
		return storage.ErrSearchResultSet(err)
	}
	return storage.NewSearchResultSetFromSlice(storage.ApplySearchHints(vs, hints), nil)
}

type chunkQuerier struct{ *baseQuerier }

func (q *chunkQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return chunkSeriesSet{q.selectSeries(ctx, hints, matchers)}
}

// seriesSet reads series in the order of their labels.
type seriesSet struct {
	ctx           context.Context //nolint:containedctx // a set lives for one Select
	ids           roaring.IntPeekable
	reader        seriesReader
	stones        *stones
	mint, maxt    int64
	shards, shard uint64
	limit         int

	n   int
	at  *series
	err error
}

var _ storage.SeriesSet = (*seriesSet)(nil)

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool {
	for s.err == nil && s.ids.HasNext() && (s.limit <= 0 || s.n < s.limit) {
		if s.err = s.ctx.Err(); s.err != nil {
			return false
		}
		id := s.ids.Next()
		if s.err = s.reader.read(id); s.err != nil {
			return false
		}
		gone, err := s.stones.Get(storageRef(id))
		if err != nil {
			s.err = err
			return false
		}
		chunks := s.reader.chunks
		if !slices.ContainsFunc(chunks, func(c chunk) bool { return s.wants(&c) && !covers(gone, &c) }) {
			continue
		}
		var ls labels.Labels
		if ls, s.err = s.reader.build(); s.err != nil {
			return false
		}
		if s.shards > 0 && labels.StableHash(ls)%s.shards != s.shard {
			continue
		}
		at := &series{b: s.reader.b, labels: ls, gone: gone, mint: s.mint, maxt: s.maxt, chunks: make([]chunk, 0, len(chunks))}
		for i := range chunks {
			if s.wants(&chunks[i]) && !covers(gone, &chunks[i]) {
				at.chunks = append(at.chunks, chunks[i])
			}
		}
		s.at = at
		s.n++
		return true
	}
	return false
}

func (s *seriesSet) wants(c *chunk) bool { return c.overlaps(s.mint, s.maxt) }

// At implements storage.SeriesSet.
func (s *seriesSet) At() storage.Series { return s.at }

// Err implements storage.SeriesSet.
func (s *seriesSet) Err() error { return s.err }

// Warnings implements storage.SeriesSet.
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// chunkSeriesSet is a seriesSet whose series hand out chunks.
type chunkSeriesSet struct{ *seriesSet }

var _ storage.ChunkSeriesSet = chunkSeriesSet{}

// At implements storage.ChunkSeriesSet.
func (s chunkSeriesSet) At() storage.ChunkSeries { return chunkSeries{s.at} }
