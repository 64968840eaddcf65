package notify

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"belfry/alerting/oncall"
	"belfry/internal/config"
)

// Config is the section "notify" of the configuration.
type Config struct {
	// Channels are named places that escalation steps can tell beside people.
	Channels []oncall.Method `yaml:"channels"`

	// Timeout bounds one attempt to send, GiveUpAfter all attempts of a message.
	Timeout     model.Duration `yaml:"timeout"`
	GiveUpAfter model.Duration `yaml:"give_up_after"`
	// LinkExpiry is how long an acknowledge link works.
	LinkExpiry model.Duration `yaml:"link_expiry"`

	SMTP     SMTP      `yaml:"smtp"`
	Telegram Telegram  `yaml:"telegram"`
	Messages Templates `yaml:"messages"`
}

// SMTP says how email is sent.
type SMTP struct {
	Address  string        `yaml:"address"` // host:port; empty: no email
	From     string        `yaml:"from"`
	Hello    string        `yaml:"hello"` // name in EHLO; empty: localhost
	TLS      string        `yaml:"tls"`   // starttls (default), implicit, none
	Username string        `yaml:"username"`
	Password config.Secret `yaml:"password"`
}

// The values of SMTP.TLS.
const (
	TLSStart    = "starttls"
	TLSImplicit = "implicit"
	TLSNone     = "none"
)

// Telegram says how Telegram is reached.
type Telegram struct {
	BotToken config.Secret `yaml:"bot_token"`
	APIURL   string        `yaml:"api_url"` // empty: https://api.telegram.org
}

// Templates replace the built-in texts. They are Go text templates over Message.
type Templates struct {
	Title string `yaml:"title"`
	Text  string `yaml:"text"`
}

// DefaultConfig tries for ten minutes to deliver a message.
func DefaultConfig() Config {
	return Config{
		Timeout:     model.Duration(10 * time.Second),
		GiveUpAfter: model.Duration(10 * time.Minute),
		LinkExpiry:  model.Duration(24 * time.Hour),
		SMTP:        SMTP{TLS: TLSStart},
	}
}

// Validate reports all faults.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	names := map[string]bool{}
	for i, ch := range c.Channels {
		if ch.Name == "" {
			add("channels[%d].name: is missing", i)
		}
		if names[ch.Label()] {
			add("channels[%d].name: %q is there twice", i, ch.Label())
		}
		names[ch.Label()] = true
		if err := ch.Validate(); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				add("channels[%d].%s", i, line)
			}
		}
	}
	for _, d := range []struct {
		name  string
		value model.Duration
	}{{"timeout", c.Timeout}, {"give_up_after", c.GiveUpAfter}, {"link_expiry", c.LinkExpiry}} {
		if d.value <= 0 {
			add("%s: must be positive", d.name)
		}
	}
	if c.Timeout > model.Duration(maxTimeout) {
		add("timeout: must be at most %s", maxTimeout)
	}
	if c.SMTP.Address != "" {
		if _, _, err := net.SplitHostPort(c.SMTP.Address); err != nil {
			add("smtp.address: want host:port")
		}
		if !strings.Contains(c.SMTP.From, "@") || strings.ContainsAny(c.SMTP.From, "\r\n") {
			add("smtp.from: an email address is needed")
		}
	}
	switch c.SMTP.TLS {
	case "", TLSStart, TLSImplicit, TLSNone:
	default:
		add("smtp.tls: %q is not one of starttls, implicit, none", c.SMTP.TLS)
	}
	for _, t := range []Templates{{Title: c.Messages.Title}, {Text: c.Messages.Text}} {
		if _, err := newRenderer(t); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// maxTimeout keeps one attempt well inside the lease under which it is made.
const maxTimeout = 30 * time.Second

// CheckMethods reports the contact methods that the section notify has no way to
// serve, each after its path from the root of the configuration.
func CheckMethods(people oncall.Config, c Config) (errs []error) {
	check := func(path string, m oncall.Method) {
		switch {
		case m.Type == oncall.MethodEmail && c.SMTP.Address == "":
			errs = append(errs, fmt.Errorf("%s.type: email needs notify.smtp.address", path))
		case m.Type == oncall.MethodTelegram && c.Telegram.BotToken == "":
			errs = append(errs, fmt.Errorf("%s.type: telegram needs notify.telegram.bot_token", path))
		}
	}
	for i, p := range people.People {
		for j, m := range p.Methods {
			check(fmt.Sprintf("oncall.people[%d].methods[%d]", i, j), m)
		}
	}
	for i, m := range c.Channels {
		check(fmt.Sprintf("notify.channels[%d]", i), m)
	}
	return errs
}
