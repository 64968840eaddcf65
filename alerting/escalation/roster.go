package escalation

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"belfry/alerting/incident"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// reach returns whom a step reaches at a time, each once, and why parts of it
// reach nobody.
func reach(ctx context.Context, tx *state.Tx, d *oncall.Directory, tenant string, s Step, now time.Time) (to []Recipient, skipped []string, err error) {
	told := map[string]bool{}
	add := func(person, via string) {
		if told[person] {
			return
		}
		if _, ok := d.Person(person); !ok {
			skipped = append(skipped, fmt.Sprintf("%s: there is no person %q any more", via, person))
			return
		}
		told[person] = true
		to = append(to, Recipient{Person: person, Via: via})
	}
	for _, id := range s.Schedules {
		schedule, ok := d.Schedule(id)
		if !ok {
			skipped = append(skipped, fmt.Sprintf("there is no schedule %q any more", id))
			continue
		}
		overrides, err := overridesBetween(ctx, tx, tenant, id, now, now.Add(time.Millisecond))
		if err != nil {
			return nil, nil, err
		}
		people := schedule.OnCall(now, overrides)
		if len(people) == 0 {
			skipped = append(skipped, "nobody is on call in schedule "+id)
		}
		for _, p := range people {
			add(p, "schedule "+id)
		}
	}
	for _, id := range s.Teams {
		team, ok := d.Team(id)
		if !ok {
			skipped = append(skipped, fmt.Sprintf("there is no team %q any more", id))
		}
		for _, p := range team.Members {
			add(p, "team "+id)
		}
	}
	for _, id := range s.People {
		add(id, "")
	}
	for _, name := range s.Channels {
		to = append(to, Recipient{Channel: name})
	}
	for _, name := range s.Webhooks {
		to = append(to, Recipient{Channel: name, Webhook: true})
	}
	return to, skipped, nil
}

// turn counts how often the round robin of a step of an incident's policy was
// asked, and returns how often that was before.
func turn(ctx context.Context, tx *state.Tx, i *incident.Incident, step int) (int, error) {
	var n int64
	err := tx.QueryRow(ctx, `INSERT INTO counters (tenant, name, value) VALUES (?, ?, 1)
		ON CONFLICT (tenant, name) DO UPDATE SET value = counters.value + 1 RETURNING value`,
		i.Tenant, fmt.Sprintf("round_robin/%s/%d", i.Policy, step)).Scan(&n)
	return int(n - 1), err
}

func overridesBetween(ctx context.Context, tx *state.Tx, tenant, schedule string, from, to time.Time) ([]oncall.Override, error) {
	rows, err := tx.Query(ctx, `SELECT id, schedule, person, replaces, starts_at, ends_at, reason, created_by, created_at, source
		FROM oncall_overrides WHERE tenant = ? AND schedule = ? AND ends_at > ? AND starts_at < ? ORDER BY starts_at, id LIMIT 10000`,
		tenant, schedule, state.Millis(from), state.Millis(to))
	return state.Collect(rows, err, func(r *sql.Rows) (o oncall.Override, err error) {
		var start, end, created int64
		err = r.Scan(&o.ID, &o.Schedule, &o.Person, &o.Replaces, &start, &end, &o.Reason, &o.CreatedBy, &created, &o.Calendar)
		o.Start, o.End, o.CreatedAt = state.Time(start), state.Time(end), state.Time(created)
		return o, err
	})
}

// Overrides returns a schedule's overrides that touch [from, to), beside those of
// the configuration.
func (e *Engine) Overrides(ctx context.Context, tenant, schedule string, from, to time.Time) (out []oncall.Override, err error) {
	err = e.db.View(ctx, func(tx *state.Tx) error {
		out, err = overridesBetween(ctx, tx, tenant, schedule, from, to)
		return err
	})
	return out, err
}

// maxOverride keeps an override from being forgotten in force.
const maxOverride = 366 * 24 * time.Hour

// AddOverride stores an override and returns it with its ID.
func (e *Engine) AddOverride(ctx context.Context, tenant string, o oncall.Override) (oncall.Override, error) {
	o, err := e.checkOverride(o)
	if err != nil {
		return o, err
	}
	err = e.db.Update(ctx, func(tx *state.Tx) error { return insertOverride(ctx, tx, tenant, o) })
	if err == nil {
		e.rosterChanged()
	}
	return o, err
}

// checkOverride returns an override with an ID and whole milliseconds, or what is
// wrong with it.
func (e *Engine) checkOverride(o oncall.Override) (oncall.Override, error) {
	d := e.Directory()
	if _, ok := d.Schedule(o.Schedule); !ok {
		return o, fault.NotFoundf("there is no schedule %q", o.Schedule)
	}
	for _, p := range []string{o.Person, o.Replaces} {
		if _, ok := d.Person(p); !ok && (p != "" || p == o.Person) {
			return o, fault.Invalidf("there is no person %q", p)
		}
	}
	o.Start, o.End = o.Start.UTC().Truncate(time.Millisecond), o.End.UTC().Truncate(time.Millisecond)
	if !o.End.After(o.Start) || o.End.Sub(o.Start) > maxOverride || o.Start.Unix() <= 0 {
		return o, fault.Invalidf("an override must end after it starts, within %d days", int(maxOverride.Hours()/24))
	}
	o.ID, o.CreatedAt = ulid.Make().String(), e.now()
	return o, nil
}

func insertOverride(ctx context.Context, tx *state.Tx, tenant string, o oncall.Override) error {
	_, err := tx.Exec(ctx, `INSERT INTO oncall_overrides
		(id, tenant, schedule, person, replaces, starts_at, ends_at, reason, created_by, created_at, source)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, o.ID, tenant, o.Schedule, o.Person, o.Replaces,
		state.Millis(o.Start), state.Millis(o.End), o.Reason, o.CreatedBy, state.Millis(o.CreatedAt), o.Calendar)
	return err
}

// RemoveOverride removes an override, or says NotFound.
func (e *Engine) RemoveOverride(ctx context.Context, tenant, schedule, id string) error {
	defer e.rosterChanged()
	return e.db.Update(ctx, func(tx *state.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM oncall_overrides WHERE tenant = ? AND schedule = ? AND id = ?`, tenant, schedule, id)
		if err == nil && n == 0 {
			return fault.NotFoundf("there is no override %q", id)
		}
		return err
	})
}
