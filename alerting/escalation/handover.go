package escalation

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/state"
	"belfry/internal/tenant"
)

// Coverage says that a time in which nobody is on call is an incident.
type Coverage struct {
	Schedule string         `yaml:"schedule"`
	Policy   string         `yaml:"policy"`
	Within   model.Duration `yaml:"within"`   // how far ahead gaps are looked for; 0: 7d
	Severity string         `yaml:"severity"` // empty: warning
}

// The bounds and rhythm of looking at schedules.
const (
	defaultWithin = 7 * 24 * time.Hour
	maxWithin     = 90 * 24 * time.Hour
	rosterLook    = time.Minute
	lateNotice    = 10 * time.Minute // how late a notice is still worth sending
	maxGapLines   = 10
)

// rosterChanged makes the engine look at the schedules soon.
func (e *Engine) rosterChanged() {
	e.rosterAt.Store(0)
	e.wake()
}

// rosterDue returns when the schedules are to be looked at; zero where nobody asked
// to be told about them.
func (e *Engine) rosterDue() time.Time {
	if !e.setup.Load().watched {
		return time.Time{}
	}
	return state.Time(max(e.rosterAt.Load(), 1))
}

// watches reports whether hand-overs or gaps are to be told.
func watches(s Settings) bool {
	for _, c := range s.OnCall.Schedules {
		if c.HandoverNotice > 0 {
			return true
		}
	}
	return len(s.Escalation.Coverage) > 0
}

// checkRoster tells of hand-overs and gaps that are due.
func (e *Engine) checkRoster(ctx context.Context) error {
	now := e.now()
	if due := e.rosterDue(); due.IsZero() || now.Before(due) {
		return nil
	}
	s := e.setup.Load()
	for _, schedule := range s.directory.Schedules() {
		if schedule.HandoverNotice > 0 {
			if err := e.checkHandover(ctx, schedule, now); err != nil {
				return fmt.Errorf("schedule %s: %w", schedule.ID, err)
			}
		}
	}
	for _, c := range s.settings.Escalation.Coverage {
		if err := e.checkCoverage(ctx, s.directory, c, now); err != nil {
			return fmt.Errorf("coverage of %s: %w", c.Schedule, err)
		}
	}
	e.rosterAt.Store(now.Add(rosterLook).UnixMilli())
	return nil
}

// checkHandover tells the people of the hand-overs that are near, each once: how far
// they were told is stored with the messages.
func (e *Engine) checkHandover(ctx context.Context, s *oncall.Schedule, now time.Time) error {
	return e.db.Update(ctx, func(tx *state.Tx) error {
		var told int64
		err := tx.QueryRow(ctx, `SELECT told_at FROM oncall_handovers WHERE tenant = ? AND schedule = ?`, tenant.Default, s.ID).Scan(&told)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		from, to := now.Add(-lateNotice), now.Add(s.HandoverNotice).Add(time.Millisecond)
		if last := state.Time(told); last.After(from) {
			from = last
		}
		overrides, err := overridesBetween(ctx, tx, tenant.Default, s.ID, from.Add(-time.Second), to.Add(shiftLook))
		if err != nil {
			return err
		}
		shifts := s.Shifts(from.Add(-time.Second), to.Add(shiftLook), overrides)
		for i := 1; i < len(shifts); i++ {
			before, after := shifts[i-1], shifts[i]
			if !after.Start.After(from) || after.Start.After(to) || before.Person == after.Person {
				continue
			}
			told = after.Start.UnixMilli()
			if err := e.tellHandover(ctx, tx, s, before, after); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `INSERT INTO oncall_handovers (tenant, schedule, told_at) VALUES (?, ?, ?)
			ON CONFLICT (tenant, schedule) DO UPDATE SET told_at = excluded.told_at`, tenant.Default, s.ID, max(told, state.Millis(from)))
		return err
	})
}

// shiftLook is how far the end of the next shift is looked for.
const shiftLook = 15 * 24 * time.Hour

