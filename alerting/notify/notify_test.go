package notify_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/config"
	"belfry/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func message() *notify.Message {
	at := time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)
	return &notify.Message{
		Key: "01ABC/0/1/1/p:ana/hook/page", Kind: notify.KindPage, Time: at, Recipient: "ana", Person: true, Step: 1, Round: 1,
		Incident: incident.Incident{ID: "01ABC", Number: 42, Title: "High <errors> & more", Summary: "5xx above 5 %", Severity: "critical",
			Receiver: "oncall", GroupKey: "{}:{}", Labels: map[string]string{"service": "shop", "env": "prod"}, OpenedAt: at.Add(-time.Minute),
			Annotations: map[string]string{"runbook_url": "https://wiki.example/5xx"}, AlertsTotal: 3,
			Progress: incident.Progress{Status: incident.Triggered}},
		Alerts: []incident.Alert{
			{Status: "firing", Fingerprint: "f1", Labels: map[string]string{"instance": "a"}, Annotations: map[string]string{"value": "7.2"}, StartsAt: at},
			{Status: "firing", Fingerprint: "f2", Labels: map[string]string{"instance": "b"}, StartsAt: at}},
		MoreAlerts: 1, IncidentURL: "https://belfry.test/incidents/01ABC", AcknowledgeURL: "https://belfry.test/api/belfry/v1/ack/x.y",
		ExternalURL: "https://belfry.test",
	}
}

func notifier(t *testing.T, c notify.Config) *notify.Notifier {
	t.Helper()
	return notifierWith(t, c, notify.Options{})
}

func notifierWith(t *testing.T, c notify.Config, opts notify.Options) *notify.Notifier {
	t.Helper()
	require.NoError(t, c.Validate())
	n, err := notify.New(c, opts)
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return n
}

func sendWith(ctx context.Context, n *notify.Notifier, to oncall.Method, m *notify.Message) error {
	_, err := n.Send(ctx, to, m)
	return err
}

func send(t *testing.T, n *notify.Notifier, to oncall.Method, m *notify.Message) error {
	t.Helper()
	_, err := n.Send(t.Context(), to, m)
	return err
}

// service answers every request with what a test wants and keeps the last one.
type service struct {
	*httptest.Server
	status int
	header http.Header
	reply  string
	got    *http.Request
	body   []byte
}

func newService(t *testing.T) *service {
	s := &service{status: 200}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.got = r
		s.body, _ = io.ReadAll(r.Body)
		maps.Copy(w.Header(), s.header)
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.reply)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) json(t *testing.T) (out map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(s.body, &out))
	return out
}

func TestWebhookIsASupersetOfAlertmanagers(t *testing.T) {
	s := newService(t)
	n := notifier(t, notify.DefaultConfig())
	to := oncall.Method{Type: oncall.MethodWebhook, URL: config.Secret(s.URL), Secret: "shared"}
	require.NoError(t, send(t, n, to, message()))
	got := s.json(t)
	require.Equal(t, "4", got["version"])
	require.Equal(t, "firing", got["status"])
	require.Equal(t, "oncall", got["receiver"])
	require.Equal(t, map[string]any{"service": "shop", "env": "prod"}, got["commonLabels"])
	require.Equal(t, map[string]any{}, got["groupLabels"], "never null")
	require.EqualValues(t, 1, got["truncatedAlerts"])
	alert := got["alerts"].([]any)[0].(map[string]any)
	require.Equal(t, "f1", alert["fingerprint"])
	require.Equal(t, "0001-01-01T00:00:00Z", alert["endsAt"], "as Alertmanager says it")
	require.Equal(t, "https://belfry.test/api/belfry/v1/ack/x.y", got["incident"].(map[string]any)["acknowledge_url"])
	require.EqualValues(t, 42, got["incident"].(map[string]any)["number"])
	require.Equal(t, message().Key, s.got.Header.Get("Idempotency-Key"))
	mac := hmac.New(sha256.New, []byte("shared"))
	mac.Write(s.body)
	require.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), s.got.Header.Get("X-Belfry-Signature"))

	m := message()
	m.Kind = notify.KindResolved
	require.NoError(t, send(t, n, to, m))
	require.Equal(t, "resolved", s.json(t)["status"])
}

