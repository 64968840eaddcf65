package escalation

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// The bounds of a summary.
const (
	maxSummaryRead     = 1000 // incidents that are read for it, the worst first
	maxSummaryLines    = 20
	maxSummaryLine     = 200
	maxSummaryServices = 5
	maxSummaryName     = 60
)

// errSummaryEmpty says that all incidents of a summary were taken care of before it
// was sent.
var errSummaryEmpty = errors.New("nothing is left to tell")

// brief is an incident in a summary.
type brief struct {
	number                           int64
	title, severity, status, service string
}

// summary fills in what a row of the outbox that tells many incidents says now.
func (e *Engine) summary(ctx context.Context, s *setup, o outboxRow, m *notify.Message) error {
	var worst []brief
	bySeverity := map[string]int{}
	const members = `FROM incidents WHERE id IN (SELECT incident_id FROM outbox WHERE status = 'gathered' AND summary = ?)`
	err := e.db.View(ctx, func(tx *state.Tx) error {
		rows, err := tx.Query(ctx, `SELECT severity, COUNT(*) `+members+` GROUP BY severity`, o.key)
		counts, err := state.Collect(rows, err, func(r *sql.Rows) (n struct {
			severity string
			count    int
		}, err error) {
			return n, r.Scan(&n.severity, &n.count)
		})
		if err != nil {
			return err
		}
		clear(bySeverity)
		for _, n := range counts {
			bySeverity[n.severity] = n.count
		}
		rows, err = tx.Query(ctx, `SELECT number, title, severity, status, labels `+members+`
			ORDER BY `+severityOrder()+` DESC, number LIMIT ?`, o.key, maxSummaryRead)
		worst, err = state.Collect(rows, err, func(r *sql.Rows) (b brief, err error) {
			var labels state.JSON[map[string]string]
			err = r.Scan(&b.number, &b.title, &b.severity, &b.status, &labels)
			b.service = serviceOf(labels.V)
			return b, err
		})
		return err
	})
	if err != nil {
		return err
	}
	if len(worst) == 0 {
		return errSummaryEmpty
	}
	of := notify.Kind(o.data)
	m.Notice = summarize(worst, bySeverity, of)
	m.Notice.Text += "Told together: " + s.settings.Escalation.Storm.reason(of) + "."
	m.Incident.Severity = worst[0].severity
	links := e.links.Load()
	m.IncidentURL = links.Page("/incidents", nil)
	if of == notify.KindResolved {
		m.Incident.Status = incident.Resolved
	} else {
		m.AcknowledgeURL = links.AcknowledgeSummary(o.tenant, o.key, o.person, m.Time)
	}
	return nil
}

// severityOrder ranks severities in SQL as severityRank does.
func severityOrder() string {
	var b strings.Builder
	b.WriteString("CASE")
	for rank, names := range severities {
		fmt.Fprintf(&b, " WHEN severity IN ('%s') THEN %d", strings.Join(names, "','"), rank)
	}
	fmt.Fprintf(&b, " ELSE %d END", severityRank(""))
	return b.String()
}

// serviceOf returns the service that labels name, "" for none.
func serviceOf(labels map[string]string) string {
	for _, name := range []string{"service_name", "service", "job"} {
		if v := labels[name]; v != "" {
			return incident.Clip(v, maxSummaryName)
		}
	}
	return ""
}

// summarize puts incidents, the worst first, into words. There may be more than are
// listed: bySeverity counts all.
func summarize(worst []brief, bySeverity map[string]int, of notify.Kind) notify.Notice {
	total := 0
	for _, n := range bySeverity {
		total += n
	}
	head, mark := fmt.Sprintf("%d more incidents", total), strings.ToUpper(incident.Clip(worst[0].severity, maxSummaryName))
	if total == 1 {
		head = "1 more incident"
	}
	if of == notify.KindResolved {
		head, mark = strings.Replace(head, "more ", "", 1), "RESOLVED"
	}
	var n notify.Notice
	services := countServices(worst, total)
	n.Title = fmt.Sprintf("[%s] %s: %s", mark, head, services)
	var b strings.Builder
	b.WriteString(countSeverities(bySeverity) + "\n")
	for _, i := range worst[:min(len(worst), maxSummaryLines)] {
		line := fmt.Sprintf("#%d %s %s", i.number, i.severity, i.title)
		if i.status == string(incident.Acknowledged) {
			line += " (acknowledged)"
		}
		b.WriteString("- " + incident.Clip(strings.Join(strings.Fields(line), " "), maxSummaryLine) + "\n")
	}
	if more := total - maxSummaryLines; more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	n.Text = b.String()
	return n
}

// countSeverities writes "2 critical, 35 warning", the worst first.
func countSeverities(count map[string]int) string {
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(severityRank(b)-severityRank(a), strings.Compare(a, b))
	})
	var parts []string
	for _, name := range names[:min(len(names), maxSummaryServices)] {
		parts = append(parts, fmt.Sprintf("%d %s", count[name], incident.Clip(name, maxSummaryName)))
	}
	if len(names) > maxSummaryServices {
		parts = append(parts, "…")
	}
	return strings.Join(parts, ", ")
}

