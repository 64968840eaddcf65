package collector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/collector/service"
	"go.opentelemetry.io/collector/service/telemetry"
	"go.yaml.in/yaml/v3"
)

// resolved is a configuration whose components are decoded.
type resolved struct {
	merged     map[string]any // what it was decoded from
	receivers  map[component.ID]component.Config
	processors map[component.ID]component.Config
	connectors map[component.ID]component.Config
	exporters  map[component.ID]component.Config
	extensions map[component.ID]component.Config
	service    service.Config
}

// resolve merges a user's configuration over the defaults, expands references,
// completes the pipelines and decodes everything. The error joins all faults,
// each behind the dotted path of what it is about.
func resolve(ctx context.Context, user map[string]any, f factories, t telemetry.Factory) (*resolved, error) {
	conf, err := merge(ctx, user)
	if err != nil {
		return nil, err
	}
	if err := completePipelines(conf); err != nil {
		return nil, err
	}
	d := decoder{conf: conf}
	d.checkSections()
	r := &resolved{
		merged:     conf.ToStringMap(),
		receivers:  decodeComponents(&d, "receivers", f.receivers),
		processors: decodeComponents(&d, "processors", f.processors),
		connectors: decodeComponents(&d, "connectors", f.connectors),
		exporters:  decodeComponents(&d, "exporters", f.exporters),
		extensions: decodeComponents(&d, "extensions", f.extensions),
		service:    service.Config{Telemetry: t.CreateDefaultConfig()},
	}
	if sub, err := conf.Sub("service"); err != nil {
		d.fault("service", err)
	} else if err := sub.Unmarshal(&r.service); err != nil {
		d.fault("service", err)
	} else {
		d.check("service", r.service)
		d.checkReferences(r)
	}
	return r, errors.Join(d.faults...)
}

// merge returns the user's configuration over the defaults, with all references
// expanded.
func merge(ctx context.Context, user map[string]any) (*confmap.Conf, error) {
	var defaults map[string]any
	if err := yaml.Unmarshal([]byte(Defaults), &defaults); err != nil {
		return nil, fmt.Errorf("defaults: %w", err)
	}
	layers := map[string]map[string]any{"defaults": defaults, "user": withoutEmpty(user, defaults)}
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: []string{layerScheme + ":defaults", layerScheme + ":user"},
		ProviderFactories: []confmap.ProviderFactory{
			confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider { return layerProvider(layers) }),
			envprovider.NewFactory(),
			fileprovider.NewFactory(),
			yamlprovider.NewFactory(),
		},
		DefaultScheme: "env",
	})
	if err != nil {
		return nil, err
	}
	conf, err := resolver.Resolve(ctx)
	return conf, errors.Join(err, resolver.Shutdown(ctx))
}

// withoutEmpty returns the user's configuration without the keys that are
// written but empty where the defaults have a map: "receivers:" alone is no wish
// to have none.
func withoutEmpty(user, defaults map[string]any) map[string]any {
	out := maps.Clone(user)
	for key, value := range user {
		below, isMap := defaults[key].(map[string]any)
		if !isMap {
			continue
		}
		switch v := value.(type) {
		case nil:
			delete(out, key)
		case map[string]any:
			out[key] = withoutEmpty(v, below)
		}
	}
	return out
}

const layerScheme = "belfry"

// layerProvider provides the layers of a configuration by name.
type layerProvider map[string]map[string]any

func (p layerProvider) Retrieve(_ context.Context, uri string, _ confmap.WatcherFunc) (*confmap.Retrieved, error) {
	layer, ok := p[strings.TrimPrefix(uri, layerScheme+":")]
	if !ok {
		return nil, fmt.Errorf("unknown reference %q", uri)
	}
	return confmap.NewRetrieved(layer)
}

func (layerProvider) Scheme() string { return layerScheme }

func (layerProvider) Shutdown(context.Context) error { return nil }

// completePipelines adds what the package comment says is added.
func completePipelines(conf *confmap.Conf) error {
	section, err := conf.Sub("service::pipelines")
	if err != nil {
		return fmt.Errorf("service.pipelines: %w", err)
	}
	pipelines := section.ToStringMap()
	added := map[string]any{}
	set := func(id, key string, value []any) {
		p, _ := added[id].(map[string]any)
		if p == nil {
			p = map[string]any{}
			added[id] = p
		}
		p[key] = value
	}
	entered := map[string]bool{}
	for id, value := range pipelines {
		p, _ := value.(map[string]any)
		if _, ok := p["exporters"]; !ok {
			set(id, "exporters", []any{"belfry"})
		}
		if _, ok := p["processors"]; !ok {
			set(id, "processors", []any{"memory_limiter"})
		}
		signal, _, _ := strings.Cut(id, "/")
		receivers, _ := p["receivers"].([]any)
		entered[signal] = entered[signal] || slices.Contains(receivers, any("belfry"))
	}
	for _, signal := range []pipeline.Signal{pipeline.SignalLogs, pipeline.SignalTraces, pipeline.SignalMetrics} {
		id := signal.String()
		p, ok := pipelines[id].(map[string]any)
		if !ok || entered[id] {
			continue
		}
		if receivers, ok := p["receivers"].([]any); ok {
			set(id, "receivers", append(slices.Clone(receivers), "belfry"))
		}
	}
	return conf.Merge(confmap.NewFromStringMap(map[string]any{"service": map[string]any{"pipelines": added}}))
}
