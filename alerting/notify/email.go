package notify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
	defer func() { _ = c.Close() }() // after a refusal; a good session ended with QUIT
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
	if m.Incident.ID != "" {
		thread := "<incident-" + m.Incident.ID + "@" + domain + ">"
		head("In-Reply-To", thread)
		head("References", thread)
	}
	if m.Reply != "" {
		head("Reply-To", m.Reply)
	}
	head("Auto-Submitted", "auto-generated")
	head("MIME-Version", "1.0")
	if err := composeParts(&b, m, text); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// composeParts writes the words in two forms, with the picture that one of them
// shows beside them.
func composeParts(b *bytes.Buffer, m *Message, text Text) error {
	var body bytes.Buffer
	words := multipart.NewWriter(&body)
	for _, part := range []struct{ kind, text string }{{"text/plain", plainText(m, text)}, {"text/html", text.HTML}} {
		w, err := words.CreatePart(textproto.MIMEHeader{
			"Content-Type": {part.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return err
		}
		q := quotedprintable.NewWriter(w)
		if _, err := q.Write([]byte(part.text)); err != nil {
			return err
		}
		if err := q.Close(); err != nil {
			return err
		}
	}
	if err := words.Close(); err != nil {
		return err
	}
	kind := "multipart/alternative; boundary=" + words.Boundary()
	var picture []byte
	if hasPicture(m) {
		picture = m.Evidence.PNG()
	}
	if picture == nil {
		fmt.Fprintf(b, "Content-Type: %s\r\n\r\n", kind)
		_, err := body.WriteTo(b)
		return err
	}
	related := multipart.NewWriter(b)
	fmt.Fprintf(b, "Content-Type: multipart/related; type=\"multipart/alternative\"; boundary=%s\r\n\r\n", related.Boundary())
	w, err := related.CreatePart(textproto.MIMEHeader{"Content-Type": {kind}})
	if err != nil {
		return err
	}
	if _, err := body.WriteTo(w); err != nil {
		return err
	}
	if w, err = related.CreatePart(textproto.MIMEHeader{
		"Content-Type": {"image/png"}, "Content-Transfer-Encoding": {"base64"}, "Content-Id": {"<chart@belfry>"},
		"Content-Disposition": {`inline; filename="chart.png"`},
	}); err != nil {
		return err
	}
	encoded := base64.StdEncoding.EncodeToString(picture)
	for len(encoded) > 0 {
		line := encoded[:min(len(encoded), 76)]
		encoded = encoded[len(line):]
		if _, err := io.WriteString(w, line+"\r\n"); err != nil {
			return err
		}
	}
	return related.Close()
}

// plainText is the message for those who read mail as text.
func plainText(m *Message, text Text) string {
	var b strings.Builder
	b.WriteString(text.Body)
	if lines := m.LogLines(); len(lines) > 0 && !m.Over() {
		b.WriteString("\n\n")
		for _, l := range lines {
			b.WriteString(l.At.Format("15:04:05 ") + l.Text + "\n")
		}
	}
	if m.AcknowledgeURL != "" && !m.Over() {
		b.WriteString("\n" + m.AcknowledgeLabel() + ": " + m.AcknowledgeURL)
	}
	for _, l := range m.Links() {
		b.WriteString("\n" + l.Label + ": " + l.URL)
	}
	if m.Reply != "" && !m.Over() {
		b.WriteString("\n\nAnswer with ack, resolve, or snooze 2h; anything else becomes a note.")
	}
	return b.String()
}
