package notify

import (
	"context"
	"maps"
	"strings"

	"belfry/alerting/oncall"
)

// teamsLimit bounds the text in a card; a message of over 28 KB is refused.
const teamsLimit = 8000

// teams posts an Adaptive Card to a webhook of Teams Workflows.
func (n *Notifier) teams(ctx context.Context, to oncall.Method, m *Message, text Text) error {
	_, err := n.post(ctx, to.URL.Reveal(), nil, obj{
		"type": "message",
		"attachments": []obj{{
			"contentType": "application/vnd.microsoft.card.adaptive",
			"contentUrl":  nil,
			"content":     teamsCard(m, text),
		}},
	})
	return err
}

func teamsCard(m *Message, text Text) obj {
	block := func(text string, more obj) obj {
		b := obj{"type": "TextBlock", "text": text, "wrap": true}
		maps.Copy(b, more)
		return b
	}
	tone := map[string]string{"#2f9e44": "Good", "#e03131": "Attention", "#1971c2": "Accent"}[color(m)]
	if tone == "" {
		tone = "Warning"
	}
	body := []obj{block(teamsEscape(cut(text.Title, 300)), obj{"size": "Large", "weight": "Bolder", "color": tone, "style": "heading"})}
	var facts []obj
	fact := func(title, value string) {
		if value != "" {
			facts = append(facts, obj{"title": title, "value": teamsEscape(cut(value, 300))})
		}
	}
	if !m.General() {
		fact("Status", m.StateText())
		fact("Severity", m.Incident.Severity)
		if !m.Over() {
			fact("Value", m.Value())
			fact("Alerts when", m.Threshold())
		}
		body = append(body, obj{"type": "FactSet", "facts": facts})
	}
	if text.Body != "" {
		body = append(body, block(teamsEscape(cut(text.Body, teamsLimit)), nil))
	}
	if !m.Over() {
		if m.ChartURL != "" && reachable(m.ChartURL) {
			body = append(body, obj{"type": "Image", "url": m.ChartURL, "altText": "the last hour", "size": "Stretch"})
		}
		if lines := m.LogLines(); len(lines) > 0 {
			var b strings.Builder
			for _, l := range lines {
				b.WriteString(l.At.Format("15:04:05 ") + cut(l.Text, 300) + "\n\n")
			}
			body = append(body, block(teamsEscape(cut(strings.TrimSpace(b.String()), teamsLimit)), obj{"fontType": "Monospace", "size": "Small"}))
		}
	}
	var actions []obj
	open := func(title, link string) {
		actions = append(actions, obj{"type": "Action.OpenUrl", "title": title, "url": link})
	}
	if m.AcknowledgeURL != "" && !m.Over() {
		open(m.AcknowledgeLabel(), m.AcknowledgeURL)
	}
	for _, l := range m.Links() {
		open(l.Label, l.URL)
	}
	const shown = 6 // Teams shows no more
	return obj{
		"type": "AdaptiveCard", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "version": "1.4",
		"msteams": obj{"width": "Full"}, "body": body, "actions": actions[:min(len(actions), shown)],
	}
}

// teamsEscape keeps text from being read as Markdown, and its lines apart.
func teamsEscape(text string) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "~", `\~`, "`", "\\`", "<", "&lt;", "\n", "\n\n").Replace(text)
}
