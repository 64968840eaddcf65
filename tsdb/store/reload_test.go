package store

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"belfry/internal/fault"
	metrics "belfry/tsdb"
)

func TestReload(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.Config.OutOfOrderWindow = 0; o.Config.Limits.MaxExemplars = 0 })
	ctx := context.Background()
	require.NoError(t, appendFloat(t, s, ctx, at(10*time.Minute), 1, "__name__", "x"))
	late := func() error { return appendFloat(t, s, ctx, at(0), 1, "__name__", "x") }
	reason, _ := metrics.Rejected(late())
	require.Equal(t, metrics.OutOfOrder, reason)

	cfg := *s.config()
	cfg.OutOfOrderWindow = model.Duration(time.Hour)
	cfg.Limits.MaxSeries = 1
	cfg.Limits.MaxExemplars = 10
	require.NoError(t, s.Reload(ctx, cfg))
	require.NoError(t, late())
	reason, _ = metrics.Rejected(appendFloat(t, s, ctx, at(0), 1, "__name__", "y"))
	require.Equal(t, metrics.SeriesLimit, reason)

	cfg.MinFreeDisk = 1 << 60
	require.NoError(t, s.Reload(ctx, cfg))
	require.Equal(t, fault.Unavailable, fault.KindOf(late()))

	cfg.Durability = "hope"
	require.Error(t, s.Reload(ctx, cfg))
	require.Equal(t, metrics.Written, s.config().Durability, "the old configuration stays")
}
