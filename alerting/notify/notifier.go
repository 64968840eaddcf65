package notify

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"slices"
	"time"

	"belfry/alerting/oncall"
	"belfry/internal/fault"
)

// Options are what a Notifier needs beside its configuration.
type Options struct {
	// Inbox stores messages for the method inbox.
	Inbox Inbox
	// HTTPClient sends to the web; nil makes one that follows no redirects.
	HTTPClient *http.Client
	// RootCAs are who may vouch for the mail server; nil are the system's.
	RootCAs *x509.CertPool
}

// Inbox stores a message; the same key again changes nothing.
type Inbox interface {
	Put(ctx context.Context, m *Message, text Text) error
}

// Notifier hands messages to the services behind contact methods. It is safe for
// concurrent use.
type Notifier struct {
	config Config
	render *renderer
	inbox  Inbox
	http   *http.Client
	dialer net.Dialer
	roots  *x509.CertPool
}

// New returns a notifier.
func New(c Config, opts Options) (*Notifier, error) {
	r, err := newRenderer(c.Messages)
	if err != nil {
		return nil, err
	}
	if opts.HTTPClient == nil {
		opts.HTTPClient = NewHTTPClient()
	}
	return &Notifier{config: c, render: r, inbox: opts.Inbox, http: opts.HTTPClient, roots: opts.RootCAs}, nil
}

// NewHTTPClient returns the client that a Notifier makes for itself. Its owner
// closes idle connections when it is done.
func NewHTTPClient() *http.Client {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: maxTimeout,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close lets go of idle connections.
func (n *Notifier) Close() { n.http.CloseIdleConnections() }

// Timeout is the bound of one Send.
func (n *Notifier) Timeout() time.Duration { return time.Duration(n.config.Timeout) }

// GiveUpAfter is how long a message should be tried.
func (n *Notifier) GiveUpAfter() time.Duration { return time.Duration(n.config.GiveUpAfter) }

// Channel returns the contact method of a channel or a webhook.
func (n *Notifier) Channel(name string) (oncall.Method, bool) {
	for _, c := range slices.Concat(n.config.Channels, n.config.Webhooks) {
		if c.Label() == name {
			return c, true
		}
	}
	return oncall.Method{}, false
}

// Channels returns all channels.
func (n *Notifier) Channels() []oncall.Method { return n.config.Channels }

// Send tries once to hand a message to a contact method's service. nil means that
// the service has taken it; ref is then what the service calls it, empty where the
// message cannot be changed later. Errors with a fault for which fault.Retryable is
// false are final; others may pass, after fault.RetryAfter where it is set.
func (n *Notifier) Send(ctx context.Context, to oncall.Method, m *Message) (ref string, err error) {
	ctx, cancel := context.WithTimeout(ctx, n.Timeout())
	defer cancel()
	text := n.render.render(to.Type, m)
	switch to.Type {
	case oncall.MethodInbox:
		return "", n.inbox.Put(ctx, m, text)
	case oncall.MethodWebhook:
		return "", n.webhook(ctx, to, m, text)
	case oncall.MethodSlack:
		return n.slack(ctx, to, m, text)
	case oncall.MethodTeams:
		return "", n.teams(ctx, to, m, text)
	case oncall.MethodTelegram:
		return n.telegram(ctx, to, m, text)
	case oncall.MethodEmail:
		return "", n.email(ctx, to, m, text)
	}
	return "", fault.Invalidf("there is no contact method of type %q", to.Type)
}

// Beat calls the URL of the outgoing heartbeat once. There is none where the
// interval is 0.
func (n *Notifier) Beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.Timeout())
	defer cancel()
	_, err := n.postBytes(ctx, n.config.Heartbeat.URL.Reveal(), http.Header{"Content-Type": {"text/plain"}}, nil)
	return err
}

// BeatInterval is how often to call Beat; 0 is never.
func (n *Notifier) BeatInterval() time.Duration {
	if n.config.Heartbeat.URL == "" {
		return 0
	}
	return time.Duration(n.config.Heartbeat.Interval)
}
