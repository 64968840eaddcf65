package tsdb

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"belfry/internal/config"
)

// Durability says what an acknowledged append has survived.
type Durability string

// The durabilities. Both survive kill -9.
const (
	// Written: the kernel holds the data; it is on disk after SyncInterval.
	Written Durability = "write"
	// Fsync: the data is on disk.
	Fsync Durability = "fsync"
)

// StartTimestamps says what becomes of start times.
type StartTimestamps string

// What becomes of start times.
const (
	// Ignore drops them: increase() misses a counter's first value.
	Ignore StartTimestamps = "ignore"
	// ZeroSamples stores a zero at the start time.
	ZeroSamples StartTimestamps = "zero_samples"
	// Stored keeps them beside the samples, and queries use them. The blocks
	// need Prometheus 3.14 or newer to be read.
	Stored StartTimestamps = "stored"
)

// TranslationStrategy says how OTLP names become Prometheus names. The names
// and their meaning are those of Prometheus' otlp.translation_strategy.
type TranslationStrategy string

// The strategies.
const (
	UnderscoreEscapingWithSuffixes    TranslationStrategy = "UnderscoreEscapingWithSuffixes"
	UnderscoreEscapingWithoutSuffixes TranslationStrategy = "UnderscoreEscapingWithoutSuffixes"
	NoUTF8EscapingWithSuffixes        TranslationStrategy = "NoUTF8EscapingWithSuffixes"
	NoTranslation                     TranslationStrategy = "NoTranslation"
)

// Config is the "metrics" section of the configuration.
type Config struct {
	Retention  RetentionConfig  `yaml:"retention"`
	ColdBlocks ColdBlocksConfig `yaml:"cold_blocks"`

	// OutOfOrderWindow is how far behind a series' newest sample another
	// sample may be. Zero refuses everything out of order.
	OutOfOrderWindow model.Duration `yaml:"out_of_order_window"`

	Durability Durability `yaml:"durability"`

	// SyncInterval is how long an acknowledged append may be in the kernel
	// only. It is not used with durability fsync.
	SyncInterval model.Duration `yaml:"sync_interval"`

	// MinFreeDisk is the free space on the data volume below which appends
	// are refused (and may be repeated), so that compaction can still run.
	MinFreeDisk config.ByteSize `yaml:"min_free_disk"`

	// StartTimestamps says what becomes of the start times of counters and
	// histograms. Prometheus ignores them.
	StartTimestamps StartTimestamps `yaml:"start_timestamps"`

	// AdminAPI offers /api/v1/admin/tsdb: deleting series and snapshots. Off, as
	// in Prometheus, because whoever reaches the API can then delete.
	AdminAPI bool `yaml:"admin_api"`

	Limits      LimitsConfig      `yaml:"limits"`
	Tenants     TenantsConfig     `yaml:"tenants"`
	Query       QueryConfig       `yaml:"query"`
	OTLP        OTLPConfig        `yaml:"otlp"`
	RemoteWrite RemoteWriteConfig `yaml:"remote_write"`
	RemoteRead  RemoteReadConfig  `yaml:"remote_read"`
}

// RetentionConfig bounds what each tenant keeps; what is reached first counts.
type RetentionConfig struct {
	Time model.Duration  `yaml:"time"` // age of the oldest block; zero keeps forever
	Size config.ByteSize `yaml:"size"` // bytes of blocks, WAL and head chunks; zero is unbounded

	// Selectors keep some series for another time than Time, shorter or longer;
	// of several that match a series the first counts. They are applied when
	// blocks are rewritten, so that they cost queries nothing, and need cold
	// blocks.
	Selectors []SelectorRetention `yaml:"selectors"`
}

// SelectorRetention is how long the series are kept that a selector matches.
type SelectorRetention struct {
	Match string         `yaml:"match"` // as in PromQL: {job="edge"}
	Time  model.Duration `yaml:"time"`  // zero keeps forever
}

