package tsdb

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"belfry/internal/config"
)

func TestDefaultConfigIsValid(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
}

func TestConfigIsReadFromYAML(t *testing.T) {
	file := struct {
		Metrics Config `yaml:"metrics"`
	}{DefaultConfig()}
	require.NoError(t, config.Decode("belfry.yaml", []byte(`
metrics:
  retention: {time: 90d, size: 50GiB}
  out_of_order_window: 2h
  durability: fsync
  limits: {max_series: 500000}
  query: {timeout: 30s}
  otlp:
    translation_strategy: NoTranslation
    promote_resource_attributes: [service.name]
`), &file))
	c := file.Metrics
	require.Equal(t, model.Duration(90*24*time.Hour), c.Retention.Time)
	require.Equal(t, config.ByteSize(50<<30), c.Retention.Size)
	require.Equal(t, Fsync, c.Durability)
	require.Equal(t, 500000, c.Limits.MaxSeries)
	require.Equal(t, DefaultConfig().Limits.MaxExemplars, c.Limits.MaxExemplars, "the rest of a section keeps its defaults")
	require.Equal(t, NoTranslation, c.OTLP.TranslationStrategy)
	require.Equal(t, []string{"service.name"}, c.OTLP.PromoteResourceAttributes)
}

func TestValidateReportsEveryFault(t *testing.T) {
	err := Config{Retention: RetentionConfig{Time: model.Duration(time.Hour)}, OTLP: OTLPConfig{PromoteResourceAttributes: []string{".*"}}}.Validate()
	for _, want := range []string{
		"retention.time: must be at least 2h", `durability: want "write" or "fsync", got ""`, "sync_interval: must be positive",
		"start_timestamps: want", "tenants.max_open: must be positive", "otlp.translation_strategy:", "otlp.promote_resource_attributes[0]:",
		"remote_write.max_request_size: must be positive",
	} {
		require.ErrorContains(t, err, want)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		path, _, ok := strings.Cut(line, ": ")
		require.True(t, ok, line)
		require.NotContains(t, path, " ", line)
	}
}

func TestRetentionSelectors(t *testing.T) {
	c := DefaultConfig()
	day := model.Duration(24 * time.Hour)
	c.Retention.Selectors = []SelectorRetention{{Match: `{job="edge"}`, Time: 7 * day}, {Match: `up{env=~"dev|test"}`, Time: 90 * day}}
	require.NoError(t, c.Validate())
	require.Equal(t, 90*24*time.Hour, c.Retention.Longest())
	c.Retention.Selectors[0].Time = 0
	require.Zero(t, c.Retention.Longest(), "some are kept forever")

	c.Retention.Selectors = append(c.Retention.Selectors, SelectorRetention{Match: `{`, Time: model.Duration(time.Hour)})
	c.ColdBlocks.Enabled = false
	err := c.Validate()
	for _, want := range []string{"retention.selectors[2].match:", "retention.selectors[2].time: must be at least 2h", "retention.selectors: need cold_blocks.enabled"} {
		require.ErrorContains(t, err, want)
	}
}

func TestRejected(t *testing.T) {
	for err, want := range map[error]Reason{
		fmt.Errorf("x: %w", storage.ErrOutOfOrderSample):             OutOfOrder,
		fmt.Errorf("x: %w", storage.ErrTooOldSample):                 TooOld,
		fmt.Errorf("x: %w", storage.ErrOutOfBounds):                  TooOld,
		fmt.Errorf("x: %w", storage.ErrDuplicateSampleForTimestamp):  Duplicate,
		fmt.Errorf("x: %w", histogram.ErrHistogramCountMismatch):     InvalidHistogram,
		fmt.Errorf("x: %w", Rejectf(SeriesLimit, "%d is enough", 3)): SeriesLimit,
	} {
		got, ok := Rejected(err)
		require.True(t, ok, err.Error())
		require.Equal(t, want, got, err.Error())
	}
	for _, err := range []error{nil, errors.New("disk on fire"), storage.ErrNotFound} {
		_, ok := Rejected(err)
		require.False(t, ok)
	}
}

func TestTally(t *testing.T) {
	var tally Tally
	require.Empty(t, tally.String())
	require.Zero(t, tally.Total())
	tally.Add(TooOld, 1, errors.New("from 1970"))
	tally.Add(OutOfOrder, 3, errors.New("first"))
	tally.Add(OutOfOrder, 2, errors.New("second"))
	require.Equal(t, "5 out_of_order (first), 1 too_old (from 1970)", tally.String())
	tally.Add(Duplicate, 1, nil)
	tally.Add(SeriesLimit, 1, nil)
	require.Equal(t, "5 out_of_order (first), 1 duplicate_timestamp, 1 series_limit and 1 more reasons", tally.String())
	require.Equal(t, 8, tally.Total())
	require.Equal(t, 5, tally.Count(OutOfOrder))
}
