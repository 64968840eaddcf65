package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"belfry/alerting/oncall"
	"belfry/internal/fault"
)

// The limits of a Telegram message, counted without markup.
const (
	telegramText    = 4096
	telegramCaption = 1024
)

// telegram sends a text, or a picture with the text under it.
func (n *Notifier) telegram(ctx context.Context, to oncall.Method, m *Message, text Text) (ref string, err error) {
	message := obj{"chat_id": to.ChatID, "parse_mode": "HTML"}
	keyboard, links := n.telegramButtons(m)
	if len(keyboard) > 0 {
		message["reply_markup"] = obj{"inline_keyboard": keyboard}
	}
	if m.Kind == KindUpdate {
		return m.Ref, n.telegramUpdate(ctx, m, text, message, links)
	}
	if id, _, told := strings.Cut(m.Ref, "/"); told && m.Kind == KindResolved {
		number, _ := strconv.ParseInt(id, 10, 64)
		message["reply_parameters"] = obj{"message_id": number, "allow_sending_without_reply": true}
	}
	var said struct {
		Result struct {
			ID int64 `json:"message_id"`
		} `json:"result"`
	}
	kind := "text"
	if picture := m.Evidence.PNG(); picture != nil && !m.Over() {
		kind = "photo"
		message["caption"] = telegramHTML(m, text, links, telegramCaption)
		err = n.telegramUpload(ctx, message, picture, &said)
	} else {
		message["text"] = telegramHTML(m, text, links, telegramText)
		message["link_preview_options"] = obj{"is_disabled": true}
		err = n.telegramCall(ctx, "sendMessage", message, &said)
	}
	if err != nil || said.Result.ID == 0 {
		return "", err
	}
	return strconv.FormatInt(said.Result.ID, 10) + "/" + kind, nil
}

func (n *Notifier) telegramUpdate(ctx context.Context, m *Message, text Text, message obj, links string) error {
	id, kind, told := strings.Cut(m.Ref, "/")
	number, err := strconv.ParseInt(id, 10, 64)
	if !told || err != nil {
		return fault.Invalidf("the message cannot be changed: Telegram gave no name for it")
	}
	message["message_id"] = number
	method := "editMessageText"
	if kind == "photo" {
		method = "editMessageCaption"
		message["caption"] = telegramHTML(m, text, links, telegramCaption)
	} else {
		message["text"] = telegramHTML(m, text, links, telegramText)
		message["link_preview_options"] = obj{"is_disabled": true}
	}
	err = n.telegramCall(ctx, method, message, nil)
	if err != nil && strings.Contains(err.Error(), "message is not modified") {
		return nil
	}
	return err
}

// telegramHTML is the message in Telegram's HTML, within a number of characters.
func telegramHTML(m *Message, text Text, links string, limit int) string {
	head := "<b>" + html.EscapeString(cut(text.Title, 300)) + "</b>\n"
	if m.Kind == KindUpdate {
		head += "<i>" + html.EscapeString(m.StateText()) + "</i>\n"
	}
	room := limit - min(len([]rune(text.Title)), 300) - len([]rune(links)) - 150
	var lines strings.Builder
	if found := m.LogLines(); len(found) > 0 && !m.Over() {
		for _, l := range found {
			lines.WriteString(l.At.Format("15:04:05 ") + cut(l.Text, 160) + "\n")
		}
	}
	body := cut(text.Body, max(room*2/3, 100))
	out := head + html.EscapeString(body)
	if rest := room - len([]rune(body)); lines.Len() > 0 && rest > 80 {
		out += "\n<pre>" + html.EscapeString(cut(strings.TrimSpace(lines.String()), rest)) + "</pre>"
	}
	return out + links
}