// Matchers returns the matchers of the selector.
func (s SelectorRetention) Matchers() ([]*labels.Matcher, error) {
	return parser.NewParser(parser.Options{}).ParseMetricSelector(s.Match)
}

// Longest returns the longest time that any series is kept, zero if some are
// kept forever.
func (r RetentionConfig) Longest() time.Duration {
	longest := r.Time
	for _, s := range r.Selectors {
		if s.Time == 0 || longest == 0 {
			return 0
		}
		longest = max(longest, s.Time)
	}
	return time.Duration(longest)
}

// ColdBlocksConfig is about rewriting finished blocks into column files, which
// take a fraction of the disk and answer faster.
type ColdBlocksConfig struct {
	// Enabled rewrites blocks. Cold blocks that exist are read either way.
	Enabled bool `yaml:"enabled"`

	// KeepPrometheusBlocks keeps the two-hour blocks beside the cold ones until
	// retention removes them, for Thanos to upload.
	KeepPrometheusBlocks bool `yaml:"keep_prometheus_blocks"`
}

// LimitsConfig bounds what one tenant may write.
type LimitsConfig struct {
	MaxSeries           int            `yaml:"max_series"`             // active series; zero is unbounded
	MaxSeriesPerMetric  int            `yaml:"max_series_per_metric"`  // active series of one metric; zero is unbounded
	MaxValuesPerLabel   int            `yaml:"max_values_per_label"`   // of all active series; zero is unbounded; from zero it changes when a tenant is next opened
	MaxLabelsPerSeries  int            `yaml:"max_labels_per_series"`  // including __name__
	MaxLabelNameLength  int            `yaml:"max_label_name_length"`  // bytes
	MaxLabelValueLength int            `yaml:"max_label_value_length"` // bytes
	MaxAhead            model.Duration `yaml:"max_ahead"`              // how far in the future a timestamp may be
	MaxExemplars        int            `yaml:"max_exemplars"`          // newest exemplars in memory; zero turns them off
	MaxMetadata         int            `yaml:"max_metadata"`           // metric families with type, help and unit
}

// TenantsConfig bounds the number of tenants.
type TenantsConfig struct {
	Max         int            `yaml:"max"`          // tenants with data on disk
	MaxOpen     int            `yaml:"max_open"`     // tenants in memory at a time
	IdleTimeout model.Duration `yaml:"idle_timeout"` // a tenant not used for so long leaves memory
}

// QueryConfig bounds one query, and all of them.
type QueryConfig struct {
	Timeout        model.Duration `yaml:"timeout"`
	MaxSamples     int            `yaml:"max_samples"`     // samples that one query may hold in memory
	MaxConcurrency int            `yaml:"max_concurrency"` // queries that run at a time; others wait
	LookbackDelta  model.Duration `yaml:"lookback_delta"`  // how old a sample an instant may see

	// ResultCache is how much memory the results of range queries may take, so
	// that a refreshed dashboard computes only what is new. Zero keeps none.
	ResultCache config.ByteSize `yaml:"result_cache"`

	// TailCache is how much memory the newest samples of series that are asked
	// for again and again may take, so that the steps that are new are computed
	// without reading them. Zero keeps none.
	TailCache config.ByteSize `yaml:"tail_cache"`
}

// OTLPConfig says how OTLP metrics become series.
type OTLPConfig struct {
	TranslationStrategy TranslationStrategy `yaml:"translation_strategy"`

	// PromoteResourceAttributes are the resource attributes that become
	// labels of every series. An entry that ends in ".*" stands for the
	// whole namespace.
	PromoteResourceAttributes []string `yaml:"promote_resource_attributes"`

	// KeepIdentifyingResourceAttributes leaves service.name,
	// service.namespace and service.instance.id on target_info.
	KeepIdentifyingResourceAttributes bool `yaml:"keep_identifying_resource_attributes"`

	// ConvertHistogramsToNHCB stores explicit-bucket histograms as native
	// histograms with custom buckets.
	ConvertHistogramsToNHCB bool `yaml:"convert_histograms_to_nhcb"`

	// PromoteScopeMetadata adds otel_scope_* labels.
	PromoteScopeMetadata bool `yaml:"promote_scope_metadata"`

	Delta DeltaConfig `yaml:"delta"`
}

