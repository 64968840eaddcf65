package oncall

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// WriteICal writes shifts as an iCalendar feed (RFC 5545), one event a shift.
// name returns how a person is called; now is when the feed was made.
func (s *Schedule) WriteICal(w io.Writer, shifts []Shift, name func(id string) string, now time.Time) error {
	b := bufio.NewWriter(w)
	line := func(format string, args ...any) { fold(b, fmt.Sprintf(format, args...)) }
	line("BEGIN:VCALENDAR")
	line("VERSION:2.0")
	line("PRODID:-//Belfry//On-call//EN")
	line("CALSCALE:GREGORIAN")
	line("X-WR-CALNAME:%s", escapeICal(s.Name))
	line("X-WR-TIMEZONE:%s", escapeICal(s.Location.String()))
	for _, sh := range shifts {
		if sh.Person == "" {
			continue
		}
		line("BEGIN:VEVENT")
		line("UID:%s-%d@belfry", escapeICal(s.ID+"-"+sh.Person), sh.Start.Unix())
		line("DTSTAMP:%s", icalTime(now))
		line("DTSTART:%s", icalTime(sh.Start))
		line("DTEND:%s", icalTime(sh.End))
		line("SUMMARY:%s", escapeICal(name(sh.Person)+" on call: "+s.Name))
		line("TRANSP:TRANSPARENT")
		line("END:VEVENT")
	}
	line("END:VCALENDAR")
	return b.Flush()
}

func icalTime(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

var icalEscape = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`)

func escapeICal(text string) string { return icalEscape.Replace(text) }

// maxICalLine is how many octets a line may have before it must be folded.
const maxICalLine = 75

// fold writes a content line, folded between runes.
func fold(b *bufio.Writer, text string) {
	length := 0
	for _, r := range text {
		if n := utf8.RuneLen(r); length+n > maxICalLine {
			_, _ = b.WriteString("\r\n ")
			length = 1 + n
		} else {
			length += n
		}
		_, _ = b.WriteRune(r)
	}
	_, _ = b.WriteString("\r\n") // errors come back from Flush
}
