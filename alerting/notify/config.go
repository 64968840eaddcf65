package notify

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"belfry/alerting/evidence"
	"belfry/alerting/oncall"
	"belfry/internal/config"
)

// Config is the section "notify" of the configuration.
type Config struct {
	// Channels are named places that escalation steps can tell beside people.
	Channels []oncall.Method `yaml:"channels"`

	// Webhooks are machines that escalation steps can start beside telling people.
	Webhooks []oncall.Method `yaml:"webhooks"`

	// Timeout bounds one attempt to send, GiveUpAfter all attempts of a message.
	Timeout     model.Duration `yaml:"timeout"`
	GiveUpAfter model.Duration `yaml:"give_up_after"`
	// LinkExpiry is how long an acknowledge link works.
	LinkExpiry model.Duration `yaml:"link_expiry"`

	SMTP     SMTP     `yaml:"smtp"`
	Slack    Slack    `yaml:"slack"`
	Telegram Telegram `yaml:"telegram"`
	Messages Messages `yaml:"messages"`
	// Evidence is what of the stores goes into messages.
	Evidence evidence.Config `yaml:"evidence"`
	// Heartbeat tells another system that Belfry can still page.
	Heartbeat Heartbeat `yaml:"heartbeat"`
}

// Heartbeat is a URL that is called as long as Belfry can page people.
type Heartbeat struct {
	URL      config.Secret  `yaml:"url"` // empty: none
	Interval model.Duration `yaml:"interval"`
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
	// Updates is how presses of buttons come to Belfry: poll, or webhook (Telegram
	// posts to /api/belfry/v1/telegram and says SecretToken). Empty: buttons are
	// links.
	Updates     string        `yaml:"updates"`
	SecretToken config.Secret `yaml:"secret_token"`
}

// The values of Telegram.Updates.
const (
	UpdatesPoll    = "poll"
	UpdatesWebhook = "webhook"
)

// Slack says how Belfry is a bot in Slack, for the methods that name a channel.
type Slack struct {
	BotToken config.Secret `yaml:"bot_token"`
	// SigningSecret is the app's; with it, messages have buttons, whose presses
	// Slack posts to /api/belfry/v1/slack.
	SigningSecret config.Secret `yaml:"signing_secret"`
	APIURL        string        `yaml:"api_url"` // empty: https://slack.com/api
}

// Templates replace the built-in texts. They are Go text templates over Message.
type Templates struct {
	Title string `yaml:"title"`
	Text  string `yaml:"text"`
}

// Messages are the texts of all methods, and of each type of method where it
// should have its own.
type Messages struct {
	Templates `yaml:",inline"`
	ByType    map[string]Templates `yaml:"by_type"`
}

// DefaultConfig tries for ten minutes to deliver a message.
func DefaultConfig() Config {
	return Config{
		Timeout:     model.Duration(10 * time.Second),
		GiveUpAfter: model.Duration(10 * time.Minute),
		LinkExpiry:  model.Duration(24 * time.Hour),
		SMTP:        SMTP{TLS: TLSStart},
		Evidence:    evidence.DefaultConfig(),
		Heartbeat:   Heartbeat{Interval: model.Duration(time.Minute)},
	}
}

// Validate reports all faults.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	names := map[string]bool{}
	for _, list := range []struct {
		path    string
		methods []oncall.Method
	}{{"channels", c.Channels}, {"webhooks", c.Webhooks}} {
		for i, m := range list.methods {
			for _, text := range namedFaults(m, names) {
				add("%s[%d].%s", list.path, i, text)
			}
			if list.path == "webhooks" && m.Type != oncall.MethodWebhook {
				add("webhooks[%d].type: must be webhook", i)
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
	switch c.Telegram.Updates {
	case "", UpdatesPoll:
	case UpdatesWebhook:
		if c.Telegram.SecretToken == "" {
			add("telegram.secret_token: is needed with updates: webhook")
		}
	default:
		add("telegram.updates: %q is not one of poll, webhook", c.Telegram.Updates)
	}
	if c.Slack.SigningSecret != "" && c.Slack.BotToken == "" {
		add("slack.bot_token: is needed with a signing_secret")
	}
	if c.Heartbeat.URL != "" {
		if err := webURL(c.Heartbeat.URL.Reveal()); err != nil {
			add("heartbeat.url: %w", err)
		}
		if c.Heartbeat.Interval <= 0 {
			add("heartbeat.interval: must be positive")
		}
	}
	if err := c.Evidence.Validate(); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			add("evidence.%s", line)
		}
	}
	errs = append(errs, c.Messages.faults()...)
	return errors.Join(errs...)
}

func namedFaults(m oncall.Method, names map[string]bool) (out []string) {
	if m.Name == "" {
		out = append(out, "name: is missing")
	}
	if names[m.Label()] {
		out = append(out, fmt.Sprintf("name: %q is there twice", m.Label()))
	}
	names[m.Label()] = true
	if err := m.Validate(); err != nil {
		out = append(out, strings.Split(err.Error(), "\n")...)
	}
	return out
}

func webURL(text string) error {
	if u, err := url.Parse(text); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("an http or https URL is needed")
	}
	return nil
}

func (m Messages) faults() (errs []error) {
	for _, t := range []Templates{{Title: m.Title}, {Text: m.Text}} {
		if _, err := newWords(t); err != nil {
			errs = append(errs, fmt.Errorf("messages.%w", err))
		}
	}
	for name, t := range m.ByType {
		if !slices.Contains(oncall.MethodTypes(), name) {
			errs = append(errs, fmt.Errorf("messages.by_type: there is no contact method of type %q", name))
		}
		if _, err := newWords(t); err != nil {
			errs = append(errs, fmt.Errorf("messages.by_type.%s.%w", name, err))
		}
	}
	return errs
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
		case m.Type == oncall.MethodSlack && m.Channel != "" && c.Slack.BotToken == "":
			errs = append(errs, fmt.Errorf("%s.channel: slack needs notify.slack.bot_token to post to a channel", path))
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