func (e *Engine) tellHandover(ctx context.Context, tx *state.Tx, s *oncall.Schedule, before, after oncall.Shift) error {
	key := fmt.Sprintf("handover/%s/%d", s.ID, after.Start.UnixMilli())
	start := when(after.Start, s.Location)
	if after.Person != "" {
		text := fmt.Sprintf("You are on call for %s from %s to %s.", s.Name, start, when(after.End, s.Location))
		if before.Person != "" {
			text += " You take over from " + e.name(before.Person) + "."
		}
		if err := e.notice(ctx, tx, tenant.Default, after.Person, key, "You are on call next: "+s.Name, text); err != nil {
			return err
		}
	}
	if before.Person == "" {
		return nil
	}
	next := "Nobody takes over: there is a gap in the schedule."
	if after.Person != "" {
		next = e.name(after.Person) + " takes over."
	}
	return e.notice(ctx, tx, tenant.Default, before.Person, key, "Your time on call ends: "+s.Name,
		fmt.Sprintf("Your time on call for %s ends at %s. %s", s.Name, start, next))
}

// notice queues a message to a person that is about no incident, the way that he is
// told of things that are not urgent: at once by the methods for severity info,
// where contact rules say so. The same key tells him once.
func (e *Engine) notice(ctx context.Context, tx *state.Tx, tenantID, person, key, title, text string) error {
	s := e.setup.Load()
	p, ok := s.directory.Person(person)
	if !ok {
		return nil
	}
	data, err := json.Marshal(notify.Notice{Title: title, Text: text})
	if err != nil {
		return err
	}
	now := e.now()
	for _, c := range contacts(p, "info") {
		o := outboxRow{key: strings.Join([]string{tenantID, key, person, c.method}, "/"), tenant: tenantID, kind: notify.KindNotice,
			person: person, method: c.method, due: now.Add(c.after), data: string(data)}
		o.expires = o.due.Add(s.notifier.GiveUpAfter())
		if _, err := insertRow(ctx, tx, o, now); err != nil {
			return err
		}
	}
	return nil
}

// checkCoverage opens an incident about the gaps ahead in a schedule, and resolves it
// when there are none.
func (e *Engine) checkCoverage(ctx context.Context, d *oncall.Directory, c Coverage, now time.Time) error {
	s, ok := d.Schedule(c.Schedule)
	if !ok {
		return nil
	}
	within := time.Duration(c.Within)
	if within == 0 {
		within = defaultWithin
	}
	overrides, err := e.Overrides(ctx, tenant.Default, s.ID, now, now.Add(within))
	if err != nil {
		return err
	}
	gaps := s.Gaps(now, now.Add(within), overrides)
	key := SourceKey("coverage", s.ID)
	open, err := e.OpenIncident(ctx, tenant.Default, key)
	if err != nil {
		return err
	}
	if len(gaps) == 0 {
		if open != nil {
			_, err = e.Signal(ctx, Signal{Tenant: tenant.Default, Key: key, Actor: "coverage of " + s.ID, Time: now})
		}
		return err
	}
	var lines []string
	for _, g := range gaps[:min(len(gaps), maxGapLines)] {
		lines = append(lines, when(g.Start, s.Location)+" to "+when(g.End, s.Location))
	}
	summary := fmt.Sprintf("nobody is on call for %s: %s", s.Name, strings.Join(lines, "; "))
	if more := len(gaps) - len(lines); more > 0 {
		summary += fmt.Sprintf("; and %d more", more)
	}
	if open != nil && (open.Annotations["gap"] == gapID(gaps)) {
		return nil
	}
	severity := c.Severity
	if severity == "" {
		severity = "warning"
	}
	labels := map[string]string{"alertname": "OnCallGap", "schedule": s.ID, "severity": severity}
	annotations := map[string]string{"summary": summary, "gap": gapID(gaps)}
	_, err = e.Signal(ctx, Signal{
		Tenant: tenant.Default, Source: incident.SourceCoverage, Key: key, Policy: c.Policy, Firing: true, Time: now, Rule: "OnCallGap",
		Title: "Nobody will be on call: " + s.Name, Summary: summary, Severity: severity, GroupLabels: map[string]string{"schedule": s.ID},
		Labels: labels, Annotations: annotations,
		Alerts: []incident.Alert{{Fingerprint: key[:16], Status: incident.AlertFiring, Labels: labels, Annotations: annotations, StartsAt: now}},
	})
	return err
}

// gapID is the same as long as the first gap is the same.
func gapID(gaps []oncall.Shift) string {
	return fmt.Sprintf("%d/%d", gaps[0].End.UnixMilli(), len(gaps))
}

// Covered returns the schedules whose gaps are incidents.
func (e *Engine) Covered() (out []string) {
	for _, c := range e.setup.Load().settings.Escalation.Coverage {
		out = append(out, c.Schedule)
	}
	return out
}
