package otlpreceiver

import (
	"encoding"
	"errors"
	"fmt"
	"net/url"
	"path"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"belfry/collector/internal/ingest"
)

// URLPath is an absolute path; a missing slash in front is added.
type URLPath string

var _ encoding.TextUnmarshaler = (*URLPath)(nil)

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *URLPath) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil {
		return fmt.Errorf("invalid URL path: %w", err)
	}
	if !path.IsAbs(u.Path) {
		u.Path = "/" + u.Path
	}
	*p = URLPath(u.Path)
	return nil
}

// HTTPConfig configures OTLP over HTTP.
type HTTPConfig struct {
	ServerConfig confighttp.ServerConfig `mapstructure:",squash"`

	TracesURLPath  URLPath `mapstructure:"traces_url_path,omitempty"`
	MetricsURLPath URLPath `mapstructure:"metrics_url_path,omitempty"`
	LogsURLPath    URLPath `mapstructure:"logs_url_path,omitempty"`
}

func (c *HTTPConfig) path(signal ingest.Signal) string {
	switch signal {
	case ingest.Logs:
		return string(c.LogsURLPath)
	case ingest.Traces:
		return string(c.TracesURLPath)
	}
	return string(c.MetricsURLPath)
}

// Protocols are the servers that the receiver runs; one that is not mentioned
// does not run.
type Protocols struct {
	GRPC configoptional.Optional[configgrpc.ServerConfig] `mapstructure:"grpc"`
	HTTP configoptional.Optional[HTTPConfig]              `mapstructure:"http"`
}

// Config configures the receiver.
type Config struct {
	Protocols Protocols `mapstructure:"protocols"`
}

// Validate reports what is wrong with the configuration.
func (c *Config) Validate() error {
	if !c.Protocols.GRPC.HasValue() && !c.Protocols.HTTP.HasValue() {
		return errors.New("protocols: at least one of grpc and http is needed")
	}
	return nil
}

// defaultConfig returns the defaults of both protocols. maxRequestSize is in
// bytes.
func defaultConfig(maxRequestSize int64) component.Config {
	grpc := configgrpc.NewDefaultServerConfig()
	grpc.NetAddr.Endpoint = "127.0.0.1:4317"
	grpc.ReadBufferSize = 64 << 10
	grpc.MaxConcurrentStreams = 256
	grpc.MaxRecvMsgSizeMiB = int(max(1, maxRequestSize>>20))

	http := confighttp.NewDefaultServerConfig()
	http.NetAddr.Endpoint = "127.0.0.1:4318"
	http.TLS = configoptional.None[configtls.ServerConfig]()
	http.MaxRequestBodySize = maxRequestSize
	http.ReadTimeout = time.Minute

	return &Config{Protocols: Protocols{
		GRPC: configoptional.Default(grpc),
		HTTP: configoptional.Default(HTTPConfig{
			ServerConfig:   http,
			TracesURLPath:  URLPath(ingest.Traces.Path()),
			MetricsURLPath: URLPath(ingest.Metrics.Path()),
			LogsURLPath:    URLPath(ingest.Logs.Path()),
		}),
	}}
}
