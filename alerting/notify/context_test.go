package notify_test

import (
	"bytes"
	"encoding/json"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/evidence"
	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/config"
	"belfry/internal/fault"
)

// withEvidence is a page with everything that the stores can add.
func withEvidence() *notify.Message {
	m := message()
	e := &evidence.Evidence{From: m.Time.Add(-time.Hour), To: m.Time, Signal: evidence.Metrics, Expr: "x > 5", Watched: "x", Threshold: "> 5",
		Lines: []evidence.Line{{At: m.Time, Text: "panic: <nil> ```boom```"}}, TraceID: "abc"}
	for n := range 60 {
		e.Series = append(e.Series[:0], evidence.Series{Points: append(pointsOf(e), evidence.Point{T: e.From.UnixMilli() + int64(n)*60_000, V: float64(n % 9)})})
	}
	m.Evidence = e
	m.ChartURL, m.ExploreURL, m.TraceURL = "https://belfry.test/chart/1.png", "https://belfry.test/explore/metrics?expr=x", "https://belfry.test/traces/abc"
	m.SilenceURL, m.LogsURL = "https://belfry.test/alerts?silence=x", "https://belfry.test/logs?q=x"
	m.Incident.Annotations["dashboard_url"] = "https://grafana.test/d/1"
	return m
}

func pointsOf(e *evidence.Evidence) []evidence.Point {
	if len(e.Series) == 0 {
		return nil
	}
	return e.Series[0].Points
}

func TestSlackAsABot(t *testing.T) {
	s := newService(t)
	s.reply = `{"ok":true,"channel":"C1","ts":"1.2"}`
	c := notify.DefaultConfig()
	c.Slack = notify.Slack{BotToken: "xoxb", SigningSecret: "s", APIURL: s.URL}
	n := notifier(t, c)
	to := oncall.Method{Type: oncall.MethodSlack, Channel: "C1"}
	ref, err := n.Send(t.Context(), to, withEvidence())
	require.NoError(t, err)
	require.Equal(t, "C1/1.2", ref)
	require.Equal(t, "Bearer xoxb", s.got.Header.Get("Authorization"))
	text := string(s.body)
	for _, want := range []string{`"action_id":"acknowledge"`, `"value":"01ABC"`, `"type":"image"`, "https://belfry.test/chart/1.png", "alerts when \\u0026gt; 5",
		"panic: \\u0026lt;nil\\u0026gt; '''boom'''", "Dashboard", "Runbook", "Silence", "Trace", "Logs", "Explore"} {
		require.Contains(t, text, want)
	}
	m := withEvidence()
	m.Kind, m.Ref = notify.KindUpdate, ref
	m.Incident.Status, m.Incident.AcknowledgedBy = incident.Acknowledged, "ana"
	_, err = n.Send(t.Context(), to, m)
	require.NoError(t, err)
	require.Equal(t, "/chat.update", s.got.URL.Path)
	require.Contains(t, string(s.body), "Acknowledged by ana")
	require.NotContains(t, string(s.body), `"action_id":"acknowledge"`)
	m.Kind, m.Incident.Status = notify.KindResolved, incident.Resolved
	_, err = n.Send(t.Context(), to, m)
	require.NoError(t, err)
	require.Equal(t, "1.2", s.json(t)["thread_ts"])
	for said, kind := range map[string]fault.Kind{"channel_not_found": fault.Invalid, "ratelimited": fault.Unavailable} {
		s.reply = `{"ok":false,"error":"` + said + `"}`
		err := send(t, n, to, message())
		require.Equal(t, kind, fault.KindOf(err))
		require.ErrorContains(t, err, said)
	}
}

func TestTeams(t *testing.T) {
	s := newService(t)
	s.status = 202
	n := notifier(t, notify.DefaultConfig())
	require.NoError(t, send(t, n, oncall.Method{Type: oncall.MethodTeams, URL: config.Secret(s.URL)}, withEvidence()))
	got := s.json(t)
	require.Equal(t, "message", got["type"])
	attachment := got["attachments"].([]any)[0].(map[string]any)
	require.Equal(t, "application/vnd.microsoft.card.adaptive", attachment["contentType"])
	card := attachment["content"].(map[string]any)
	require.Equal(t, "AdaptiveCard", card["type"])
	require.LessOrEqual(t, len(card["actions"].([]any)), 6)
	text, err := json.Marshal(card)
	require.NoError(t, err)
	for _, want := range []string{"Acknowledge", "/ack/x.y", "chart/1.png", "Attention", "FactSet", "Monospace"} {
		require.Contains(t, string(text), want)
	}
}

