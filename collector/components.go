package collector

import (
	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/spanmetricsconnector"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/attributesprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/filterprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/probabilisticsamplerprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/resourceprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/tailsamplingprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/filelogreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/fluentforwardreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/hostmetricsreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/jaegerreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/statsdreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/syslogreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"

	"belfry/collector/exporter/storeexporter"
	"belfry/collector/receiver/carbonreceiver"
	"belfry/collector/receiver/localreceiver"
	"belfry/collector/receiver/otlpreceiver"
)

// factories is the bill of materials: every component that a configuration may
// name.
type factories struct {
	receivers  map[component.Type]receiver.Factory
	processors map[component.Type]processor.Factory
	connectors map[component.Type]connector.Factory
	exporters  map[component.Type]exporter.Factory
	extensions map[component.Type]extension.Factory
}

// doors are the components that are Belfry's own and need something of it.
type doors struct {
	otlp  otlpreceiver.Options
	local localreceiver.Options
	store storeexporter.Options
}

func newFactories(d doors) factories {
	return factories{
		receivers: byType[receiver.Factory](
			otlpreceiver.NewFactory(d.otlp),
			localreceiver.NewFactory(d.local),
			carbonreceiver.NewFactory(),
			otherReceiver{filelogreceiver.NewFactory(), retryForever},
			fluentforwardreceiver.NewFactory(),
			hostmetricsreceiver.NewFactory(),
			jaegerreceiver.NewFactory(),
			statsdreceiver.NewFactory(),
			otherReceiver{syslogreceiver.NewFactory(), retryForever},
			zipkinreceiver.NewFactory(),
		),
		processors: byType[processor.Factory](
			attributesprocessor.NewFactory(),
			otherProcessor{batchprocessor.NewFactory(), keepTenants},
			filterprocessor.NewFactory(),
			memorylimiterprocessor.NewFactory(),
			probabilisticsamplerprocessor.NewFactory(),
			resourceprocessor.NewFactory(),
			tailsamplingprocessor.NewFactory(),
			transformprocessor.NewFactory(),
		),
		connectors: byType[connector.Factory](
			spanmetricsconnector.NewFactory(),
		),
		exporters: byType[exporter.Factory](
			storeexporter.NewFactory(d.store),
			debugexporter.NewFactory(),
			otlpexporter.NewFactory(),
			otlphttpexporter.NewFactory(),
		),
		extensions: byType[extension.Factory](
			filestorage.NewFactory(),
		),
	}
}

// detached are the components that answer their caller before what they pass on
// has reached an exporter.
func detached(t component.Type) bool {
	switch t.String() {
	case "batch", "tail_sampling", "span_metrics", "spanmetrics":
		return true
	}
	return false
}

// aliasOf returns the older name that a component also goes by, or none.
func aliasOf(f component.Factory) component.Type {
	if a, ok := f.(interface{ DeprecatedAlias() component.Type }); ok {
		return a.DeprecatedAlias()
	}
	return component.Type{}
}

func byType[F component.Factory](list ...F) map[component.Type]F {
	m := make(map[component.Type]F, len(list))
	for _, f := range list {
		m[f.Type()] = f
		if alias := aliasOf(f); alias != (component.Type{}) {
			m[alias] = f
		}
	}
	return m
}
