package oncall

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-ical"

	"belfry/internal/fault"
)

// The bounds of a calendar that is imported.
const (
	maxCalendar   = 4 << 20 // bytes
	maxComponents = 20_000
	maxImported   = 5_000  // shifts
	maxSteps      = 50_000 // repetitions that are looked at, of all events together
)

// Imported is a time that an event of a calendar puts somebody on call.
type Imported struct {
	Person     string
	Start, End time.Time
	Event      string // its summary
}

// ReadICal returns the shifts that the events of a calendar (RFC 5545, with
// repetitions) say between from and to, in order, and why events were left out.
// Times without a zone are in loc. named returns the person whom a summary or an
// attendee means. The error is of a calendar that cannot be read at all.
func ReadICal(r io.Reader, loc *time.Location, from, to time.Time, named func(string) (string, bool)) (shifts []Imported, skipped []string, err error) {
	// The library panics on some broken lines.
	defer func() {
		if p := recover(); p != nil {
			shifts, skipped, err = nil, nil, fault.Invalidf("the calendar cannot be read: %v", p)
		}
	}()
	raw, err := io.ReadAll(io.LimitReader(r, maxCalendar+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("read the calendar: %w", err)
	case len(raw) > maxCalendar:
		return nil, nil, fault.New(fault.TooLarge, "the calendar is over %d bytes", maxCalendar)
	case bytes.Count(bytes.ToUpper(raw), []byte("BEGIN:")) > maxComponents:
		return nil, nil, fault.New(fault.TooLarge, "the calendar has over %d components", maxComponents)
	}
	cal, err := ical.NewDecoder(bytes.NewReader(raw)).Decode()
	if err != nil {
		return nil, nil, fault.Invalidf("the calendar cannot be read: %w", err)
	}
	rd := icalReader{loc: loc, from: from, to: to, named: named, moved: map[string]bool{}, steps: maxSteps}
	events := cal.Events()
	for _, e := range events {
		if p := e.Props.Get(ical.PropRecurrenceID); p != nil {
			if t, err := p.DateTime(loc); err == nil {
				rd.moved[uid(e)+t.UTC().String()] = true
			}
		}
	}
	for _, e := range events {
		if err := rd.event(e); err != nil {
			skipped = append(skipped, fmt.Sprintf("%q: %s", summary(e), err))
		}
		if len(rd.out) > maxImported {
			return nil, nil, fault.New(fault.TooLarge, "the calendar says over %d shifts", maxImported)
		}
	}
	slices.SortStableFunc(rd.out, func(a, b Imported) int { return a.Start.Compare(b.Start) })
	return rd.out, skipped, nil
}

type icalReader struct {
	loc      *time.Location
	from, to time.Time
	named    func(string) (string, bool)
	moved    map[string]bool // repetitions that an event of their own replaces
	steps    int
	out      []Imported
}

func uid(e ical.Event) string { text, _ := e.Props.Text(ical.PropUID); return text }

func summary(e ical.Event) string { text, _ := e.Props.Text(ical.PropSummary); return text }

func (r *icalReader) event(e ical.Event) error {
	if status, _ := e.Status(); status == ical.EventCancelled {
		return nil
	}
	start, err := e.DateTimeStart(r.loc)
	if err != nil {
		return fmt.Errorf("DTSTART: %w", err)
	}
	end, err := e.DateTimeEnd(r.loc)
	if err != nil {
		return fmt.Errorf("DTEND: %w", err)
	}
	length := end.Sub(start)
	if length <= 0 {
		return errors.New("it does not end after it starts")
	}
	person, err := r.person(e)
	if err != nil {
		return err
	}
	set, err := e.RecurrenceSet(r.loc)
	if err != nil {
		return fmt.Errorf("RRULE: %w", err)
	}
	if set == nil || e.Props.Get(ical.PropRecurrenceID) != nil {
		r.add(person, start, length, summary(e))
		return nil
	}
	next := set.Iterator()
	for {
		at, more := next()
		if !more || !at.Before(r.to) {
			return nil
		}
		if r.steps--; r.steps < 0 {
			return fmt.Errorf("it repeats too often to be followed up to %s", r.to.Format(time.DateOnly))
		}
		if !r.moved[uid(e)+at.UTC().String()] {
			r.add(person, at, length, summary(e))
		}
	}
}

func (r *icalReader) add(person string, start time.Time, length time.Duration, text string) {
	if end := start.Add(length); end.After(r.from) && start.Before(r.to) {
		r.out = append(r.out, Imported{Person: person, Start: start.UTC(), End: end.UTC(), Event: text})
	}
}

// person returns who the event is about: by its summary, else its attendees.
func (r *icalReader) person(e ical.Event) (string, error) {
	if id, ok := r.named(summary(e)); ok {
		return id, nil
	}
	for _, p := range e.Props.Values(ical.PropAttendee) {
		for _, text := range []string{p.Value, p.Params.Get(ical.ParamCommonName)} {
			if id, ok := r.named(strings.TrimSpace(text)); ok {
				return id, nil
			}
		}
	}
	return "", errors.New("it names nobody who is known")
}