// DeltaConfig bounds the conversion of delta to cumulative temporality.
type DeltaConfig struct {
	MaxStale   model.Duration `yaml:"max_stale"`   // a stream not seen for so long starts at zero again
	MaxStreams int            `yaml:"max_streams"` // per tenant; points of further streams are rejected
}

// RemoteWriteConfig bounds remote write requests.
type RemoteWriteConfig struct {
	MaxRequestSize config.ByteSize `yaml:"max_request_size"` // compressed and, times 8, decompressed
	MaxConcurrency int             `yaml:"max_concurrency"`  // requests decoded at a time; others wait
}

// RemoteReadConfig bounds remote read requests.
type RemoteReadConfig struct {
	MaxSamples     int             `yaml:"max_samples"` // of a response that is not streamed
	MaxConcurrency int             `yaml:"max_concurrency"`
	MaxFrameSize   config.ByteSize `yaml:"max_frame_size"`
}

// DefaultConfig returns the configuration that holds where a user says nothing.
func DefaultConfig() Config {
	return Config{
		Retention:        RetentionConfig{Time: model.Duration(30 * 24 * time.Hour)},
		ColdBlocks:       ColdBlocksConfig{Enabled: true},
		OutOfOrderWindow: model.Duration(30 * time.Minute),
		Durability:       Written,
		SyncInterval:     model.Duration(time.Second),
		MinFreeDisk:      256 << 20,
		StartTimestamps:  Ignore,
		Limits: LimitsConfig{
			MaxSeries:           2_000_000,
			MaxLabelsPerSeries:  128,
			MaxLabelNameLength:  1024,
			MaxLabelValueLength: 16 << 10,
			MaxAhead:            model.Duration(10 * time.Minute),
			MaxExemplars:        20_000,
			MaxMetadata:         20_000,
		},
		Tenants: TenantsConfig{
			Max:         1000,
			MaxOpen:     64,
			IdleTimeout: model.Duration(3 * time.Hour),
		},
		Query: QueryConfig{
			Timeout:        model.Duration(2 * time.Minute),
			MaxSamples:     50_000_000,
			MaxConcurrency: 20,
			LookbackDelta:  model.Duration(5 * time.Minute),
			ResultCache:    64 << 20,
			TailCache:      64 << 20,
		},
		OTLP: OTLPConfig{
			TranslationStrategy:       UnderscoreEscapingWithSuffixes,
			PromoteResourceAttributes: []string{"service.*", "k8s.*", "host.name", "deployment.environment", "deployment.environment.name", "cloud.*"},
			Delta:                     DeltaConfig{MaxStale: model.Duration(time.Hour), MaxStreams: 200_000},
		},
		RemoteWrite: RemoteWriteConfig{MaxRequestSize: 16 << 20, MaxConcurrency: 32},
		RemoteRead:  RemoteReadConfig{MaxSamples: 5_000_000, MaxConcurrency: 10, MaxFrameSize: 1 << 20},
	}
}

