package httpserver

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/common/model"

	"belfry/internal/config"
)

// Config is what a user says about a listener.
type Config struct {
	Address        string          `yaml:"address"`          // host:port; port 0 picks a free one
	MaxRequestSize config.ByteSize `yaml:"max_request_size"` // of a body, compressed or not
	ReadTimeout    model.Duration  `yaml:"read_timeout"`     // for a whole request
	TLS            TLSConfig       `yaml:"tls"`
}

// TLSConfig names the files of a certificate and its key, both PEM.
type TLSConfig struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// Enabled reports whether TLS is asked for.
func (c TLSConfig) Enabled() bool { return c.CertFile != "" || c.KeyFile != "" }

// DefaultConfig returns the configuration of the main listener.
func DefaultConfig() Config {
	return Config{
		Address:        "127.0.0.1:4321",
		MaxRequestSize: 32 << 20,
		ReadTimeout:    model.Duration(time.Minute),
	}
}

// Validate reports what is wrong with the configuration.
func (c *Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		errs = append(errs, fmt.Errorf("address: %q is not host:port", c.Address))
	}
	if c.MaxRequestSize == 0 {
		errs = append(errs, errors.New("max_request_size: must be positive"))
	}
	if c.ReadTimeout <= 0 {
		errs = append(errs, errors.New("read_timeout: must be positive"))
	}
	if c.TLS.Enabled() && (c.TLS.CertFile == "" || c.TLS.KeyFile == "") {
		errs = append(errs, errors.New("tls: needs both cert_file and key_file"))
	}
	return errors.Join(errs...)
}

// Loopback reports whether an address can be reached from this machine only.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
