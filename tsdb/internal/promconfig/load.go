package promconfig

import (
	"log/slog"

	"github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
)

// Load reads top-level sections as Prometheus does, with its defaults and checks.
// Relative paths in them are below dir, or left as they are if it is empty.
func Load(sections map[string]any, dir string) (*config.Config, error) {
	text, err := yaml.Marshal(sections)
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(string(text), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if dir != "" {
		cfg.SetDirectory(dir)
	}
	return cfg, nil
}
