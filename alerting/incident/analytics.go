package incident

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"belfry/internal/state"
)

// Analytics say how the paging itself did, over the incidents opened in [From, To).
type Analytics struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`

	Incidents    int64 `json:"incidents"`
	Acknowledged int64 `json:"acknowledged"`
	Resolved     int64 `json:"resolved"`
	// Pages are those that were delivered in the time.
	Pages int64 `json:"pages"`

	TimeToAcknowledge Durations `json:"time_to_acknowledge"`
	TimeToResolve     Durations `json:"time_to_resolve"`

	People []RecipientPages `json:"people"` // and channels, most pages first
	Rules  []RuleNoise      `json:"rules"`  // most pages first
	// Flapping are the rules of Rules that fired again and again.
	Flapping []RuleNoise `json:"flapping"`
}

// Durations are how long something took, in seconds; of none they are 0.
type Durations struct {
	Count  int64   `json:"count"`
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
	Max    float64 `json:"max"`
}

// RecipientPages are the pages of one person or channel.
type RecipientPages struct {
	Person    string `json:"person,omitempty"`
	Channel   string `json:"channel,omitempty"`
	Pages     int64  `json:"pages"`
	Incidents int64  `json:"incidents"`
	Failed    int64  `json:"failed"` // pages that could not be delivered
}

// RuleNoise is how much noise a rule made.
type RuleNoise struct {
	Rule      string `json:"rule"`
	Incidents int64  `json:"incidents"`
	Pages     int64  `json:"pages"`
	// Fired is how often alerts began to fire.
	Fired int64 `json:"fired"`
	// Unattended is how many incidents were over before anybody acknowledged.
	Unattended    int64   `json:"unattended"`
	ResolveMedian float64 `json:"resolve_median"` // seconds
}

// The bounds of what is analyzed and shown.
const (
	maxAnalyzed   = 200_000 // incidents
	maxNoisy      = 50
	flappingTimes = 5 // alerts fired per incident, or incidents that were over unattended
)

// Analyze counts a tenant's incidents opened in [from, to). Of more than 200,000
// incidents the newest count.
func Analyze(ctx context.Context, tx *state.Tx, tenant string, from, to time.Time) (*Analytics, error) {
	out := &Analytics{From: from, To: to, People: []RecipientPages{}, Rules: []RuleNoise{}, Flapping: []RuleNoise{}}
	n := noise{rules: map[string]*RuleNoise{}, resolves: map[string][]float64{}}
	span := []any{tenant, state.Millis(from), state.Millis(to)}
	for _, part := range []func() error{
		func() error { return n.incidents(ctx, tx, out, span) },
		func() error { return n.fired(ctx, tx, span) },
		func() error { return n.pages(ctx, tx, span) },
		func() error { return out.recipients(ctx, tx, span) },
	} {
		if err := part(); err != nil {
			return nil, fmt.Errorf("analyze incidents: %w", err)
		}
	}
	n.into(out)
	return out, nil
}

// noise gathers what is counted by rule.
type noise struct {
	rules    map[string]*RuleNoise
	resolves map[string][]float64
}

func (n *noise) rule(name string) *RuleNoise {
	if n.rules[name] == nil {
		n.rules[name] = &RuleNoise{Rule: name}
	}
	return n.rules[name]
}

func (n *noise) incidents(ctx context.Context, tx *state.Tx, out *Analytics, span []any) error {
	rows, err := tx.Query(ctx, `SELECT rule, opened_at, first_acknowledged_at, resolved_at FROM incidents
		WHERE tenant = ? AND opened_at >= ? AND opened_at < ? AND merged_into = '' ORDER BY opened_at DESC LIMIT ?`, append(span, maxAnalyzed)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var acks, resolves []float64
	for rows.Next() {
		var rule string
		var opened, acked, resolved int64
		if err := rows.Scan(&rule, &opened, &acked, &resolved); err != nil {
			return err
		}
		out.Incidents++
		r := n.rule(rule)
		r.Incidents++
		if acked > 0 {
			acks = append(acks, float64(acked-opened)/1000)
		} else if resolved > 0 {
			r.Unattended++
		}
		if resolved > 0 {
			took := float64(resolved-opened) / 1000
			resolves = append(resolves, took)
			n.resolves[rule] = append(n.resolves[rule], took)
		}
	}
	out.Acknowledged, out.Resolved = int64(len(acks)), int64(len(resolves))
	out.TimeToAcknowledge, out.TimeToResolve = durations(acks), durations(resolves)
	return rows.Err()
}

// counted runs a query of rule and count.
func counted(ctx context.Context, tx *state.Tx, query string, args []any, add func(rule string, count int64)) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var rule string
		var count int64
		if err := rows.Scan(&rule, &count); err != nil {
			return err
		}
		add(rule, count)
	}
	return rows.Err()
}

func (n *noise) fired(ctx context.Context, tx *state.Tx, span []any) error {
	return counted(ctx, tx, `SELECT i.rule, COUNT(*) FROM incidents i JOIN incident_events e ON e.incident_id = i.id
		WHERE i.tenant = ? AND i.opened_at >= ? AND i.opened_at < ? AND e.kind = ? GROUP BY i.rule`,
		append(span, KindAlertFired), func(rule string, count int64) { n.rule(rule).Fired += count })
}

func (n *noise) pages(ctx context.Context, tx *state.Tx, span []any) error {
	return counted(ctx, tx, `SELECT i.rule, COUNT(*) FROM outbox o JOIN incidents i ON i.id = o.incident_id
		WHERE o.tenant = ? AND o.done_at >= ? AND o.done_at < ? AND o.kind = 'page' AND o.status = 'sent' GROUP BY i.rule`,
		span, func(rule string, count int64) { n.rule(rule).Pages += count })
}

// recipients counts a summary as one page about several incidents.
func (out *Analytics) recipients(ctx context.Context, tx *state.Tx, span []any) error {
	rows, err := tx.Query(ctx, `SELECT person, channel, SUM(CASE WHEN status = 'sent' AND summary = '' THEN 1 ELSE 0 END),
		SUM(CASE WHEN status = 'failed' AND summary = '' THEN 1 ELSE 0 END), COUNT(DISTINCT NULLIF(incident_id, '')) FROM outbox
		WHERE tenant = ? AND done_at >= ? AND done_at < ? AND (kind = 'page' OR kind = 'summary' AND data = 'page') AND status IN ('sent', 'failed') GROUP BY person, channel`, span...)
	found, err := state.Collect(rows, err, func(r *sql.Rows) (p RecipientPages, err error) {
		return p, r.Scan(&p.Person, &p.Channel, &p.Pages, &p.Failed, &p.Incidents)
	})
	for _, p := range found {
		out.Pages += p.Pages
	}
	slices.SortFunc(found, func(a, b RecipientPages) int {
		if a.Pages != b.Pages {
			return int(b.Pages - a.Pages)
		}
		return strings.Compare(a.Person+a.Channel, b.Person+b.Channel)
	})
	out.People = append(out.People, found[:min(len(found), maxNoisy)]...)
	return err
}

func (n *noise) into(out *Analytics) {
	list := make([]RuleNoise, 0, len(n.rules))
	for name, r := range n.rules {
		r.ResolveMedian = durations(n.resolves[name]).Median
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b RuleNoise) int {
		for _, d := range []int64{b.Pages - a.Pages, b.Incidents - a.Incidents, b.Fired - a.Fired} {
			if d != 0 {
				return int(d)
			}
		}
		return strings.Compare(a.Rule, b.Rule)
	})
	for _, r := range list {
		if r.flaps() && len(out.Flapping) < maxNoisy {
			out.Flapping = append(out.Flapping, r)
		}
	}
	out.Rules = append(out.Rules, list[:min(len(list), maxNoisy)]...)
}

// flaps reports whether the rule comes and goes: its incidents mostly end before
// anybody looks, or their alerts fire again and again.
func (r *RuleNoise) flaps() bool {
	return r.Unattended >= flappingTimes && 2*r.Unattended >= r.Incidents || r.Incidents > 0 && r.Fired >= flappingTimes*r.Incidents && r.Fired > flappingTimes
}

func durations(seconds []float64) Durations {
	if len(seconds) == 0 {
		return Durations{}
	}
	slices.Sort(seconds)
	sum := 0.0
	for _, s := range seconds {
		sum += s
	}
	at := func(q float64) float64 { return seconds[min(int(q*float64(len(seconds))), len(seconds)-1)] }
	return Durations{Count: int64(len(seconds)), Mean: sum / float64(len(seconds)), Median: at(0.5), P90: at(0.9), Max: seconds[len(seconds)-1]}
}
