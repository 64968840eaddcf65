package collector

import (
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/filelogreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/syslogreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/receiver"

	"belfry/internal/tenant"
)

// keepTenants makes batches keep tenants apart by default. Without it one
// tenant's records would travel in another's batch, since only listed metadata
// survives batching.
func keepTenants(cfg component.Config) {
	if c, ok := cfg.(*batchprocessor.Config); ok {
		c.MetadataKeys = []string{tenant.Header}
	}
}

// retryForever makes receivers that read files or sockets wait, by default,
// until the store takes their lines again. There is no sender to send them once
// more, so a full disk would otherwise lose them.
func retryForever(cfg component.Config) {
	switch c := cfg.(type) {
	case *filelogreceiver.FileLogConfig:
		c.RetryOnFailure.Enabled = true
		c.RetryOnFailure.MaxElapsedTime = 0
	case *syslogreceiver.SysLogConfig:
		c.RetryOnFailure.Enabled = true
		c.RetryOnFailure.MaxElapsedTime = 0
	}
}

// otherReceiver is a receiver's factory with other defaults.
type otherReceiver struct {
	receiver.Factory

	change func(component.Config)
}

// CreateDefaultConfig implements component.Factory.
func (f otherReceiver) CreateDefaultConfig() component.Config {
	cfg := f.Factory.CreateDefaultConfig()
	f.change(cfg)
	return cfg
}

// DeprecatedAlias returns the older name that the receiver also goes by.
func (f otherReceiver) DeprecatedAlias() component.Type { return aliasOf(f.Factory) }

// otherProcessor is a processor's factory with other defaults.
type otherProcessor struct {
	processor.Factory

	change func(component.Config)
}

// CreateDefaultConfig implements component.Factory.
func (f otherProcessor) CreateDefaultConfig() component.Config {
	cfg := f.Factory.CreateDefaultConfig()
	f.change(cfg)
	return cfg
}
