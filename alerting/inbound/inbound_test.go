package inbound_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"belfry/alerting/escalation"
	"belfry/alerting/inbound"
	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/config"
	"belfry/internal/fault"
	"belfry/internal/state"
	"belfry/internal/state/statetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type stoppedClock struct{ now time.Time }

func (c *stoppedClock) Now() time.Time                       { return c.now }
func (c *stoppedClock) After(time.Duration) <-chan time.Time { return nil }

// call is what a chat service was asked.
type call struct {
	path string
	body map[string]any
}

// chats is Slack, Telegram and their answers.
type chats struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
	// updates are what getUpdates answers, once.
	updates string
}

func (c *chats) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	got := call{path: r.URL.Path}
	if json.Unmarshal(raw, &got.body) != nil {
		got.body = map[string]any{"form": string(raw)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/getUpdates") && c.updates != "":
		_, _ = io.WriteString(w, c.updates)
		c.updates = ""
		return
	case strings.HasSuffix(r.URL.Path, "/getUpdates"):
		w.WriteHeader(http.StatusConflict)
		return
	}
	c.calls = append(c.calls, got)
	_, _ = io.WriteString(w, `{"ok":true,"channel":"C9","ts":"17.5","result":{"message_id":55}}`)
}

func (c *chats) take() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.calls
	c.calls = nil
	return out
}

type world struct {
	t      *testing.T
	clock  *stoppedClock
	chats  *chats
	engine *escalation.Engine
}

const (
	signingSecret = "slack-signs-with-this"
	secretToken   = "telegram-says-this"
)

func newWorld(t *testing.T, updates string) *world {
	w := &world{t: t, clock: &stoppedClock{time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)}, chats: &chats{}}
	w.chats.Server = httptest.NewServer(w.chats)
	t.Cleanup(w.chats.Close)
	s := escalation.Settings{Notify: notify.DefaultConfig(), Escalation: escalation.DefaultConfig()}
	s.OnCall.People = []oncall.Person{{ID: "ana", Methods: []oncall.Method{
		{Type: "slack", Channel: "U123"}, {Type: "telegram", ChatID: "77"}, {Type: "inbox"}}},
		{ID: "bo", Methods: []oncall.Method{{Type: "email", Address: "Bo@Example.com"}}}}
	s.Escalation.Policies = []escalation.PolicyConfig{{Name: "default", RoutingKeys: []config.Secret{"Routing-Key-1"},
		Steps: []escalation.StepConfig{{People: []string{"ana"}}}}}
	s.Notify.Slack = notify.Slack{BotToken: "xoxb", SigningSecret: signingSecret, APIURL: w.chats.URL}
	s.Notify.Telegram = notify.Telegram{BotToken: "1:x", APIURL: w.chats.URL, Updates: updates, SecretToken: secretToken}
	s.Notify.SMTP.Address, s.Notify.SMTP.From = "127.0.0.1:1", "belfry@example.com"
	s.Notify.Timeout = model.Duration(5 * time.Second)
	var err error
	w.engine, err = escalation.New(t.Context(), escalation.Options{DB: statetest.SQLite(t).Open(), Settings: s, Clock: w.clock,
		ExternalURL: "https://belfry.test", ReplyDomain: "page.example.com"})
	require.NoError(t, err)
	t.Cleanup(func() { w.engine.Notifier().Close() })
	return w
}

func (w *world) page(key string) *incident.Incident {
	w.t.Helper()
	i, err := w.engine.Create(w.t.Context(), "acme", "zoe", escalation.Signal{Title: "Shop " + key, Policy: "default"})
	require.NoError(w.t, err)
	w.tick()
	return i
}

func (w *world) tick() {
	w.t.Helper()
	_, err := w.engine.Tick(w.t.Context())
	require.NoError(w.t, err)
}

func (w *world) incident(id string) *incident.Incident {
	w.t.Helper()
	i, err := w.engine.FindIncident(w.t.Context(), id)
	require.NoError(w.t, err)
	return i
}

func (w *world) press(action, id, user string) error {
	payload, err := json.Marshal(map[string]any{"type": "block_actions", "user": map[string]string{"id": user, "username": "zoe.b"},
		"actions": []any{map[string]string{"action_id": action, "value": id}}, "response_url": w.chats.URL + "/respond"})
	require.NoError(w.t, err)
	body := url.Values{"payload": {string(payload)}}.Encode()
	return inbound.Slack(w.t.Context(), w.engine, slog.New(slog.DiscardHandler), w.signed(body, w.clock.now, signingSecret), []byte(body))
}

func (w *world) signed(body string, at time.Time, secret string) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":" + body))
	return http.Header{"X-Slack-Request-Timestamp": {stamp}, "X-Slack-Signature": {"v0=" + hex.EncodeToString(mac.Sum(nil))}}
}

func paths(calls []call) (out []string) {
	for _, c := range calls {
		out = append(out, c.path)
	}
	return out
}

