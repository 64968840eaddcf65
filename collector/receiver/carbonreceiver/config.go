package carbonreceiver

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Config is what a user says about a receiver.
type Config struct {
	Endpoint  string `mapstructure:"endpoint"`  // host:port
	Transport string `mapstructure:"transport"` // tcp or udp

	// IdleTimeout closes a TCP connection that has sent nothing for so long.
	IdleTimeout time.Duration `mapstructure:"tcp_idle_timeout"`
	// MaxConnections are served at the same time; more are closed.
	MaxConnections int `mapstructure:"max_connections"`
}

func defaultConfig() *Config {
	return &Config{Endpoint: "localhost:2003", Transport: "tcp", IdleTimeout: 30 * time.Second, MaxConnections: 1000}
}

// Validate reports what is wrong with the configuration.
func (c *Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Endpoint); err != nil {
		errs = append(errs, fmt.Errorf("endpoint: %q is not host:port", c.Endpoint))
	}
	if c.Transport != "tcp" && c.Transport != "udp" {
		errs = append(errs, fmt.Errorf("transport: %q is neither tcp nor udp", c.Transport))
	}
	if c.IdleTimeout <= 0 {
		errs = append(errs, errors.New("tcp_idle_timeout: must be positive"))
	}
	if c.MaxConnections <= 0 {
		errs = append(errs, errors.New("max_connections: must be positive"))
	}
	return errors.Join(errs...)
}
