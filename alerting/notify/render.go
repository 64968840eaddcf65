package notify

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	"text/template"

	"belfry/alerting/incident"
)

// Text is a message in words.
type Text struct {
	Title string // one line
	Body  string // plain text, without the links
	HTML  string // a whole document, with the links
}

// maxBody bounds a rendered body; every service refuses more, some earlier.
const maxBody = 16 << 10

// renderer turns messages into words.
type renderer struct {
	title, text *template.Template
	html        *htmltemplate.Template
}

const defaultTitle = `[{{ if eq .Kind "resolved" }}RESOLVED{{ else }}{{ upper .Incident.Severity }}{{ end }}] #{{ .Incident.Number }} {{ .Incident.Title }}`

const defaultText = `{{ with .Incident.Summary }}{{ . }}
{{ end }}{{ with .Value }}Value: {{ . }}
{{ end }}{{ with labels .Incident.Labels }}Labels: {{ . }}
{{ end }}{{ if eq .Kind "resolved" }}Open for {{ since .Incident.OpenedAt .Incident.ResolvedAt }}{{ with .Incident.ResolvedBy }}, resolved by {{ . }}{{ end }}.
{{ else }}{{ $firing := .Firing }}{{ if gt (len $firing) 1 }}{{ len $firing }} alerts firing:
{{ range $i, $a := $firing }}{{ if lt $i 10 }}- {{ alert $a }}
{{ end }}{{ end }}{{ end }}{{ with .MoreAlerts }}and {{ . }} more alerts
{{ end }}{{ end }}{{ with .RunbookURL }}Runbook: {{ . }}
{{ end }}`

const defaultHTML = `<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>{{ .Title }}</title></head>
<body style="font-family:sans-serif;color:#1c2024;max-width:640px">
<h2 style="font-size:18px;border-left:4px solid {{ .Color }};padding-left:10px">{{ .Title }}</h2>
<pre style="font-family:inherit;white-space:pre-wrap">{{ .Body }}</pre>
<p>{{ with .AcknowledgeURL }}<a href="{{ . }}" style="background:#1c2024;color:#fff;padding:8px 14px;border-radius:4px;text-decoration:none">Acknowledge</a>&nbsp; {{ end }}
{{ with .IncidentURL }}<a href="{{ . }}">Open incident</a>{{ end }}</p>
</body></html>
`

func newRenderer(t Templates) (*renderer, error) {
	funcs := template.FuncMap{
		"upper": strings.ToUpper, "lower": strings.ToLower, "join": strings.Join,
		"labels": labelText, "alert": alertText, "since": durationText,
	}
	if t.Title == "" {
		t.Title = defaultTitle
	}
	if t.Text == "" {
		t.Text = defaultText
	}
	var r renderer
	var err error
	if r.title, err = template.New("title").Funcs(funcs).Parse(t.Title); err != nil {
		return nil, fmt.Errorf("messages.title: %w", err)
	}
	if r.text, err = template.New("text").Funcs(funcs).Parse(t.Text); err != nil {
		return nil, fmt.Errorf("messages.text: %w", err)
	}
	if r.html, err = htmltemplate.New("html").Parse(defaultHTML); err != nil {
		return nil, err
	}
	return &r, nil
}

// render never fails: where a user's template does, its error is the text, since
// a page with a bad text is better than none.
func (r *renderer) render(m *Message) Text {
	var out Text
	out.Title = strings.Join(strings.Fields(execute(r.title, m)), " ")
	out.Title = incident.Clip(out.Title, 300)
	out.Body = incident.Clip(strings.TrimSpace(execute(r.text, m)), maxBody)
	var b bytes.Buffer
	err := r.html.Execute(&b, struct {
		Text
		Color, AcknowledgeURL, IncidentURL string
	}{out, color(m), m.AcknowledgeURL, m.IncidentURL})
	if err == nil {
		out.HTML = b.String()
	}
	return out
}

func execute(t *template.Template, m *Message) string {
	var b strings.Builder
	if err := t.Execute(&b, m); err != nil {
		return fmt.Sprintf("#%d %s (the %s template failed: %s)", m.Incident.Number, m.Incident.Title, t.Name(), err)
	}
	return b.String()
}

// color is the color of a message where a service shows one.
func color(m *Message) string {
	if m.Kind == KindResolved {
		return "#2f9e44"
	}
	switch m.Incident.Severity {
	case "critical", "page", "error":
		return "#e03131"
	case "info", "none":
		return "#1971c2"
	}
	return "#f08c00"
}

func labelText(labels map[string]string) string {
	keys := make([]string, 0, len(labels))
	for k := range labels {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		keys[i] = k + "=" + labels[k]
	}
	return strings.Join(keys, ", ")
}

func alertText(a incident.Alert) string {
	text := a.Annotations["summary"]
	if text == "" {
		text = labelText(a.Labels)
	}
	if v := a.Annotations["value"]; v != "" {
		text += " (value " + v + ")"
	}
	return text
}
