package sender

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"

	"belfry/internal/tenant"
	"belfry/tsdb/internal/promconfig"
)

// Config says what is sent where. Global and RemoteWrite are the sections "global",
// of which external_labels count, and "remote_write" of a Prometheus
// configuration, word for word.
type Config struct {
	Tenant      string // whose metrics are sent
	Global      yaml.Node
	RemoteWrite yaml.Node
}

// Validate returns every fault of the configuration, each with its path.
func (c Config) Validate() error {
	var errs []error
	if err := tenant.Validate(c.Tenant); err != nil {
		errs = append(errs, fmt.Errorf("tenant: %w", err))
	}
	if _, err := c.load(""); err != nil {
		errs = append(errs, fmt.Errorf("remote_write: %w", err))
	}
	return errors.Join(errs...)
}

// load reads the configuration as Prometheus does. Relative paths in it are
// below dir.
func (c Config) load(dir string) (*config.Config, error) {
	doc := map[string]any{}
	if !c.RemoteWrite.IsZero() {
		doc["remote_write"] = &c.RemoteWrite
		if !c.Global.IsZero() {
			doc["global"] = &c.Global
		}
	}
	return promconfig.Load(doc, dir)
}