// countServices writes "30 of checkout, 7 of cart", the most affected first.
func countServices(list []brief, total int) string {
	count := map[string]int{}
	for _, i := range list {
		count[i.service]++
	}
	unnamed := count[""]
	delete(count, "")
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int { return cmp.Or(count[b]-count[a], strings.Compare(a, b)) })
	var parts []string
	rest := total - unnamed
	for _, name := range names[:min(len(names), maxSummaryServices)] {
		parts = append(parts, fmt.Sprintf("%d of %s", count[name], name))
		rest -= count[name]
	}
	if rest > 0 {
		parts = append(parts, fmt.Sprintf("%d of others", rest))
	}
	if unnamed > 0 {
		parts = append(parts, fmt.Sprintf("%d of no service", unnamed))
	}
	return strings.Join(parts, ", ")
}

// Summarized returns the incidents that a summary told and that nobody has taken
// yet, at most maxSummaryRead of them.
func (e *Engine) Summarized(ctx context.Context, tenant, summary string) (ids []string, err error) {
	err = e.db.View(ctx, func(tx *state.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id FROM incidents WHERE tenant = ? AND status = ? AND id IN
			(SELECT incident_id FROM outbox WHERE summary = ? AND summary <> '' AND status IN (?, ?)) ORDER BY number LIMIT ?`,
			tenant, incident.Triggered, summary, rowGathered, rowSent, maxSummaryRead)
		ids, err = state.Collect(rows, err, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) })
		return err
	})
	return ids, err
}

// AcknowledgeSummary lets a person take all incidents that a summary told and that
// nobody has taken, and returns how many those were. After an error some of them
// may be taken; the same again takes the rest.
func (e *Engine) AcknowledgeSummary(ctx context.Context, tenant, summary string, ack Acknowledge) (taken int, err error) {
	for {
		ids, err := e.Summarized(ctx, tenant, summary)
		if err != nil || len(ids) == 0 {
			return taken, err
		}
		for _, id := range ids {
			switch err := e.act(ctx, incident.Ref{Tenant: tenant, ID: id}, ack); {
			case err == nil:
				taken++
			case fault.KindOf(err) != fault.Conflict: // that is: resolved meanwhile
				return taken, err
			}
		}
	}
}

// dropSummary ends a summary of which nothing is left.
func (e *Engine) dropSummary(ctx context.Context, o outboxRow) error {
	return e.db.Update(ctx, func(tx *state.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE outbox SET status = ?, last_error = ?, done_at = ?, lease_until = 0 WHERE id = ? AND status = ? AND lease_owner = ?
			AND NOT EXISTS (SELECT 1 FROM outbox AS member WHERE member.status = 'gathered' AND member.summary = outbox.key)`,
			rowCanceled, errSummaryEmpty.Error(), state.Millis(e.now()), o.id, rowPending, e.opts.Name)
		return err
	})
}

// outcome is what became of a summary.
type outcome struct{ key, status, lastError string }

// settleGathered records for the messages of summaries that are done what came of
// them. It goes on where a process that died has left off: a summary's own row says
// how it went, and its members follow in small transactions.
func (e *Engine) settleGathered(ctx context.Context) error {
	for {
		var done []outcome
		err := e.db.View(ctx, func(tx *state.Tx) error {
			rows, err := tx.Query(ctx, `SELECT DISTINCT s.key, s.status, s.last_error FROM outbox m JOIN outbox s ON s.key = m.summary
				WHERE m.status = 'gathered' AND s.status IN (?, ?) LIMIT ?`, rowSent, rowFailed, batch)
			done, err = state.Collect(rows, err, func(r *sql.Rows) (o outcome, err error) { return o, r.Scan(&o.key, &o.status, &o.lastError) })
			return err
		})
		if err != nil || len(done) == 0 {
			return err
		}
		for _, o := range done {
			if err := e.settleMembers(ctx, o); err != nil {
				return fmt.Errorf("record a summary: %w", err)
			}
		}
	}
}

// settleMembers records the outcome of a summary for some of its messages.
func (e *Engine) settleMembers(ctx context.Context, s outcome) error {
	now := e.now()
	var told []*incident.Incident
	err := e.db.Update(ctx, func(tx *state.Tx) error {
		told = nil
		rows, err := tx.Query(ctx, `SELECT `+outboxColumns+` FROM outbox WHERE status = 'gathered' AND summary = ? ORDER BY id LIMIT ?`, s.key, batch)
		members, err := state.Collect(rows, err, scanRow)
		if err != nil {
			return err
		}
		for _, o := range members {
			i, err := incident.Get(ctx, tx, o.tenant, o.incident)
			if err != nil {
				return err
			}
			if err := e.settleMember(ctx, tx, o, i, s, now); err != nil {
				return err
			}
			if err := incident.Save(ctx, tx, i); err != nil {
				return err
			}
			if o.kind == notify.KindPage && s.status == rowSent {
				told = append(told, i)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, i := range told {
		e.metrics.pagedByRule(i)
	}
	e.wake()
	return nil
}

func (e *Engine) settleMember(ctx context.Context, tx *state.Tx, o outboxRow, i *incident.Incident, s outcome, now time.Time) error {
	storm := e.setup.Load().settings.Escalation.Storm
	event := incident.Event{At: now, Kind: incident.KindDelivered, Detail: o.detail(),
		Message: fmt.Sprintf("told %s in a summary: %s", o.whom(), storm.reason(o.kind))}
	if s.status == rowFailed {
		event.Kind, event.Message = incident.KindFailed, "could not tell "+o.whom()+" in a summary: "+s.lastError
		event.Detail.Error = s.lastError
	}
	i.Record(event)
	if err := finish(ctx, tx, o, s.status, s.lastError, now); err != nil {
		return err
	}
	result := "sent"
	if s.status == rowFailed {
		result = "failed"
	}
	return e.follow(ctx, tx, o, i, result, now)
}
