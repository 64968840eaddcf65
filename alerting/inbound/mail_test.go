package inbound_test

import (
	"context"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/inbound"
	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/internal/state"
)

func (w *world) mailServer() (address string) {
	w.t.Helper()
	c := inbound.DefaultConfig().Email
	c.Address, c.Domain, c.MaxMessageSize = "127.0.0.1:0", "page.example.com", 64<<10
	s := inbound.NewMailServer(c, w.engine, nil)
	require.NoError(w.t, s.Start(w.t.Context()))
	w.t.Cleanup(func() { require.NoError(w.t, s.Shutdown(context.Background())) })
	return s.Addr().String()
}

func send(address, to string, lines ...string) error {
	return smtp.SendMail(address, nil, "anybody@example.com", []string{to}, []byte(strings.Join(lines, "\r\n")+"\r\n"))
}

// replyAddress is the address that mails to bo ask to be answered at.
func (w *world) replyAddress(id, to string) string {
	key, err := w.engine.DB().Secret(w.t.Context(), "acknowledge_links")
	require.NoError(w.t, err)
	return notify.NewLinks("https://belfry.test", key, time.Hour).Reply(id, to) + "@page.example.com"
}

func code(t *testing.T, err error) int {
	t.Helper()
	var te *textproto.Error
	require.ErrorAs(t, err, &te)
	return te.Code
}

func TestAnswersToMails(t *testing.T) {
	w := newWorld(t, "")
	address := w.mailServer()
	i := w.page("a")
	reply := w.replyAddress(i.ID, "bo@example.com")
	require.Less(t, len(reply[:strings.Index(reply, "@")]), 64, "as long as a local part may be")

	require.NoError(t, send(address, reply, "From: Bo <bo@example.com>", "Subject: Re: page", "Auto-Submitted: auto-replied", "", "I am on holiday"))
	require.Equal(t, incident.Triggered, w.incident(i.ID).Status)
	require.NoError(t, send(address, strings.ToUpper(reply[:10])+reply[10:], "From: Bo <bo@example.com>", "Subject: Re: page", "",
		"ack, looking into it", "", "On Monday Belfry wrote:", "> resolve"))
	require.Equal(t, "bo", w.incident(i.ID).AcknowledgedBy, "by the address that the page was sent to")
	require.NoError(t, send(address, reply, "Subject: Re: page", "Content-Type: multipart/alternative; boundary=b", "",
		"--b", "Content-Type: text/html", "", "<p>no</p>", "--b", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "",
		"It is the caf=C3=A9's line.", "> quoted", "--b--"))
	require.Contains(t, w.timeline(i.ID)[len(w.timeline(i.ID))-1], "note bo: It is the café's line.")
	require.NoError(t, send(address, reply, "Subject: Re: page", "", "Snooze 2h please"))
	require.Equal(t, w.clock.now.Add(2*time.Hour), w.incident(i.ID).SnoozedUntil)
	require.NoError(t, send(address, reply, "Subject: resolve", "", ""))
	require.Equal(t, incident.Resolved, w.incident(i.ID).Status)
	require.Equal(t, "acme", w.incident(i.ID).Tenant)

	for _, bad := range []string{w.replyAddress(i.ID, "eve@example.com"), "reply-x@page.example.com", "nobody@page.example.com",
		strings.Replace(reply, "page.example.com", "elsewhere.example.com", 1)} {
		require.Equal(t, 550, code(t, send(address, bad, "Subject: x", "", "ack")), bad)
	}
}

func TestMailPages(t *testing.T) {
	w := newWorld(t, "")
	address := w.mailServer()
	to := "routing-key-1@page.example.com"
	require.NoError(t, send(address, to, "From: nagios@example.com", "Subject: =?utf-8?q?PROBLEM:_Disk_f=C3=BCll?=", "Importance: normal", "", "90 %"))
	require.NoError(t, send(address, to, "From: nagios@example.com", "Subject: PROBLEM: Disk füll", "", "91 %"))
	list := func() (out []*incident.Incident) {
		require.NoError(t, w.engine.DB().View(t.Context(), func(tx *state.Tx) (err error) {
			out, _, err = incident.List(t.Context(), tx, "default", incident.Filter{})
			return err
		}))
		return out
	}
	require.Len(t, list(), 1)
	require.Equal(t, "Disk füll", list()[0].Title)
	require.Equal(t, "critical", list()[0].Severity, "raised by the second")
	require.Equal(t, "default", list()[0].Policy)
	require.NoError(t, send(address, to, "Subject: RECOVERY: Disk füll", "", "all good"))
	require.Equal(t, incident.Resolved, list()[0].Status)
	require.NoError(t, send(address, "routing-key-1+job7@page.example.com", "Subject: one", "", "x"))
	require.NoError(t, send(address, "routing-key-1+job7@page.example.com", "Subject: two", "", "x"))
	require.Len(t, list(), 2, "what is after the plus says what it is about")
	require.NotEmpty(t, list()[0].Title)
	require.Equal(t, 552, code(t, send(address, to, "Subject: big", "", strings.Repeat(strings.Repeat("x", 70)+"\r\n", 1000))))
	deep := "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	var deepSb100 strings.Builder
	for range 10 {
		deepSb100.WriteString("--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
	}
	deep += deepSb100.String()
	require.Equal(t, 554, code(t, send(address, to, "Subject: deep\r\n"+deep+"x")))
}

func FuzzMail(f *testing.F) {
	f.Add([]byte("Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nack\r\n--b--\r\n"))
	f.Add([]byte("Subject: =?utf-8?q?x?=\r\nContent-Transfer-Encoding: base64\r\n\r\nYWNr"))
	f.Fuzz(func(_ *testing.T, raw []byte) { inbound.ReadMail(raw) })
}
