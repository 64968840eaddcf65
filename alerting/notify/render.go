package notify

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	"text/template"
	"time"

	"belfry/alerting/incident"
	"belfry/alerting/oncall"
)

// Text is a message in words.
type Text struct {
	Title string // one line
	Body  string // plain text, without the links
	HTML  string // a whole document, with the links
}

// maxBody bounds a rendered body; every service refuses more, some earlier.
const maxBody = 16 << 10

// renderer turns messages into words, for each type of contact method.
type renderer struct {
	words  words
	byType map[string]words
	html   *htmltemplate.Template
}

// words are the templates of one type of contact method.
type words struct{ title, text *template.Template }

const defaultTitle = `[{{ if .Over }}RESOLVED{{ else }}{{ upper .Incident.Severity }}{{ end }}] #{{ .Incident.Number }} {{ .Incident.Title }}`

const defaultText = `{{ with .Incident.Summary }}{{ . }}
{{ end }}{{ with .Value }}Value: {{ . }}{{ with $.Threshold }} (alerts when {{ . }}){{ end }}
{{ end }}{{ with labels .Incident.Labels }}Labels: {{ . }}
{{ end }}{{ if .Over }}Open for {{ since .Incident.OpenedAt .Incident.ResolvedAt }}{{ with .Incident.ResolvedBy }}, resolved by {{ . }}{{ end }}.
{{ else }}{{ $firing := .Firing }}{{ if gt (len $firing) 1 }}{{ len $firing }} alerts firing:
{{ range $i, $a := $firing }}{{ if lt $i 10 }}- {{ alert $a }}
{{ end }}{{ end }}{{ end }}{{ with .MoreAlerts }}and {{ . }} more alerts
{{ end }}{{ end }}{{ with .RunbookURL }}Runbook: {{ . }}
{{ end }}`

func newRenderer(m Messages) (*renderer, error) {
	r := &renderer{byType: map[string]words{}}
	var err error
	if r.words, err = newWords(m.Templates); err != nil {
		return nil, fmt.Errorf("messages.%w", err)
	}
	for name, t := range m.ByType {
		if t.Title == "" {
			t.Title = m.Title
		}
		if t.Text == "" {
			t.Text = m.Text
		}
		if r.byType[name], err = newWords(t); err != nil {
			return nil, fmt.Errorf("messages.by_type.%s.%w", name, err)
		}
	}
	r.html, err = htmltemplate.New("html").Funcs(htmltemplate.FuncMap{"clock": func(t time.Time) string { return t.Format("15:04:05") }}).Parse(emailHTML)
	return r, err
}

func newWords(t Templates) (w words, err error) {
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
	if w.title, err = template.New("title").Funcs(funcs).Parse(t.Title); err != nil {
		return w, fmt.Errorf("title: %w", err)
	}
	if w.text, err = template.New("text").Funcs(funcs).Parse(t.Text); err != nil {
		return w, fmt.Errorf("text: %w", err)
	}
	return w, nil
}

// render never fails: where a user's template does, its error is the text, since
// a page with a bad text is better than none.
func (r *renderer) render(methodType string, m *Message) Text {
	var out Text
	w, own := r.byType[methodType]
	if !own {
		w = r.words
	}
	if m.General() {
		out.Title, out.Body = m.Notice.Title, m.Notice.Text
	} else {
		out.Title, out.Body = execute(w.title, m), strings.TrimSpace(execute(w.text, m))
	}
	out.Title = incident.Clip(strings.Join(strings.Fields(out.Title), " "), 300)
	out.Body = incident.Clip(out.Body, maxBody)
	if methodType != oncall.MethodEmail {
		return out
	}
	var b bytes.Buffer
	err := r.html.Execute(&b, struct {
		Text
		*Message
		Color   string
		Picture bool
	}{out, m, color(m), hasPicture(m)})
	if err == nil {
		out.HTML = b.String()
	}
	return out
}

// hasPicture reports whether a chart goes with the message.
func hasPicture(m *Message) bool { return !m.Over() && m.Evidence.Drawable() }

func execute(t *template.Template, m *Message) string {
	var b strings.Builder
	if err := t.Execute(&b, m); err != nil {
		return fmt.Sprintf("#%d %s (the %s template failed: %s)", m.Incident.Number, m.Incident.Title, t.Name(), err)
	}
	return b.String()
}

// color is the color of a message where a service shows one.
func color(m *Message) string {
	switch {
	case m.Over():
		return "#2f9e44"
	case m.Kind == KindNotice:
		return "#1971c2"
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
