package collector

import (
	"context"
	"strings"

	"go.opentelemetry.io/collector/confmap"

	"belfry/internal/httpserver"
)

// Exposure is an address that other machines can reach without a certificate or
// a credential being asked of them.
type Exposure struct {
	Path    string // dotted path of the address in the configuration
	Address string
}

// Exposed returns the exposures that a user's configuration asks for: of the
// receivers that a pipeline uses, the addresses that are not loopback and have
// neither tls nor auth beside them.
func Exposed(ctx context.Context, config map[string]any) ([]Exposure, error) {
	conf, err := merge(ctx, config)
	if err != nil {
		return nil, err
	}
	receivers, err := conf.Sub("receivers")
	if err != nil {
		return nil, err
	}
	used, err := usedReceivers(conf)
	if err != nil {
		return nil, err
	}
	var out []Exposure
	all := receivers.ToStringMap()
	for _, id := range sortedKeys(all) {
		if used[id] {
			if section, ok := all[id].(map[string]any); ok {
				out = append(out, exposedIn("receivers."+id, section)...)
			}
		}
	}
	return out, nil
}

func usedReceivers(conf *confmap.Conf) (map[string]bool, error) {
	pipelines, err := conf.Sub("service::pipelines")
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, value := range pipelines.ToStringMap() {
		p, _ := value.(map[string]any)
		receivers, _ := p["receivers"].([]any)
		for _, id := range receivers {
			if name, ok := id.(string); ok {
				used[name] = true
			}
		}
	}
	return used, nil
}

// exposedIn looks for addresses under the two names that receivers give to what
// they listen on.
func exposedIn(path string, section map[string]any) []Exposure {
	if section["tls"] != nil || section["auth"] != nil || section["enabled"] == false {
		return nil
	}
	var out []Exposure
	for _, key := range sortedKeys(section) {
		switch value := section[key].(type) {
		case map[string]any:
			out = append(out, exposedIn(path+"."+key, value)...)
		case string:
			listens := key == "endpoint" || key == "listen_address"
			if listens && !strings.Contains(value, "/") && !httpserver.Loopback(value) {
				out = append(out, Exposure{Path: path + "." + key, Address: value})
			}
		}
	}
	return out
}