func TestSlackButtonsAndTheMessageThatFollows(t *testing.T) {
	w := newWorld(t, notify.UpdatesWebhook)
	i := w.page("a")
	sent := w.chats.take()
	require.ElementsMatch(t, []string{"/chat.postMessage", "/bot1:x/sendMessage"}, paths(sent))
	for _, c := range sent {
		text, err := json.Marshal(c.body)
		require.NoError(t, err)
		require.Contains(t, string(text), i.ID, "the buttons say which incident")
	}
	require.NoError(t, w.press("acknowledge", i.ID, "U123"))
	require.Equal(t, "ana", w.incident(i.ID).AcknowledgedBy, "known by the contact method")
	w.tick()
	after := w.chats.take()
	require.ElementsMatch(t, []string{"/respond", "/chat.update", "/bot1:x/editMessageText"}, paths(after))
	for _, c := range after {
		text, err := json.Marshal(c.body)
		require.NoError(t, err)
		require.Contains(t, string(text), map[string]string{"/respond": "Acknowledged: #1", "/chat.update": "Acknowledged by ana",
			"/bot1:x/editMessageText": "Acknowledged by ana"}[c.path])
		if c.path == "/chat.update" {
			require.Equal(t, "C9", c.body["channel"])
			require.Equal(t, "17.5", c.body["ts"])
		}
	}
	require.NoError(t, w.press("resolve", i.ID, "U999"))
	require.Equal(t, "zoe.b (Slack)", w.incident(i.ID).ResolvedBy)
	w.tick()
	var thread []any
	for _, c := range w.chats.take() {
		if c.path == "/chat.postMessage" {
			thread = append(thread, c.body["thread_ts"])
		}
	}
	require.Equal(t, []any{"17.5"}, thread, "the good news is an answer to the page")
	require.NoError(t, w.press("snooze", i.ID, "U123"), "too late is no error")
	require.Contains(t, w.chats.take()[0].body["text"], "resolved already")
}

func TestSlackRequestsMustBeSlacks(t *testing.T) {
	w := newWorld(t, "")
	i := w.page("a")
	payload := url.Values{"payload": {`{"type":"block_actions","actions":[{"action_id":"acknowledge","value":"` + i.ID + `"}]}`}}.Encode()
	for name, header := range map[string]http.Header{
		"no signature": {}, "another secret": w.signed(payload, w.clock.now, "guess"), "another body": w.signed(payload+"x", w.clock.now, signingSecret),
		"old": w.signed(payload, w.clock.now.Add(-6*time.Minute), signingSecret), "from the future": w.signed(payload, w.clock.now.Add(6*time.Minute), signingSecret),
	} {
		err := inbound.Slack(t.Context(), w.engine, slog.New(slog.DiscardHandler), header, []byte(payload))
		require.Equal(t, fault.Unauthorized, fault.KindOf(err), name)
	}
	require.Equal(t, incident.Triggered, w.incident(i.ID).Status)
	require.NoError(t, w.press("explode", i.ID, "U123"))
	require.NoError(t, w.press("acknowledge", "nope", "U123"))
	require.Equal(t, incident.Triggered, w.incident(i.ID).Status)
}

func callback(id int, data string, from int) string {
	return `{"update_id":` + strconv.Itoa(id) + `,"callback_query":{"id":"cb` + strconv.Itoa(id) + `","from":{"id":` + strconv.Itoa(from) +
		`,"first_name":"Zoe","last_name":"B"},"data":"` + data + `"}}`
}

func TestTelegramByWebhook(t *testing.T) {
	w := newWorld(t, notify.UpdatesWebhook)
	i := w.page("a")
	take := func(token, body string) error {
		return inbound.Telegram(t.Context(), w.engine, slog.New(slog.DiscardHandler), http.Header{"X-Telegram-Bot-Api-Secret-Token": {token}}, []byte(body))
	}
	body := callback(1, "acknowledge:"+i.ID, 77)
	require.Equal(t, fault.Unauthorized, fault.KindOf(take("guess", body)))
	require.Equal(t, incident.Triggered, w.incident(i.ID).Status)
	require.Equal(t, fault.Invalid, fault.KindOf(take(secretToken, "{")))
	require.NoError(t, take(secretToken, `{"update_id":9,"message":{}}`))
	w.chats.take()
	require.NoError(t, take(secretToken, body))
	require.Equal(t, "ana", w.incident(i.ID).AcknowledgedBy)
	require.Equal(t, []string{"/bot1:x/answerCallbackQuery"}, paths(w.chats.take()))
	require.NoError(t, take(secretToken, callback(2, "snooze:"+i.ID, 5)))
	require.Equal(t, w.clock.now.Add(time.Hour), w.incident(i.ID).SnoozedUntil)
	require.Equal(t, "Zoe B (Telegram)", w.incident(i.ID).AcknowledgedBy)
}

func TestTelegramByPolling(t *testing.T) {
	w := newWorld(t, notify.UpdatesPoll)
	i := w.page("a")
	w.chats.updates = `{"ok":true,"result":[` + callback(41, "resolve:"+i.ID, 77) + `,` + callback(42, "acknowledge:nope", 77) + `]}`
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- inbound.Poll(ctx, w.engine, slog.New(slog.DiscardHandler)) }()
	require.Eventually(t, func() bool { return w.incident(i.ID).Status == incident.Resolved }, 10*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, "ana", w.incident(i.ID).ResolvedBy)
	err := inbound.Telegram(t.Context(), w.engine, slog.New(slog.DiscardHandler), http.Header{"X-Telegram-Bot-Api-Secret-Token": {secretToken}}, []byte("{}"))
	require.Equal(t, fault.NotFound, fault.KindOf(err), "nobody posts where polling is set")
}

func (w *world) timeline(id string) (out []string) {
	w.t.Helper()
	require.NoError(w.t, w.engine.DB().View(w.t.Context(), func(tx *state.Tx) error {
		events, err := incident.Timeline(w.t.Context(), tx, id, 0, 100)
		for _, e := range events {
			out = append(out, string(e.Kind)+" "+e.Actor+": "+e.Message)
		}
		return err
	}))
	return out
}