// Validate returns every fault of the configuration, each with its path.
func (c Config) Validate() error {
	var errs []error
	positive := func(path string, n int64) {
		if n <= 0 {
			errs = append(errs, fmt.Errorf("%s: must be positive", path))
		}
	}
	notNegative := func(path string, n int64) {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative", path))
		}
	}
	notNegative("retention.time", int64(c.Retention.Time))
	if c.Retention.Time > 0 && c.Retention.Time < model.Duration(2*time.Hour) {
		errs = append(errs, errors.New("retention.time: must be at least 2h, the span of a block"))
	}
	errs = append(errs, c.validateSelectors()...)
	notNegative("out_of_order_window", int64(c.OutOfOrderWindow))
	switch c.Durability {
	case Written, Fsync:
	default:
		errs = append(errs, fmt.Errorf("durability: want %q or %q, got %q", Written, Fsync, c.Durability))
	}
	switch c.StartTimestamps {
	case Ignore, ZeroSamples, Stored:
	default:
		errs = append(errs, fmt.Errorf("start_timestamps: want %q, %q or %q, got %q", Ignore, ZeroSamples, Stored, c.StartTimestamps))
	}
	positive("sync_interval", int64(c.SyncInterval))
	notNegative("limits.max_series", int64(c.Limits.MaxSeries))
	notNegative("limits.max_series_per_metric", int64(c.Limits.MaxSeriesPerMetric))
	notNegative("limits.max_values_per_label", int64(c.Limits.MaxValuesPerLabel))
	positive("limits.max_labels_per_series", int64(c.Limits.MaxLabelsPerSeries))
	positive("limits.max_label_name_length", int64(c.Limits.MaxLabelNameLength))
	positive("limits.max_label_value_length", int64(c.Limits.MaxLabelValueLength))
	positive("limits.max_ahead", int64(c.Limits.MaxAhead))
	notNegative("limits.max_exemplars", int64(c.Limits.MaxExemplars))
	notNegative("limits.max_metadata", int64(c.Limits.MaxMetadata))
	positive("tenants.max", int64(c.Tenants.Max))
	positive("tenants.max_open", int64(c.Tenants.MaxOpen))
	positive("tenants.idle_timeout", int64(c.Tenants.IdleTimeout))
	positive("query.timeout", int64(c.Query.Timeout))
	positive("query.max_samples", int64(c.Query.MaxSamples))
	positive("query.max_concurrency", int64(c.Query.MaxConcurrency))
	positive("query.lookback_delta", int64(c.Query.LookbackDelta))
	notNegative("query.result_cache", int64(c.Query.ResultCache))
	notNegative("query.tail_cache", int64(c.Query.TailCache))
	switch c.OTLP.TranslationStrategy {
	case UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, NoUTF8EscapingWithSuffixes, NoTranslation:
	default:
		errs = append(errs, fmt.Errorf("otlp.translation_strategy: %q is not one of %s, %s, %s, %s", c.OTLP.TranslationStrategy,
			UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, NoUTF8EscapingWithSuffixes, NoTranslation))
	}
	for i, a := range c.OTLP.PromoteResourceAttributes {
		if a == "" || a == ".*" {
			errs = append(errs, fmt.Errorf("otlp.promote_resource_attributes[%d]: must name an attribute or a namespace", i))
		}
	}
	positive("otlp.delta.max_stale", int64(c.OTLP.Delta.MaxStale))
	positive("otlp.delta.max_streams", int64(c.OTLP.Delta.MaxStreams))
	positive("remote_write.max_request_size", int64(c.RemoteWrite.MaxRequestSize))
	positive("remote_write.max_concurrency", int64(c.RemoteWrite.MaxConcurrency))
	positive("remote_read.max_samples", int64(c.RemoteRead.MaxSamples))
	positive("remote_read.max_concurrency", int64(c.RemoteRead.MaxConcurrency))
	positive("remote_read.max_frame_size", int64(c.RemoteRead.MaxFrameSize))
	return errors.Join(errs...)
}

func (c Config) validateSelectors() (errs []error) {
	for i, s := range c.Retention.Selectors {
		path := fmt.Sprintf("retention.selectors[%d]", i)
		if _, err := s.Matchers(); err != nil {
			errs = append(errs, fmt.Errorf("%s.match: %w", path, err))
		}
		if s.Time != 0 && s.Time < model.Duration(2*time.Hour) {
			errs = append(errs, fmt.Errorf("%s.time: must be at least 2h, the span of a block", path))
		}
	}
	if len(c.Retention.Selectors) > 0 && !c.ColdBlocks.Enabled {
		errs = append(errs, errors.New("retention.selectors: need cold_blocks.enabled"))
	}
	return errs
}