func TestWhatAnAnswerMeans(t *testing.T) {
	s := newService(t)
	n := notifier(t, notify.DefaultConfig())
	to := oncall.Method{Type: oncall.MethodWebhook, URL: config.Secret(s.URL + "/secret-token")}
	for _, c := range []struct {
		status int
		after  string
		kind   fault.Kind
		wait   time.Duration
	}{
		{400, "", fault.Invalid, 0}, {404, "", fault.Invalid, 0}, {301, "", fault.Invalid, 0},
		{500, "", fault.Unavailable, 0}, {503, "7", fault.Unavailable, 7 * time.Second},
		{429, "100000", fault.Unavailable, 5 * time.Minute}, {408, "x", fault.Unavailable, 0},
	} {
		s.status, s.header, s.reply = c.status, http.Header{"Retry-After": {c.after}, "Location": {"http://elsewhere.invalid/"}}, "because"
		err := send(t, n, to, message())
		require.Equal(t, c.kind, fault.KindOf(err), "%d", c.status)
		require.Equal(t, c.wait, fault.RetryAfter(err))
		require.ErrorContains(t, err, "because")
	}
	s.Close()
	err := send(t, n, to, message())
	require.True(t, fault.Retryable(err))
	require.NotContains(t, err.Error(), "secret-token", "URLs are secrets")
}

func TestSlack(t *testing.T) {
	s := newService(t)
	n := notifier(t, notify.DefaultConfig())
	require.NoError(t, send(t, n, oncall.Method{Type: oncall.MethodSlack, URL: config.Secret(s.URL)}, message()))
	got := s.json(t)
	require.Equal(t, "[CRITICAL] #42 High &lt;errors&gt; &amp; more", got["text"])
	blocks := got["attachments"].([]any)[0].(map[string]any)["blocks"].([]any)
	require.Len(t, blocks, 4, "header, facts, text, buttons")
	require.Contains(t, string(s.body), "https://wiki.example/5xx")
	require.Contains(t, string(s.body), "/ack/x.y")
}

func TestTelegram(t *testing.T) {
	s := newService(t)
	c := notify.DefaultConfig()
	c.Telegram = notify.Telegram{BotToken: "123:abc", APIURL: s.URL}
	n := notifier(t, c)
	to := oncall.Method{Type: oncall.MethodTelegram, ChatID: "-100"}
	require.NoError(t, send(t, n, to, message()))
	require.Equal(t, "/bot123:abc/sendMessage", s.got.URL.Path)
	got := s.json(t)
	require.Equal(t, "-100", got["chat_id"])
	require.Contains(t, got["text"], "<b>[CRITICAL] #42 High &lt;errors&gt; &amp; more</b>\n5xx above 5 %")
	require.Contains(t, got, "reply_markup")
	s.status, s.reply = 429, `{"ok":false,"parameters":{"retry_after":9}}`
	err := send(t, n, to, message())
	require.Equal(t, 9*time.Second, fault.RetryAfter(err))
	s.Close()
	require.NotContains(t, send(t, n, to, message()).Error(), "abc")
}

// TestSummary: what chats show of a message about many incidents acts on none of
// them by a button, but on all by a link that asks first.
func TestSummary(t *testing.T) {
	s := newService(t)
	s.reply = `{"ok":true,"channel":"C1","ts":"1.2"}`
	c := notify.DefaultConfig()
	c.Telegram = notify.Telegram{BotToken: "123:abc", APIURL: s.URL, Updates: "poll"}
	c.Slack = notify.Slack{BotToken: "xoxb", SigningSecret: "hush", APIURL: s.URL}
	n := notifier(t, c)
	m := &notify.Message{Key: "storm/1", Kind: notify.KindSummary, Recipient: "ana", Person: true,
		Notice:   notify.Notice{Title: "[CRITICAL] 37 more incidents: 37 of cart", Text: "37 critical\n- #11 critical Down\n"},
		Incident: incident.Incident{Severity: "critical"}, IncidentURL: "https://belfry.test/incidents", AcknowledgeURL: "https://belfry.test/ack/x.y"}
	for _, to := range []oncall.Method{
		{Type: oncall.MethodSlack, Channel: "C1"}, {Type: oncall.MethodTelegram, ChatID: "1"}, {Type: oncall.MethodTeams, URL: config.Secret(s.URL)},
	} {
		require.NoError(t, send(t, n, to, m))
		body := string(s.body)
		require.Contains(t, body, "37 of cart", to.Type)
		require.Contains(t, body, "#11 critical Down", to.Type)
		require.Contains(t, body, `"Acknowledge all"`, to.Type)
		require.Contains(t, body, "https://belfry.test/ack/x.y", to.Type)
		require.Contains(t, body, `"Incidents"`, to.Type)
		for _, single := range []string{"action_id", "callback_data", "Status", "#0"} {
			require.NotContains(t, body, single, to.Type)
		}
	}
	m.Incident.Status, m.AcknowledgeURL = incident.Resolved, ""
	require.NoError(t, send(t, n, oncall.Method{Type: oncall.MethodWebhook, URL: config.Secret(s.URL)}, m))
	require.Equal(t, "resolved", s.json(t)["status"])
	require.Equal(t, "summary", s.json(t)["notification_reason"])
}

