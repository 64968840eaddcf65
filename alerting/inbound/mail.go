package inbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/net/netutil"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
	"belfry/internal/tenant"
)

// MailServer is the SMTP listener. Its methods are called once each.
type MailServer struct {
	config Email
	engine *escalation.Engine
	log    *slog.Logger
	server *smtp.Server
	addr   net.Addr
	done   chan error
}

// maxRecipients of one mail: a page has one.
const maxRecipients = 10

// NewMailServer returns a server that listens where the configuration says, or
// nowhere.
func NewMailServer(c Email, e *escalation.Engine, log *slog.Logger) *MailServer {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &MailServer{config: c, engine: e, log: log, done: make(chan error, 1)}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{mail: m}, nil }))
	s.Domain = c.Domain
	s.MaxMessageBytes = c.MaxMessageSize
	s.MaxRecipients = maxRecipients
	s.MaxLineLength = 4000
	s.ReadTimeout, s.WriteTimeout = time.Duration(c.Timeout), time.Duration(c.Timeout)
	s.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	m.server = s
	return m
}

// Start listens.
func (m *MailServer) Start(ctx context.Context) error {
	if m.config.Address == "" {
		m.done <- nil
		return nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", m.config.Address)
	if err != nil {
		return fmt.Errorf("listening for mail: %w", err)
	}
	m.addr = ln.Addr()
	go func() {
		err := m.server.Serve(netutil.LimitListener(ln, m.config.MaxConnections))
		if errors.Is(err, smtp.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
			err = nil
		}
		m.done <- err
	}()
	return nil
}

// Addr is where the server listens, nil for nowhere.
func (m *MailServer) Addr() net.Addr { return m.addr }

// Shutdown ends all connections. A mail that was not answered with 250 is sent
// again by its sender.
func (m *MailServer) Shutdown(ctx context.Context) error {
	if m.addr != nil {
		_ = m.server.Close() // ErrServerClosed the second time
	}
	select {
	case err := <-m.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// session takes the mails of one connection.
type session struct {
	mail *MailServer
	to   []target
}

// target is what a recipient's address means.
type target struct {
	incident, address string // an answer, of whom
	key, dedup        string // a page
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.to = nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// Mail implements smtp.Session. Who a mail says that it is from proves nothing.
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	t, ok := s.mail.target(to)
	if !ok {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "there is no such mailbox"}
	}
	s.to = append(s.to, t)
	return nil
}

func (m *MailServer) target(to string) (t target, ok bool) {
	local, domain, _ := strings.Cut(strings.Trim(to, "<>"), "@")
	if !strings.EqualFold(domain, m.config.Domain) {
		return t, false
	}
	if t.incident, t.address, ok = m.engine.ReplyTo(local, m.addresses()); ok {
		return t, true
	}
	t.key, t.dedup, _ = strings.Cut(local, "+")
	t.key, ok = m.engine.RoutingKey(t.key)
	return t, ok
}

// addresses are all that pages are mailed to.
func (m *MailServer) addresses() (out []string) {
	add := func(methods []oncall.Method) {
		for _, method := range methods {
			if method.Type == oncall.MethodEmail {
				out = append(out, method.Address)
			}
		}
	}
	for _, p := range m.engine.Directory().People() {
		add(p.Methods)
	}
	add(m.engine.Channels())
	return out
}

// takeTimeout bounds what is done about one mail.
const takeTimeout = 20 * time.Second

// Data implements smtp.Session. 250 is said when everything is stored; what may
// pass is 451, so that the sender tries again.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	mail, err := parseMail(raw)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "the message cannot be read: " + oneLine(err.Error())}
	}
	ctx, cancel := context.WithTimeout(context.Background(), takeTimeout)
	defer cancel()
	ctx = tenant.WithID(ctx, tenant.Default)
	for _, t := range s.to {
		if err := s.mail.take(ctx, t, mail); err != nil {
			s.mail.log.Error("a mail could not be taken", "subject", mail.subject, "error", err)
			if fault.KindOf(err) == fault.Invalid || fault.KindOf(err) == fault.NotFound || fault.KindOf(err) == fault.Conflict {
				return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: oneLine(err.Error())}
			}
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"}
		}
	}
	return nil
}

func oneLine(text string) string {
	return incident.Clip(strings.Join(strings.Fields(text), " "), 300)
}

func (m *MailServer) take(ctx context.Context, t target, mail *message) error {
	if t.incident != "" {
		return m.answer(ctx, t, mail)
	}
	return m.page(ctx, t, mail)
}

// answer does what the first word of an answer says, or makes a note of it.
// Machines that answer by themselves (out of office) are not listened to.
func (m *MailServer) answer(ctx context.Context, t target, mail *message) error {
	if mail.automatic {
		return nil
	}
	who := whoHas(m.engine, func(method oncall.Method) bool {
		return method.Type == oncall.MethodEmail && strings.EqualFold(method.Address, t.address)
	}, t.address, "email")
	if p, ok := command(mail); ok {
		p.incident, p.who, p.via = t.incident, who, "email"
		_, err := perform(ctx, m.engine, p)
		return err
	}
	text := mail.answerText()
	if text == "" {
		return fault.Invalidf("answer with ack, resolve, or snooze 2h")
	}
	i, err := m.engine.FindIncident(ctx, t.incident)
	if err != nil {
		return err
	}
	return m.engine.Note(ctx, i.Tenant, i.ID, who, text)
}

// page opens an incident about what a mail says, or resolves it.
func (m *MailServer) page(ctx context.Context, t target, mail *message) error {
	policy := m.engine.PolicyFor(t.key)
	if policy == nil {
		return fault.NotFoundf("the routing key is not known")
	}
	title, over := mail.about()
	dedup := t.dedup
	if dedup == "" {
		dedup = strings.ToLower(title)
	}
	now := m.engine.Now()
	key := escalation.SourceKey("email", t.key, dedup)
	labels := map[string]string{"source": incident.Clip(mail.from, 200), "severity": mail.severity()}
	annotations := map[string]string{"summary": incident.Clip(mail.text, 1000)}
	s := escalation.Signal{Tenant: tenant.ID(ctx), Source: incident.SourceEmail, Key: key, Policy: policy.Name, Firing: !over, Time: now,
		GroupKey: incident.Clip(dedup, 200), Title: title, Summary: annotations["summary"], Severity: labels["severity"], Rule: title,
		Labels: labels, Annotations: annotations}
	if over {
		s.Actor = "email from " + labels["source"]
	} else {
		s.Alerts = []incident.Alert{{Fingerprint: key[:16], Status: incident.AlertFiring, Labels: labels, Annotations: annotations, StartsAt: now}}
	}
	_, err := m.engine.Signal(ctx, s)
	return err
}
