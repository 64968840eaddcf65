package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Options is what the command line says.
type Options struct {
	ConfigFile string // empty: DefaultConfigFile, if it exists
	DataDir    string // empty: the configuration's
	Listen     string // empty: the configuration's
	Insecure   bool   // allow addresses beyond loopback without TLS

	Version   string
	Revision  string
	LogOutput io.Writer
}

// DefaultConfigFile is read from the working directory where no file is named.
const DefaultConfigFile = "belfry.yaml"

// load reads the configuration that the options name and lays the flags over it.
// With an error that is about what the file says, the configuration is returned
// as far as it could be read.
func (o Options) load() (*Config, error) {
	name := o.ConfigFile
	if name == "" {
		name = DefaultConfigFile
	}
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && o.ConfigFile == "" {
		data, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	cfg, err := ParseConfig(name, data)
	if o.DataDir != "" {
		cfg.DataDir = o.DataDir
	}
	if o.Listen != "" {
		cfg.Server.Address = o.Listen
	}
	return cfg, err
}
