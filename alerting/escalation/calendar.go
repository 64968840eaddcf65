package escalation

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/oklog/ulid/v2"

	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
	"belfry/internal/state"
	"belfry/internal/tenant"
)

// How far calendars are imported: what is past stays as it was.
const (
	importBack    = 24 * time.Hour
	importForward = 400 * 24 * time.Hour
)

// ImportResult says what came of an import.
type ImportResult struct {
	Imported int      `json:"imported"` // shifts
	Skipped  []string `json:"skipped"`  // events, with the reason
}

// Import makes the events of an iCal calendar overrides of a schedule, in place of
// those that were imported from a calendar of the same name before. A calendar that
// cannot be read changes nothing.
func (e *Engine) Import(ctx context.Context, tenantID, schedule, calendar string, r io.Reader) (ImportResult, error) {
	d := e.Directory()
	s, ok := d.Schedule(schedule)
	if !ok {
		return ImportResult{}, fault.NotFoundf("there is no schedule %q", schedule)
	}
	if calendar == "" || len(calendar) > maxCalendarName {
		return ImportResult{}, fault.Invalidf("a calendar's name has 1 to %d bytes", maxCalendarName)
	}
	now := e.now()
	shifts, skipped, err := oncall.ReadICal(r, s.Location, now.Add(-importBack), now.Add(importForward), d.Named)
	if err != nil {
		return ImportResult{}, err
	}
	err = e.db.Update(ctx, func(tx *state.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM oncall_overrides WHERE tenant = ? AND schedule = ? AND source = ? AND ends_at > ?`,
			tenantID, schedule, calendar, state.Millis(now.Add(-importBack))); err != nil {
			return err
		}
		for _, sh := range shifts {
			o := oncall.Override{ID: ulid.Make().String(), Schedule: schedule, Person: sh.Person, Start: sh.Start, End: sh.End,
				Reason: sh.Event, CreatedBy: "calendar " + calendar, CreatedAt: now, Calendar: calendar}
			if err := insertOverride(ctx, tx, tenantID, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return ImportResult{}, err
	}
	e.rosterChanged()
	return ImportResult{Imported: len(shifts), Skipped: append([]string{}, skipped...)}, nil
}

const maxCalendarName = 500

// RunCalendars follows the calendars of the schedules until ctx is done. A feed that
// cannot be read leaves what it said before in force.
func (e *Engine) RunCalendars(ctx context.Context) error {
	client := notify.NewHTTPClient()
	defer client.CloseIdleConnections()
	due := map[string]time.Time{}
	for {
		for _, s := range e.Directory().Schedules() {
			for _, c := range s.Calendars {
				key := s.ID + "\n" + c.URL.Reveal()
				if now := e.now(); !now.Before(due[key]) {
					due[key] = now.Add(e.followOnce(ctx, client, s.ID, c))
				}
			}
		}
		select {
		case <-e.clock.After(calendarLook):
		case <-ctx.Done():
			return nil
		}
	}
}

// The waits of following calendars.
const (
	calendarLook    = 30 * time.Second // between looks at what is due
	calendarRefresh = time.Hour
	calendarAgain   = 5 * time.Minute // after a failure
	calendarTimeout = 30 * time.Second
)

// followOnce imports a feed once and returns when to do so again.
func (e *Engine) followOnce(ctx context.Context, client *http.Client, schedule string, c oncall.CalendarConfig) time.Duration {
	refresh := time.Duration(c.Refresh)
	if refresh == 0 {
		refresh = calendarRefresh
	}
	ctx, cancel := context.WithTimeout(ctx, calendarTimeout)
	defer cancel()
	result, err := e.fetchCalendar(ctx, client, schedule, c)
	if err != nil {
		if ctx.Err() == nil {
			e.log.Error("a calendar cannot be followed, what it said before stays in force", "schedule", schedule, "error", err)
		}
		return min(refresh, calendarAgain)
	}
	for _, why := range result.Skipped {
		e.log.Warn("an event of a calendar is left out", "schedule", schedule, "event", why)
	}
	return refresh
}

func (e *Engine) fetchCalendar(ctx context.Context, client *http.Client, schedule string, c oncall.CalendarConfig) (ImportResult, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL.Reveal(), nil)
	if err != nil {
		return ImportResult{}, fault.Invalidf("the URL is not valid")
	}
	resp, err := client.Do(req)
	if err != nil {
		return ImportResult{}, fmt.Errorf("%s does not answer", req.URL.Host) // the URL is a secret
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return ImportResult{}, fmt.Errorf("%s answered %d", req.URL.Host, resp.StatusCode)
	}
	// Named by its place, because its URL is a secret.
	name := "feed " + SourceKey(c.URL.Reveal())[:12]
	return e.Import(ctx, tenant.Default, schedule, name, resp.Body)
}