// telegramButtons returns the rows of buttons, and as text the links that Telegram
// would refuse as buttons: to hosts without a dot.
func (n *Notifier) telegramButtons(m *Message) (rows [][]obj, links string) {
	var act, open []obj
	press := func(label, action string) {
		act = append(act, obj{"text": label, "callback_data": action + ":" + m.Incident.ID})
	}
	interactive := n.config.Telegram.Updates != "" && !m.General()
	list := m.Links()
	switch {
	case m.Kind == KindNotice || m.Over():
	case interactive && m.State() == "triggered":
		press("Acknowledge", ActionAcknowledge)
		press("Resolve", ActionResolve)
		press("Snooze 1h", ActionSnooze)
	case interactive:
		press("Resolve", ActionResolve)
		press("Give back", ActionUnacknowledge)
	case m.AcknowledgeURL != "":
		list = append([]Link{{m.AcknowledgeLabel(), m.AcknowledgeURL}}, list...)
	}
	var plain strings.Builder
	for _, l := range list {
		if u, err := url.Parse(l.URL); err == nil && strings.Contains(u.Hostname(), ".") {
			open = append(open, obj{"text": l.Label, "url": l.URL})
		} else {
			plain.WriteString("\n" + l.Label + ": " + html.EscapeString(l.URL))
		}
	}
	links = plain.String()
	if len(act) > 0 {
		rows = append(rows, act)
	}
	for len(open) > 0 {
		row := open[:min(len(open), 3)]
		open = open[len(row):]
		rows = append(rows, row)
	}
	return rows, links
}

func (n *Notifier) telegramURL(method string) string {
	base := n.config.Telegram.APIURL
	if base == "" {
		base = "https://api.telegram.org"
	}
	return strings.TrimRight(base, "/") + "/bot" + n.config.Telegram.BotToken.Reveal() + "/" + method
}

func (n *Notifier) telegramCall(ctx context.Context, method string, body, answer any) error {
	reply, err := n.post(ctx, n.telegramURL(method), nil, body)
	return telegramAnswer(reply, err, answer)
}

func telegramAnswer(reply []byte, err error, answer any) error {
	var said struct {
		Parameters struct {
			RetryAfter int `json:"retry_after"`
		} `json:"parameters"`
	}
	if err != nil {
		if json.Unmarshal(reply, &said) == nil && said.Parameters.RetryAfter > 0 {
			return &fault.Error{Kind: fault.Unavailable, RetryAfter: time.Duration(min(said.Parameters.RetryAfter, 300)) * time.Second, Err: err}
		}
		return err
	}
	if answer != nil {
		_ = json.Unmarshal(reply, answer) // a message without a name cannot be changed later, that is all
	}
	return nil
}

// telegramUpload sends a message with a picture, which Telegram takes as a form.
func (n *Notifier) telegramUpload(ctx context.Context, message obj, picture []byte, answer any) error {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for name, value := range message {
		text, ok := value.(string)
		if !ok {
			encoded, err := json.Marshal(value)
			if err != nil {
				return fault.Invalidf("encode the message: %w", err)
			}
			text = string(encoded)
		}
		if err := form.WriteField(name, text); err != nil {
			return fault.Invalidf("encode the message: %w", err)
		}
	}
	w, err := form.CreateFormFile("photo", "chart.png")
	if err == nil {
		_, err = w.Write(picture)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return fault.Invalidf("encode the message: %w", err)
	}
	reply, err := n.postBytes(ctx, n.telegramURL("sendPhoto"), http.Header{"Content-Type": {form.FormDataContentType()}}, b.Bytes())
	return telegramAnswer(reply, err, answer)
}

// TelegramUpdates is how button presses come: "", "webhook" or "poll".
func (n *Notifier) TelegramUpdates() string { return n.config.Telegram.Updates }

// TelegramSecret is what Telegram says with every update that it posts.
func (n *Notifier) TelegramSecret() string { return n.config.Telegram.SecretToken.Reveal() }

// TelegramAnswer tells who pressed a button what came of it.
func (n *Notifier) TelegramAnswer(ctx context.Context, callbackID, text string) error {
	ctx, cancel := context.WithTimeout(ctx, n.Timeout())
	defer cancel()
	return n.telegramCall(ctx, "answerCallbackQuery", obj{"callback_query_id": callbackID, "text": cut(text, 200)}, nil)
}

// TelegramPoll waits up to wait for updates from a number on, and returns them as
// Telegram wrote them.
func (n *Notifier) TelegramPoll(ctx context.Context, offset int64, wait time.Duration) ([]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+n.Timeout())
	defer cancel()
	var said struct {
		Result []json.RawMessage `json:"result"`
	}
	err := n.telegramCall(ctx, "getUpdates", obj{"offset": offset, "timeout": int(wait.Seconds()),
		"allowed_updates": []string{"callback_query"}}, &said)
	return said.Result, err
}
