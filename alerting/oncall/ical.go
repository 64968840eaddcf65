package oncall

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Feed is an iCalendar feed (RFC 5545) of shifts, one event a shift.
type Feed struct {
	b   bytes.Buffer
	now time.Time
}

// NewFeed returns an empty feed. now is when it is made.
func NewFeed(name, zone string, now time.Time) *Feed {
	f := &Feed{now: now}
	f.line("BEGIN:VCALENDAR")
	f.line("VERSION:2.0")
	f.line("PRODID:-//Belfry//On-call//EN")
	f.line("CALSCALE:GREGORIAN")
	f.line("X-WR-CALNAME:%s", escapeICal(name))
	f.line("X-WR-TIMEZONE:%s", escapeICal(zone))
	return f
}

func (f *Feed) line(format string, args ...any) { fold(&f.b, fmt.Sprintf(format, args...)) }

// Add adds a shift of a schedule; person is how the one on call is named.
func (f *Feed) Add(s *Schedule, sh Shift, person string) {
	f.line("BEGIN:VEVENT")
	f.line("UID:%s-%d@belfry", escapeICal(s.ID+"-"+sh.Person), sh.Start.Unix())
	f.line("DTSTAMP:%s", icalTime(f.now))
	f.line("DTSTART:%s", icalTime(sh.Start))
	f.line("DTEND:%s", icalTime(sh.End))
	f.line("SUMMARY:%s", escapeICal(person+" on call: "+s.Name))
	f.line("TRANSP:TRANSPARENT")
	f.line("END:VEVENT")
}

// Write writes the whole feed.
func (f *Feed) Write(w io.Writer) error {
	f.line("END:VCALENDAR")
	_, err := f.b.WriteTo(w)
	return err
}

// WriteICal writes the shifts of somebody as a feed. name returns how a person is
// called; now is when the feed was made.
func (s *Schedule) WriteICal(w io.Writer, shifts []Shift, name func(id string) string, now time.Time) error {
	f := NewFeed(s.Name, s.Location.String(), now)
	for _, sh := range shifts {
		if sh.Person != "" {
			f.Add(s, sh, name(sh.Person))
		}
	}
	return f.Write(w)
}

func icalTime(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

var icalEscape = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`)

func escapeICal(text string) string { return icalEscape.Replace(text) }

// maxICalLine is how many octets a line may have before it must be folded.
const maxICalLine = 75

// fold writes a content line, folded between runes.
func fold(b *bytes.Buffer, text string) {
	length := 0
	for _, r := range text {
		if n := utf8.RuneLen(r); length+n > maxICalLine {
			b.WriteString("\r\n ")
			length = 1 + n
		} else {
			length += n
		}
		b.WriteRune(r)
	}
	b.WriteString("\r\n")
}
