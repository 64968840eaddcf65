package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"belfry/alerting/oncall"
	"belfry/internal/fault"
)

// The limits of Slack's block kit.
const (
	slackHeader  = 150
	slackSection = 3000
	slackURL     = 3000
)

var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// The actions of buttons in chat messages.
const (
	ActionAcknowledge   = "acknowledge"
	ActionUnacknowledge = "unacknowledge"
	ActionSnooze        = "snooze" // for SnoozeButton
	ActionResolve       = "resolve"
)

// SnoozeButton is how long the button of a chat message snoozes.
const SnoozeButton = time.Hour

// obj is a JSON object.
type obj = map[string]any

// slack posts by an incoming webhook, or as a bot: then the message can be changed
// later and has buttons.
func (n *Notifier) slack(ctx context.Context, to oncall.Method, m *Message, text Text) (ref string, err error) {
	interactive := to.Channel != "" && n.config.Slack.SigningSecret != ""
	body := obj{
		"text":        slackEscape.Replace(text.Title),
		"attachments": []obj{{"color": color(m), "blocks": slackBlocks(m, text, interactive)}},
	}
	if to.Channel == "" {
		_, err := n.post(ctx, to.URL.Reveal(), nil, body)
		return "", err
	}
	channel, ts, told := strings.Cut(m.Ref, "/")
	switch {
	case m.Kind == KindUpdate:
		if !told {
			return "", fault.Invalidf("the message cannot be changed: Slack gave no name for it")
		}
		body["channel"], body["ts"] = channel, ts
		return m.Ref, n.slackCall(ctx, "chat.update", body, nil)
	case m.Kind == KindResolved && told:
		// An answer to the page, in its thread, and seen in the channel too.
		body["channel"], body["thread_ts"], body["reply_broadcast"] = channel, ts, true
	default:
		body["channel"] = to.Channel
	}
	var said struct {
		Channel string `json:"channel"`
		TS      string `json:"ts"`
	}
	if err := n.slackCall(ctx, "chat.postMessage", body, &said); err != nil {
		return "", err
	}
	return said.Channel + "/" + said.TS, nil
}

// slackCall calls a method of Slack's Web API, which says what went wrong in the
// body.
func (n *Notifier) slackCall(ctx context.Context, method string, body, answer any) error {
	base := n.config.Slack.APIURL
	if base == "" {
		base = "https://slack.com/api"
	}
	reply, err := n.post(ctx, strings.TrimRight(base, "/")+"/"+method,
		http.Header{"Authorization": {"Bearer " + n.config.Slack.BotToken.Reveal()}}, body)
	if err != nil {
		return err
	}
	var said struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(reply, &said); err != nil {
		return fault.Unavailablef(0, "slack: the answer is not JSON")
	}
	if !said.OK {
		err := fmt.Errorf("slack refused %s: %s", method, said.Error)
		if slices.Contains([]string{"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}, said.Error) {
			return &fault.Error{Kind: fault.Unavailable, Err: err}
		}
		return &fault.Error{Kind: fault.Invalid, Err: err}
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(reply, answer); err != nil {
		return fault.Unavailablef(0, "slack: %w", err)
	}
	return nil
}

// slackBlocks lays a message out: what it is, how it stands, the words, the
// picture, the log lines, and what can be done.
func slackBlocks(m *Message, text Text, interactive bool) []obj {
	section := func(markdown string) obj {
		return obj{"type": "section", "text": obj{"type": "mrkdwn", "text": cut(markdown, slackSection)}}
	}
	blocks := []obj{{"type": "header", "text": obj{"type": "plain_text", "text": cut(text.Title, slackHeader)}}}
	if fields := slackFields(m); len(fields) > 0 {
		blocks = append(blocks, obj{"type": "section", "fields": fields})
	}
	if text.Body != "" {
		blocks = append(blocks, section(slackEscape.Replace(cut(text.Body, slackSection/2))))
	}
	if lines := m.LogLines(); len(lines) > 0 && !m.Over() {
		var b strings.Builder
		for _, l := range lines {
			b.WriteString(l.At.Format("15:04:05 ") + cut(strings.ReplaceAll(l.Text, "```", "'''"), 300) + "\n")
		}
		blocks = append(blocks, section("```"+slackEscape.Replace(cut(strings.TrimSpace(b.String()), slackSection/2))+"```"))
	}
	if m.ChartURL != "" && !m.Over() && len(m.ChartURL) <= slackURL && reachable(m.ChartURL) {
		blocks = append(blocks, obj{"type": "image", "image_url": m.ChartURL, "alt_text": cut("the last hour of "+m.Incident.Title, 1900)})
	}
	if buttons := slackButtons(m, interactive); len(buttons) > 0 {
		blocks = append(blocks, obj{"type": "actions", "elements": buttons})
	}
	return blocks
}

func slackFields(m *Message) (fields []obj) {
	if m.General() {
		return nil
	}
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, obj{"type": "mrkdwn", "text": "*" + name + "*\n" + slackEscape.Replace(cut(value, 300))})
		}
	}
	add("Status", m.StateText())
	add("Severity", m.Incident.Severity)
	if v := m.Value(); v != "" && !m.Over() {
		if t := m.Threshold(); t != "" {
			v += "  (alerts when " + t + ")"
		}
		add("Value", v)
	}
	return fields
}

