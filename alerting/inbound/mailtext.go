package inbound

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"
	"time"

	"belfry/alerting/incident"
	"belfry/alerting/notify"
)

// message is what of a mail counts.
type message struct {
	from, subject, text string
	importance          string
	automatic           bool // written by a machine in answer
}

// The bounds of reading a mail.
const (
	maxText  = 64 << 10 // bytes of its text that are kept
	maxParts = 50
	maxDepth = 5
)

func parseMail(raw []byte) (*message, error) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	dec := mime.WordDecoder{}
	header := func(name string) string {
		text := m.Header.Get(name)
		if decoded, err := dec.DecodeHeader(text); err == nil {
			text = decoded
		}
		return strings.Join(strings.Fields(strings.ToValidUTF8(text, "\uFFFD")), " ")
	}
	out := &message{from: header("From"), subject: header("Subject")}
	if a, err := mail.ParseAddress(m.Header.Get("From")); err == nil {
		out.from = a.Address
	}
	auto := strings.ToLower(header("Auto-Submitted"))
	out.automatic = auto != "" && auto != "no" || header("X-Autoreply") != "" || header("X-Auto-Response-Suppress") != ""
	out.importance = strings.ToLower(header("Importance") + " " + header("X-Priority"))
	parts := 0
	plain, html, err := texts(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body, 0, &parts)
	if err != nil {
		return nil, err
	}
	if out.text = plain; strings.TrimSpace(plain) == "" {
		out.text = stripHTML(html)
	}
	out.text = strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(out.text, "\uFFFD"), "\r\n", "\n"))
	return out, nil
}

// texts returns the first plain and the first HTML text of a body.
func texts(contentType, encoding string, body io.Reader, depth int, parts *int) (plain, html string, err error) {
	if *parts++; *parts > maxParts || depth > maxDepth {
		return "", "", errors.New("the mail has too many parts")
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = "text/plain" // as RFC 2045 says of what says nothing
	}
	if strings.HasPrefix(kind, "multipart/") {
		r := multipart.NewReader(body, params["boundary"])
		for {
			p, err := r.NextRawPart()
			if errors.Is(err, io.EOF) {
				return plain, html, nil
			}
			if err != nil {
				return "", "", fmt.Errorf("read a part: %w", err)
			}
			a, b, err := texts(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p, depth+1, parts)
			if err != nil {
				return "", "", err
			}
			if plain == "" {
				plain = a
			}
			if html == "" {
				html = b
			}
		}
	}
	if kind != "text/plain" && kind != "text/html" {
		return "", "", nil
	}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, err := io.ReadAll(io.LimitReader(body, maxText))
	if err != nil {
		return "", "", fmt.Errorf("decode the text: %w", err)
	}
	if kind == "text/html" {
		return "", string(text), nil
	}
	return string(text), "", nil
}

var (
	tags   = regexp.MustCompile(`(?s)<(script|style).*?</(script|style)>|<[^>]*>`)
	blanks = regexp.MustCompile(`\n\s*\n+`)
)

func stripHTML(text string) string {
	text = regexp.MustCompile(`(?i)<(br|/p|/div|/tr)[^>]*>`).ReplaceAllString(text, "\n")
	text = tags.ReplaceAllString(text, "")
	text = strings.NewReplacer("&nbsp;", " ", "&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#39;", "'", "&amp;", "&").Replace(text)
	return blanks.ReplaceAllString(text, "\n")
}

// answerText is what an answer says, without what it quotes.
func (m *message) answerText() string {
	var out []string
	for line := range strings.SplitSeq(m.text, "\n") {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, ">") || trimmed == "--" || quoteHead.MatchString(trimmed) {
			break
		}
		out = append(out, line)
	}
	return incident.Clip(strings.TrimSpace(strings.Join(out, "\n")), maxNoteText)
}

// maxNoteText is what a note may have.
const maxNoteText = 4000

// quoteHead is the line over a quotation, in the languages that mail programs write
// it in most often.
var quoteHead = regexp.MustCompile(`(?i)^(on|am|le|el|il) .{4,200}(wrote|schrieb|a écrit|escribió|ha scritto):?$|^-{2,}\s*(original message|forwarded message)|^_{10,}$`)

var commandPattern = regexp.MustCompile(`(?i)^\W*(ack|acknowledge|acknowledged|resolve|resolved|close|unack|unacknowledge|snooze)\b[\s:]*(\d+\s*[hmd])?`)

// command returns what an answer's first line, or the subject of one without text,
// orders.
func command(m *message) (press, bool) {
	text := m.answerText()
	if text == "" {
		text = m.subject
	}
	first, _, _ := strings.Cut(text, "\n")
	found := commandPattern.FindStringSubmatch(first)
	if found == nil {
		return press{}, false
	}
	p := press{}
	switch strings.ToLower(found[1]) {
	case "ack", "acknowledge", "acknowledged":
		p.action = notify.ActionAcknowledge
	case "unack", "unacknowledge":
		p.action = notify.ActionUnacknowledge
	case "snooze":
		p.action = notify.ActionSnooze
		if text := strings.ToLower(strings.ReplaceAll(found[2], " ", "")); strings.HasSuffix(text, "d") {
			var days int
			_, _ = fmt.Sscanf(text, "%dd", &days)
			p.snooze = time.Duration(min(days, 30)) * 24 * time.Hour
		} else if text != "" {
			p.snooze, _ = time.ParseDuration(text)
			p.snooze = min(p.snooze, 30*24*time.Hour)
		}
	default:
		p.action = notify.ActionResolve
	}
	return p, true
}

var (
	over  = regexp.MustCompile(`(?i)^\W*(resolved|recovery|recovered|ok|closed|up)\b[\s:\])-]*`)
	noise = regexp.MustCompile(`(?i)^\s*((re|fwd?|aw|wg)\s*:|\W*(problem|alert|firing|alarm|down)\b[\s:\])-]*)\s*`)
)

// about returns what a mail that pages is about, and whether it says that it is
// over. Both words are left out of the title, so that the two mails are about the
// same.
func (m *message) about() (title string, isOver bool) {
	title = m.subject
	for {
		cut := noise.ReplaceAllString(title, "")
		if rest := over.ReplaceAllString(cut, ""); rest != cut {
			isOver, cut = true, rest
		}
		if cut == title {
			break
		}
		title = cut
	}
	if title = strings.TrimSpace(title); title == "" {
		title = "Mail from " + m.from
	}
	return incident.Clip(title, 250), isOver
}

// severity is what the mail's importance says; a page is critical otherwise.
func (m *message) severity() string {
	switch {
	case strings.Contains(m.importance, "low"), strings.Contains(m.importance, "5"):
		return "info"
	case strings.Contains(m.importance, "normal"), strings.Contains(m.importance, "3"):
		return "warning"
	}
	return "critical"
}