// mailServer speaks as much SMTP as a client needs, and answers RCPT as told.
// With secure it offers STARTTLS and takes mail only from ana with her password.
func mailServer(t *testing.T, rcpt string, secure *tls.Config) (address string, got <-chan string) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	out := make(chan string, 1)
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		say := func(text string) { _, _ = io.WriteString(conn, text+"\r\n") }
		say("220 test")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			switch command := strings.ToUpper((line + "    ")[:4]); command {
			case "EHLO":
				if _, encrypted := conn.(*tls.Conn); encrypted {
					say("250-test\r\n250 AUTH PLAIN")
				} else if secure != nil {
					say("250-test\r\n250 STARTTLS")
				} else {
					say("250 test")
				}
			case "STAR":
				if secure == nil {
					say("502 no")
					continue
				}
				say("220 go on")
				conn = tls.Server(conn, secure)
				in = bufio.NewReader(conn)
			case "AUTH":
				if strings.TrimSpace(line) == "AUTH PLAIN AGFuYQBodXNo" { // \0ana\0hush
					say("235 welcome")
				} else {
					say("535 who are you?")
				}
			case "RCPT":
				say(rcpt)
			case "DATA":
				say("354 go on")
				var data strings.Builder
				for {
					line, err := in.ReadString('\n')
					if err != nil || line == ".\r\n" {
						break
					}
					data.WriteString(line)
				}
				out <- data.String()
				say("250 taken")
			case "QUIT":
				say("221 bye")
				return
			default:
				say("250 ok")
			}
		}
	}()
	return ln.Addr().String(), out
}

func mailConfig(address, security string) notify.Config {
	c := notify.DefaultConfig()
	c.SMTP = notify.SMTP{Address: address, From: "Belfry <belfry@example.com>", TLS: security}
	return c
}

func TestEmail(t *testing.T) {
	address, got := mailServer(t, "250 ok", nil)
	n := notifier(t, mailConfig(address, notify.TLSNone))
	m := message()
	m.Incident.Title = "Grüße\r\nBcc: evil@example.com"
	require.NoError(t, send(t, n, oncall.Method{Type: oncall.MethodEmail, Address: "ana@example.com"}, m))
	msg, err := mail.ReadMessage(strings.NewReader(<-got))
	require.NoError(t, err)
	require.Empty(t, msg.Header.Get("Bcc"))
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	require.NoError(t, err)
	require.Equal(t, "[CRITICAL] #42 Grüße Bcc: evil@example.com", subject)
	require.Equal(t, "<incident-01ABC@example.com>", msg.Header.Get("References"))
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for _, want := range []string{"Acknowledge: https://belfry.test/api/belfry/v1/ack/x.y", `<a href="https://belfry.test/api/belfry/v1/ack/x.y"`} {
		p, err := parts.NextRawPart()
		require.NoError(t, err)
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		require.NoError(t, err)
		require.Contains(t, string(text), want)
	}
}

func TestEmailOverStartTLSWithPassword(t *testing.T) {
	ca := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer ca.Close()
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate())
	to := oncall.Method{Type: oncall.MethodEmail, Address: "ana@example.com"}
	for password, kind := range map[config.Secret]fault.Kind{"hush": fault.Internal, "wrong": fault.Invalid} {
		address, got := mailServer(t, "250 ok", &tls.Config{Certificates: ca.TLS.Certificates, MinVersion: tls.VersionTLS12})
		c := mailConfig(address, notify.TLSStart)
		c.SMTP.Username, c.SMTP.Password = "ana", password
		err := send(t, notifierWith(t, c, notify.Options{RootCAs: roots}), to, message())
		if password == "hush" {
			require.NoError(t, err)
			require.Contains(t, <-got, "Subject: ")
			continue
		}
		require.Equal(t, kind, fault.KindOf(err))
		require.ErrorContains(t, err, "log in")
	}
	// A certificate that nobody vouches for is refused.
	address, got := mailServer(t, "250 ok", &tls.Config{Certificates: ca.TLS.Certificates, MinVersion: tls.VersionTLS12})
	err := send(t, notifierWith(t, mailConfig(address, notify.TLSStart), notify.Options{RootCAs: x509.NewCertPool()}), to, message())
	require.ErrorContains(t, err, "certificate")
	require.Empty(t, got)
}