// slackButtons are at most the 25 that Slack allows. Those that act carry the
// incident's ID: that a click is Slack's own is known by its signature.
func slackButtons(m *Message, interactive bool) (buttons []obj) {
	button := func(label string, more obj) {
		b := obj{"type": "button", "text": obj{"type": "plain_text", "text": label}}
		maps.Copy(b, more)
		buttons = append(buttons, b)
	}
	interactive = interactive && !m.General() // a press names one incident
	act := func(label, action, style string) {
		more := obj{"action_id": action, "value": m.Incident.ID}
		if style != "" {
			more["style"] = style
		}
		button(label, more)
	}
	switch {
	case m.Kind == KindNotice || m.Over():
	case interactive && m.State() == "triggered":
		act("Acknowledge", ActionAcknowledge, "primary")
		act("Resolve", ActionResolve, "")
		act("Snooze 1h", ActionSnooze, "")
	case interactive:
		act("Resolve", ActionResolve, "primary")
		act("Give back", ActionUnacknowledge, "")
	case m.AcknowledgeURL != "":
		button(m.AcknowledgeLabel(), obj{"url": m.AcknowledgeURL, "style": "primary"})
	}
	for _, l := range m.Links() {
		button(l.Label, obj{"url": l.URL})
	}
	return slices.DeleteFunc(buttons, func(b obj) bool {
		link, ok := b["url"].(string)
		return ok && len(link) > slackURL
	})
}

// reachable reports whether a service on the internet could follow a link: it
// refuses the whole message otherwise.
func reachable(link string) bool {
	u, err := url.Parse(link)
	return err == nil && strings.Contains(u.Hostname(), ".") && !strings.HasPrefix(u.Hostname(), "127.")
}

// SlackAnswer tells who pressed a button something that only he sees. The URL came
// in a request that Slack has signed.
func (n *Notifier) SlackAnswer(ctx context.Context, responseURL, text string) error {
	ctx, cancel := context.WithTimeout(ctx, n.Timeout())
	defer cancel()
	if !n.slackHost(responseURL) {
		return fault.Invalidf("the answer's URL is not Slack's")
	}
	_, err := n.post(ctx, responseURL, nil, obj{"response_type": "ephemeral", "replace_original": false, "text": slackEscape.Replace(text)})
	return err
}

func (n *Notifier) slackHost(link string) bool {
	u, err := url.Parse(link)
	if err != nil {
		return false
	}
	if api, err := url.Parse(n.config.Slack.APIURL); err == nil && api.Host != "" {
		return u.Host == api.Host
	}
	return u.Scheme == "https" && (u.Host == "slack.com" || strings.HasSuffix(u.Host, ".slack.com"))
}

// SlackSecret signs what Slack sends; empty where it sends nothing.
func (n *Notifier) SlackSecret() string { return n.config.Slack.SigningSecret.Reveal() }