func TestTelegramShowsThePicture(t *testing.T) {
	s := newService(t)
	s.reply = `{"ok":true,"result":{"message_id":5}}`
	c := notify.DefaultConfig()
	c.Telegram = notify.Telegram{BotToken: "1:x", APIURL: s.URL, Updates: notify.UpdatesPoll}
	n := notifier(t, c)
	to := oncall.Method{Type: oncall.MethodTelegram, ChatID: "-1"}
	ref, err := n.Send(t.Context(), to, withEvidence())
	require.NoError(t, err)
	require.Equal(t, "5/photo", ref)
	require.Equal(t, "/bot1:x/sendPhoto", s.got.URL.Path)
	_, params, err := mime.ParseMediaType(s.got.Header.Get("Content-Type"))
	require.NoError(t, err)
	form, err := multipart.NewReader(bytes.NewReader(s.body), params["boundary"]).ReadForm(1 << 20)
	require.NoError(t, err)
	require.LessOrEqual(t, len([]rune(form.Value["caption"][0])), 1200)
	require.Contains(t, form.Value["reply_markup"][0], `"callback_data":"acknowledge:01ABC"`)
	f, err := form.File["photo"][0].Open()
	require.NoError(t, err)
	_, err = png.Decode(f)
	require.NoError(t, err)
	m := withEvidence()
	m.Kind, m.Ref, m.Incident.Status = notify.KindUpdate, ref, incident.Acknowledged
	_, err = n.Send(t.Context(), to, m)
	require.NoError(t, err)
	require.Equal(t, "/bot1:x/editMessageCaption", s.got.URL.Path)
	s.status, s.reply = 400, `{"ok":false,"description":"Bad Request: message is not modified"}`
	_, err = n.Send(t.Context(), to, m)
	require.NoError(t, err, "it shows the state already")
}

func TestEmailWithPictureInAThread(t *testing.T) {
	address, got := mailServer(t, "250 ok", nil)
	n := notifier(t, mailConfig(address, notify.TLSNone))
	m := withEvidence()
	m.Reply = "reply-x@page.example.com"
	require.NoError(t, send(t, n, oncall.Method{Type: oncall.MethodEmail, Address: "ana@example.com"}, m))
	mailed, err := mail.ReadMessage(strings.NewReader(<-got))
	require.NoError(t, err)
	require.Contains(t, mailed.Header.Get("References"), "incident-01ABC@")
	require.Equal(t, "reply-x@page.example.com", mailed.Header.Get("Reply-To"))
	kind, params, err := mime.ParseMediaType(mailed.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/related", kind)
	r := multipart.NewReader(mailed.Body, params["boundary"])
	words, err := r.NextPart()
	require.NoError(t, err)
	body, err := io.ReadAll(words)
	require.NoError(t, err)
	require.Contains(t, string(body), "cid:chart@belfry")
	require.Contains(t, string(body), "panic: &lt;nil&gt;")
	picture, err := r.NextPart()
	require.NoError(t, err)
	require.Equal(t, "<chart@belfry>", picture.Header.Get("Content-Id"))
}

func TestWebhookSaysTheEvidence(t *testing.T) {
	s := newService(t)
	n := notifier(t, notify.DefaultConfig())
	require.NoError(t, send(t, n, oncall.Method{Type: oncall.MethodWebhook, URL: config.Secret(s.URL)}, withEvidence()))
	got := s.json(t)
	require.Equal(t, "> 5", got["threshold"])
	require.Equal(t, "7.2", got["value"])
	require.Equal(t, "abc", got["evidence"].(map[string]any)["trace_id"])
	require.Equal(t, "https://belfry.test/chart/1.png", got["links"].(map[string]any)["chart"])
}

func TestTemplatesByType(t *testing.T) {
	s := newService(t)
	c := notify.DefaultConfig()
	c.Messages.Title = "all"
	c.Messages.ByType = map[string]notify.Templates{"webhook": {Text: "only here"}}
	n := notifier(t, c)
	require.NoError(t, send(t, n, oncall.Method{Type: oncall.MethodWebhook, URL: config.Secret(s.URL)}, message()))
	require.Equal(t, "all", s.json(t)["title"])
	require.Equal(t, "only here", s.json(t)["message"])
	c.Messages.ByType = map[string]notify.Templates{"pigeon": {}, "slack": {Title: "{{ if }}"}}
	err := c.Validate()
	require.ErrorContains(t, err, `no contact method of type "pigeon"`)
	require.ErrorContains(t, err, "messages.by_type.slack.title")
}

func TestLinksAreForOneThingOnly(t *testing.T) {
	l := notify.NewLinks("https://belfry.test", []byte("key"), time.Hour)
	now := time.Unix(1_800_000_000, 0)
	chart := strings.TrimSuffix(strings.TrimPrefix(l.Chart("01ABC"), "https://belfry.test"+notify.ChartPath), ".png")
	id, err := l.VerifyChart(chart)
	require.NoError(t, err)
	require.Equal(t, "01ABC", id)
	_, err = l.Verify(chart, now)
	require.Equal(t, fault.Forbidden, fault.KindOf(err), "a picture's link does not acknowledge")
	_, err = l.VerifyChart(l.Sign(notify.Claim{Incident: "01ABC", Expires: now.Unix() + 1}))
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
	_, err = l.VerifyChart("01ABD" + chart[5:])
	require.Equal(t, fault.Forbidden, fault.KindOf(err))
}
