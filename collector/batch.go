package collector

import (
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"

	"belfry/internal/tenant"
)

// keepTenant returns the batch processor with another default: batches are kept
// apart by tenant. Without it one tenant's records would travel in another's
// batch, since only listed metadata survives batching.
func keepTenant(batch processor.Factory) processor.Factory {
	return processor.NewFactory(
		batch.Type(),
		func() component.Config {
			cfg := batch.CreateDefaultConfig()
			if c, ok := cfg.(*batchprocessor.Config); ok {
				c.MetadataKeys = []string{tenant.Header}
			}
			return cfg
		},
		processor.WithTraces(batch.CreateTraces, batch.TracesStability()),
		processor.WithMetrics(batch.CreateMetrics, batch.MetricsStability()),
		processor.WithLogs(batch.CreateLogs, batch.LogsStability()),
	)
}
