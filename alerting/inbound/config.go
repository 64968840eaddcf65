package inbound

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Config is the section "inbound" of the configuration.
type Config struct {
	Email Email `yaml:"email"`
}

// Email is a mail server that takes answers to pages, at reply-…@Domain, and pages,
// at <routing key>@Domain.
type Email struct {
	Address        string         `yaml:"address"` // host:port to listen at; empty: none
	Domain         string         `yaml:"domain"`  // of the addresses; its MX must lead to Address
	MaxMessageSize int64          `yaml:"max_message_size"`
	MaxConnections int            `yaml:"max_connections"`
	Timeout        model.Duration `yaml:"timeout"` // of a read or write
}

// DefaultConfig listens nowhere.
func DefaultConfig() Config {
	return Config{Email: Email{MaxMessageSize: 1 << 20, MaxConnections: 50, Timeout: model.Duration(30 * time.Second)}}
}

// Validate reports all faults.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	e := c.Email
	if e.Address != "" {
		if _, _, err := net.SplitHostPort(e.Address); err != nil {
			add("email.address: want host:port")
		}
		if e.Domain == "" {
			add("email.domain: is missing")
		}
	}
	if strings.ContainsAny(e.Domain, "@ <>\r\n") {
		add("email.domain: %q is not a domain", e.Domain)
	}
	if e.MaxMessageSize < 1<<10 || e.MaxMessageSize > 64<<20 {
		add("email.max_message_size: must be between 1 KiB and 64 MiB")
	}
	if e.MaxConnections < 1 {
		add("email.max_connections: must be positive")
	}
	if e.Timeout <= 0 {
		add("email.timeout: must be positive")
	}
	return errors.Join(errs...)
}

// ReplyDomain is the domain of the addresses for answers, empty where there are none.
func (c *Config) ReplyDomain() string {
	if c.Email.Address == "" {
		return ""
	}
	return c.Email.Domain
}
