package store

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"belfry/internal/config"
)

func TestRetentionByTimeIsByTheClock(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s := open(t, dir, nil)
	require.NoError(t, appendFloat(t, s, ctx, at(-72*time.Hour), 1, "__name__", "x"))
	require.NoError(t, s.CompactHead(ctx))
	require.NoError(t, s.Close())

	s = open(t, dir, func(o *Options) { o.Config.Retention.Time = model.Duration(100 * time.Hour) })
	require.Len(t, floats(t, s, ctx), 1)
	require.NoError(t, s.Close())

	// Nothing was written since: the block is the newest, and past retention.
	s = open(t, dir, func(o *Options) { o.Config.Retention.Time = model.Duration(24 * time.Hour) })
	require.Empty(t, floats(t, s, ctx))
}

func TestRetentionBySizeDropsTheOldest(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s := open(t, dir, nil)
	for _, age := range []time.Duration{-72 * time.Hour, -48 * time.Hour, -24 * time.Hour} {
		require.NoError(t, appendFloat(t, s, ctx, at(age), 1, "__name__", "x"))
		require.NoError(t, s.CompactHead(ctx))
	}
	db := s.open["default"]
	blocks := db.tsdb.Blocks()
	require.Len(t, blocks, 3)
	require.Empty(t, db.blocksToDelete(blocks))

	cfg := *s.config()
	size := db.tsdb.Head().Size()
	for _, b := range blocks[1:] {
		size += b.Size()
	}
	cfg.Retention.Size = config.ByteSize(size)
	require.NoError(t, s.Reload(ctx, cfg))
	gone := db.blocksToDelete(blocks)
	require.Len(t, gone, 1)
	require.Contains(t, gone, blocks[0].Meta().ULID, "the oldest")
}

func TestRetentionReachesTheHeadOfASilentTenant(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s := open(t, dir, nil)
	require.NoError(t, appendFloat(t, s, ctx, at(-72*time.Hour), 1, "__name__", "x"))
	cfg := *s.config()
	cfg.Retention.Time = model.Duration(24 * time.Hour)
	require.NoError(t, s.Reload(ctx, cfg))
	require.NoError(t, s.open["default"].dropOldHead())
	require.Empty(t, floats(t, s, ctx))
	require.NoError(t, s.Close())

	s = open(t, dir, func(o *Options) { o.Config = cfg })
	require.Empty(t, floats(t, s, ctx), "the log does not bring them back")
	require.NoError(t, appendFloat(t, s, ctx, at(0), 2, "__name__", "x"))
	require.Len(t, floats(t, s, ctx), 1)
}