func TestEmailFaults(t *testing.T) {
	to := oncall.Method{Type: oncall.MethodEmail, Address: "ana@example.com"}
	for rcpt, kind := range map[string]fault.Kind{"550 unknown": fault.Invalid, "451 greylisted": fault.Unavailable} {
		address, _ := mailServer(t, rcpt, nil)
		err := send(t, notifier(t, mailConfig(address, notify.TLSNone)), to, message())
		require.Equal(t, kind, fault.KindOf(err), rcpt)
	}
	address, got := mailServer(t, "250 ok", nil)
	err := send(t, notifier(t, mailConfig(address, notify.TLSStart)), to, message())
	require.ErrorContains(t, err, "starttls", "never in the clear when TLS is asked for")
	require.Empty(t, got)
}

func TestSendStopsWithItsContext(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts and says nothing
	require.NoError(t, err)
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	n := notifier(t, mailConfig(ln.Addr().String(), notify.TLSNone))
	go func() {
		done <- sendWith(ctx, n, oncall.Method{Type: oncall.MethodEmail, Address: "a@example.com"}, message())
	}()
	go func() {
		done <- sendWith(ctx, n, oncall.Method{Type: oncall.MethodWebhook, URL: config.Secret("http://" + ln.Addr().String())}, message())
	}()
	cancel()
	require.Error(t, <-done)
	require.Error(t, <-done)
}

func TestTemplates(t *testing.T) {
	s := newService(t)
	c := notify.DefaultConfig()
	c.Messages = notify.Messages{Templates: notify.Templates{Title: "{{ .Incident.Title }} is broken\n", Text: `{{ .Nonsense }}`}}
	n := notifier(t, c)
	require.NoError(t, send(t, n, oncall.Method{Type: oncall.MethodWebhook, URL: config.Secret(s.URL)}, message()))
	got := s.json(t)
	require.Equal(t, "High <errors> & more is broken", got["title"])
	require.Contains(t, got["message"], "the text template failed", "a page with a bad text is better than none")
	c.Messages.Title = "{{ if }}"
	require.ErrorContains(t, c.Validate(), "messages.title: ")
}

func TestConfigFaults(t *testing.T) {
	c := notify.Config{Channels: []oncall.Method{{Type: "slack"}, {Name: "a", Type: "inbox"}, {Name: "a", Type: "inbox"}},
		Timeout: -1, SMTP: notify.SMTP{Address: "nope", TLS: "maybe"}}
	err := c.Validate()
	for _, want := range []string{"channels[0].name: is missing", "channels[0].channel: give either channel or url", `channels[2].name: "a" is there twice`,
		"timeout: must be positive", "give_up_after: must be positive", "smtp.address: want host:port", "smtp.from:", `smtp.tls: "maybe"`} {
		require.ErrorContains(t, err, want)
	}
}

func TestLinks(t *testing.T) {
	now := time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)
	l := notify.NewLinks("https://belfry.test/x/", []byte("key"), time.Hour)
	link := l.Acknowledge("default", "01ABC", "ana", now)
	token, ok := strings.CutPrefix(link, "https://belfry.test/x/api/belfry/v1/ack/")
	require.True(t, ok)
	c, err := l.Verify(token, now.Add(59*time.Minute))
	require.NoError(t, err)
	require.Equal(t, notify.Claim{Tenant: "default", Incident: "01ABC", Person: "ana", Expires: now.Add(time.Hour).Unix()}, c)
	_, err = l.Verify(token, now.Add(time.Hour))
	require.ErrorContains(t, err, "expired")
	for i := range token { // any change of any character
		bad := token[:i] + string(rune('A'+(token[i]-'A'+1)%26)) + token[i+1:]
		if bad == token {
			continue
		}
		_, err := l.Verify(bad, now)
		require.Error(t, err, bad)
	}
	_, err = notify.NewLinks("", []byte("other"), time.Hour).Verify(token, now)
	require.ErrorContains(t, err, "not valid")
	require.Empty(t, notify.NewLinks("", []byte("key"), time.Hour).Acknowledge("t", "i", "p", now))
}
