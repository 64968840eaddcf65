package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"belfry/alerting/oncall"
	"belfry/internal/fault"
)

func (n *Notifier) email(ctx context.Context, to oncall.Method, m *Message, text Text) error {
	data, err := n.config.SMTP.compose(to.Address, m, text)
	if err != nil {
		return fault.Invalidf("compose the message: %w", err)
	}
	return smtpError(n.deliver(ctx, to.Address, data))
}

// smtpError makes replies of class 5 final, and everything else worth another try.
func smtpError(err error) error {
	if err == nil || fault.KindOf(err) == fault.Invalid {
		return err
	}
	if te, ok := errors.AsType[*textproto.Error](err); ok && te.Code >= 500 {
		return &fault.Error{Kind: fault.Invalid, Err: fmt.Errorf("the mail server refused: %w", err)}
	}
	return &fault.Error{Kind: fault.Unavailable, Err: err}
}

func (n *Notifier) deliver(ctx context.Context, recipient string, data []byte) error {
	s := n.config.SMTP
	if s.Address == "" {
		return fault.Invalidf("notify.smtp.address is not set")
	}
	host, _, err := net.SplitHostPort(s.Address)
	if err != nil {
		return fault.Invalidf("notify.smtp.address: %w", err)
	}
	conn, err := n.dialer.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	secure := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, RootCAs: n.roots}
	if s.TLS == TLSImplicit {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	defer c.Close()
	return s.session(c, secure, host, recipient, data)
}

func (s SMTP) session(c *smtp.Client, secure *tls.Config, host, recipient string, data []byte) error {
	if s.Hello != "" {
		if err := c.Hello(s.Hello); err != nil {
			return err
		}
	}
	if s.TLS == TLSStart || s.TLS == "" {
		if err := c.StartTLS(secure); err != nil {
			return fmt.Errorf("starttls: %w", err)
		}
	}
	if s.Username != "" {
		if err := c.Auth(smtp.PlainAuth("", s.Username, s.Password.Reveal(), host)); err != nil {
			return fmt.Errorf("log in: %w", err)
		}
	}
	if err := c.Mail(bareAddress(s.From)); err != nil {
		return err
	}
	if err := c.Rcpt(recipient); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // the server's answer to the message
		return err
	}
	_ = c.Quit() // it has the message already
	return nil
}

func bareAddress(from string) string {
	if _, rest, ok := strings.Cut(from, "<"); ok {
		rest, _, _ = strings.Cut(rest, ">")
		return rest
	}
	return from
}

// compose writes the message. Everything about one incident is one thread.
func (s SMTP) compose(to string, m *Message, text Text) ([]byte, error) {
	var b bytes.Buffer
	parts := multipart.NewWriter(&b)
	_, domain, _ := strings.Cut(bareAddress(s.From), "@")
	digest := sha256.Sum256([]byte(m.Key))
	head := func(name, value string) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, strings.NewReplacer("\r", "", "\n", " ").Replace(value))
	}
	head("From", s.From)
	head("To", to)
	head("Subject", mime.QEncoding.Encode("utf-8", text.Title))
	head("Date", m.Time.Format(time.RFC1123Z))
	head("Message-ID", "<"+hex.EncodeToString(digest[:16])+"@"+domain+">")
	thread := "<incident-" + m.Incident.ID + "@" + domain + ">"
	head("In-Reply-To", thread)
	head("References", thread)
	head("Auto-Submitted", "auto-generated")
	head("MIME-Version", "1.0")
	head("Content-Type", "multipart/alternative; boundary="+parts.Boundary())
	b.WriteString("\r\n")
	plain := text.Body
	var plainSb137 strings.Builder
	for _, l := range []struct{ label, link string }{{"Acknowledge", m.AcknowledgeURL}, {"Incident", m.IncidentURL}} {
		if l.link != "" {
			plainSb137.WriteString("\n" + l.label + ": " + l.link)
		}
	}
	plain += plainSb137.String()
	for _, part := range []struct{ kind, text string }{{"text/plain", plain}, {"text/html", text.HTML}} {
		w, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Type": {part.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return nil, err
		}
		q := quotedprintable.NewWriter(w)
		if _, err := q.Write([]byte(part.text)); err != nil {
			return nil, err
		}
		if err := q.Close(); err != nil {
			return nil, err
		}
	}
	if err := parts.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
