package cold

import (
	"context"
	"errors"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
)

// Source is a block that another is built from: Prometheus' (From) or a cold
// one.
type Source interface {
	// cursor goes through all series that are not deleted.
	cursor(ctx context.Context) (cursor, error)
}

// cursor goes through series in the order of their labels.
type cursor interface {
	next() bool
	labels() labels.Labels // of the series at hand
	samples(*samples) error
	err() error
	close() error
}

// From makes one of Prometheus' blocks a source.
func From(b tsdb.BlockReader) Source { return upstream{b} }

type upstream struct{ b tsdb.BlockReader }

func (u upstream) cursor(ctx context.Context) (cursor, error) {
	c := &upstreamCursor{}
	ir, err := u.b.Index()
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, ir)
	cr, err := u.b.Chunks()
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.closers = append(c.closers, cr)
	tr, err := u.b.Tombstones()
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.closers = append(c.closers, tr)
	name, value := index.AllPostingsKey()
	all, err := ir.Postings(ctx, name, value)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	meta := u.b.Meta()
	c.set = tsdb.NewBlockChunkSeriesSet(meta.ULID, ir, cr, tr, ir.SortedPostings(all), meta.MinTime, meta.MaxTime-1, false)
	return c, nil
}

type upstreamCursor struct {
	set     storage.ChunkSeriesSet
	it      chunks.Iterator
	closers []interface{ Close() error }
}

func (c *upstreamCursor) next() bool            { return c.set.Next() }
func (c *upstreamCursor) labels() labels.Labels { return c.set.At().Labels() }
func (c *upstreamCursor) err() error            { return c.set.Err() }

func (c *upstreamCursor) samples(s *samples) error {
	c.it = c.set.At().Iterator(c.it)
	for c.it.Next() {
		m := c.it.At()
		if err := s.add(m.Chunk, m.MinTime, m.MaxTime); err != nil {
			return err
		}
	}
	return c.it.Err()
}

func (c *upstreamCursor) close() error {
	var errs []error
	for _, closer := range c.closers {
		errs = append(errs, closer.Close())
	}
	return errors.Join(errs...)
}

func (b *Block) cursor(ctx context.Context) (cursor, error) {
	q, err := b.querier(b.meta.MinTime, b.meta.MaxTime-1)
	if err != nil {
		return nil, err
	}
	set := q.selectSeries(ctx, nil, nil)
	return &coldCursor{q: q, set: set}, nil
}

type coldCursor struct {
	q   *baseQuerier
	set *seriesSet
}

func (c *coldCursor) next() bool            { return c.set.Next() }
func (c *coldCursor) labels() labels.Labels { return c.set.at.labels }
func (c *coldCursor) err() error            { return c.set.Err() }
func (c *coldCursor) close() error          { return c.q.Close() }

func (c *coldCursor) samples(s *samples) error {
	at := c.set.at
	for i := range at.chunks {
		chk := &at.chunks[i]
		var err error
		switch {
		case chk.isColumn():
			start := len(s.floats.Times)
			err = at.b.appendFloats(&s.floats, chk, at.mint, at.maxt, at.gone)
			s.run(start)
		case touches(at.gone, chk):
			err = at.withoutDeleted(i, s)
		default:
			var kept chunkenc.Chunk
			if kept, err = at.b.kept(chk); err == nil {
				s.pieces = append(s.pieces, piece{chunk: kept, mint: chk.mint, maxt: chk.maxt})
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// withoutDeleted adds what is left of a chunk that was kept as it is.
func (s *series) withoutDeleted(i int, out *samples) error {
	one := *s
	one.chunks = s.chunks[i : i+1]
	left := storage.NewSeriesToChunkEncoder(&one).Iterator(nil)
	for left.Next() {
		m := left.At()
		if err := out.add(m.Chunk, m.MinTime, m.MaxTime); err != nil {
			return err
		}
	}
	return left.Err()
}

// merged goes through the series of several cursors.
type merged struct {
	cursors []cursor // that have a series at hand
	all     []cursor
	at      labels.Labels
	s       samples
	failed  error
}

func merge(ctx context.Context, sources []Source) (*merged, error) {
	m := &merged{}
	for _, s := range sources {
		c, err := s.cursor(ctx)
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		m.all = append(m.all, c)
		if c.next() {
			m.cursors = append(m.cursors, c)
		} else if err := c.err(); err != nil {
			return nil, errors.Join(err, m.close())
		}
	}
	return m, nil
}

// next reads the next series: labels to at, samples, normalized, to s.
func (m *merged) next(ctx context.Context) bool {
	if m.failed = ctx.Err(); m.failed != nil || len(m.cursors) == 0 {
		return false
	}
	m.at = m.cursors[0].labels()
	for _, c := range m.cursors[1:] {
		if ls := c.labels(); labels.Compare(ls, m.at) < 0 {
			m.at = ls
		}
	}
	m.s.reset()
	left := m.cursors[:0]
	for _, c := range m.cursors {
		if labels.Equal(c.labels(), m.at) {
			if m.failed = c.samples(&m.s); m.failed != nil {
				return false
			}
			if !c.next() {
				if m.failed = c.err(); m.failed != nil {
					return false
				}
				continue
			}
		}
		left = append(left, c)
	}
	m.cursors = left
	m.failed = m.s.normalize()
	return m.failed == nil
}

func (m *merged) close() error {
	var errs []error
	for _, c := range m.all {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
