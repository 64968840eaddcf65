package incident

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Report is everything that a postmortem begins with.
type Report struct {
	Incident *Incident
	Alerts   []Alert
	Merged   []*Incident
	Timeline []Event
	Queries  []Query
	LogLines []string
	Chart    string // link to a picture; empty for none
	Link     string // to the incident; empty for none
	// Name returns how a person is called.
	Name func(id string) string
}

// Query is one that draws or lists what an incident was about.
type Query struct{ What, Language, Text string }

// WriteMarkdown writes the report, with headings for what people have to say.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	i := r.Incident
	fmt.Fprintf(&b, "# Postmortem: #%d %s\n\n", i.Number, inline(i.Title))
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, cell(value))
		}
	}
	b.WriteString("| | |\n|---|---|\n")
	row("Status", string(i.Status))
	row("Severity", i.Severity)
	row("Opened", stamp(i.OpenedAt))
	if !i.FirstAcknowledgedAt.IsZero() {
		row("Acknowledged", stamp(i.FirstAcknowledgedAt)+", after "+took(i.OpenedAt, i.FirstAcknowledgedAt)+by(r.name(i.AcknowledgedBy)))
	}
	if !i.ResolvedAt.IsZero() {
		row("Resolved", stamp(i.ResolvedAt)+", after "+took(i.OpenedAt, i.ResolvedAt)+by(r.name(i.ResolvedBy)))
	}
	row("Policy", i.Policy)
	row("Source", i.Source)
	row("Link", i.link(r.Link))
	b.WriteString("\n## Summary\n\n")
	if i.Summary != "" {
		b.WriteString(inline(i.Summary) + "\n\n")
	}
	b.WriteString("_What happened, in two sentences._\n\n## Impact\n\n_Who noticed what, for how long._\n\n## Root cause\n\n_Why it happened._\n\n")
	r.evidence(&b)
	r.alerts(&b)
	r.timeline(&b)
	b.WriteString("\n## What went well\n\n- \n\n## What went badly\n\n- \n\n## Action items\n\n- [ ] \n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (i *Incident) link(link string) string {
	if link == "" {
		return ""
	}
	return "<" + link + ">"
}

func (r *Report) name(id string) string {
	if r.Name == nil || id == "" {
		return id
	}
	return r.Name(id)
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return ", by " + who
}

func (r *Report) evidence(b *strings.Builder) {
	if len(r.Queries) == 0 && len(r.LogLines) == 0 {
		return
	}
	b.WriteString("## Evidence\n\n")
	if r.Chart != "" {
		fmt.Fprintf(b, "![the hour before the first page](%s)\n\n", r.Chart)
	}
	for _, q := range r.Queries {
		fmt.Fprintf(b, "%s (%s):\n\n%s\n\n", q.What, q.Language, fenced(q.Text))
	}
	if len(r.LogLines) > 0 {
		b.WriteString("Newest log lines at the first page:\n\n" + fenced(strings.Join(r.LogLines, "\n")) + "\n\n")
	}
}

func (r *Report) alerts(b *strings.Builder) {
	if len(r.Alerts) == 0 {
		return
	}
	b.WriteString("## Alerts\n\n| Alert | Labels | From | To | Value |\n|---|---|---|---|---|\n")
	const shown = 100
	for _, a := range r.Alerts[:min(len(r.Alerts), shown)] {
		name := a.Labels["alertname"]
		if name == "" {
			name = a.Fingerprint
		}
		end := "still firing"
		if a.Status == AlertResolved {
			end = stamp(a.EndsAt)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", cell(name), cell(labelList(a.Labels)), stamp(a.StartsAt), end, cell(a.Annotations["value"]))
	}
	if more := len(r.Alerts) - shown; more > 0 {
		fmt.Fprintf(b, "\nand %d more\n", more)
	}
	b.WriteByte('\n')
	for _, m := range r.Merged {
		fmt.Fprintf(b, "- #%d %s was merged into this\n", m.Number, inline(m.Title))
	}
}

func (r *Report) timeline(b *strings.Builder) {
	b.WriteString("\n## Timeline\n\nTimes are UTC.\n\n| Time | Event | Who | What |\n|---|---|---|---|\n")
	for _, e := range r.Timeline {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", e.At.UTC().Format("2006-01-02 15:04:05"), strings.ReplaceAll(string(e.Kind), "_", " "),
			cell(r.name(e.Actor)), cell(e.Message))
	}
}

func labelList(labels map[string]string) string {
	var out []string
	for _, k := range sortedKeys(labels) {
		if k != "alertname" {
			out = append(out, k+"="+labels[k])
		}
	}
	return strings.Join(out, ", ")
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func took(from, to time.Time) string { return to.Sub(from).Round(time.Second).String() }

var markdown = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", "`", "\\`", "#", `\#`)

// inline keeps text from outside from being Markdown.
func inline(text string) string { return markdown.Replace(strings.Join(strings.Fields(text), " ")) }

// cell is inline text of a table.
func cell(text string) string {
	if strings.HasPrefix(text, "<http") && strings.HasSuffix(text, ">") {
		return text
	}
	return strings.ReplaceAll(inline(text), "|", `\|`)
}

// fenced is text as code, in a fence that it cannot end.
func fenced(text string) string {
	fence := "```"
	for slices.ContainsFunc(strings.Split(text, "\n"), func(l string) bool { return strings.Contains(l, fence) }) {
		fence += "`"
	}
	return fence + "\n" + text + "\n" + fence
}
