package escalation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"belfry/alerting/incident"
	"belfry/internal/fault"
)

// Event is something that happens to an incident.
type Event interface{ isEvent() }

// The events. By is who did it, a person ID or a free text; Via the way (api,
// link, events, slack, telegram, email).
type (
	// Opened means the incident is new.
	Opened struct{}
	// Due means what Progress.Next says may be due.
	Due struct{}
	// Acknowledge means somebody takes it.
	Acknowledge struct{ By, Via string }
	// Unacknowledge means somebody gives it back.
	Unacknowledge struct{ By, Via string }
	// Snooze means quiet until then, and then all over again.
	Snooze struct {
		By, Via string
		Until   time.Time
	}
	// Reassign means tell these people, or start this policy.
	Reassign struct {
		By, Via string
		People  []string
		Policy  string
	}
	// Resolve means it is over. By is empty when all alerts have resolved.
	Resolve struct{ By, Via string }
	// Merged means it is the same as another one, which goes on.
	Merged struct{ By, Via, Into string }
	// SetSeverity means it is more, or less, severe than it seemed.
	SetSeverity struct{ By, Via, Severity string }
	// Remind means the source says again that it is not over, for a reason.
	Remind struct{ Reason string }
	// Unreached means every page of a step has finally failed.
	Unreached struct{ Generation, Round, Step int }
)

func (Opened) isEvent()        {}
func (Due) isEvent()           {}
func (Acknowledge) isEvent()   {}
func (Unacknowledge) isEvent() {}
func (Snooze) isEvent()        {}
func (Reassign) isEvent()      {}
func (Resolve) isEvent()       {}
func (Merged) isEvent()        {}
func (SetSeverity) isEvent()   {}
func (Remind) isEvent()        {}
func (Unreached) isEvent()     {}

// Recipient is one person, one channel or one webhook.
type Recipient struct {
	Person, Channel string
	Webhook         bool   // Channel is a webhook's name: a machine
	Via             string // how the step came to them: "schedule primary"
}

// Effect is something to do because of a transition.
type Effect interface{ isEffect() }

// The effects.
type (
	// Page tells the recipients. Step and Round count from 1; step 0 is an
	// assignment.
	Page struct {
		To          []Recipient
		Step, Round int
	}
	// CancelPages withdraws pages that were not sent yet.
	CancelPages struct{ Reason string }
	// TellResolved tells everybody who was told.
	TellResolved struct{}
	// ChangeSeverity is the incident's severity from now on, and of the pages that
	// follow.
	ChangeSeverity struct{ To string }
	// UpdateMessages brings the messages that can be changed up to date.
	UpdateMessages struct{}
	// Log adds to the timeline.
	Log struct{ incident.Event }
)

func (Page) isEffect()           {}
func (CancelPages) isEffect()    {}
func (TellResolved) isEffect()   {}
func (ChangeSeverity) isEffect() {}
func (UpdateMessages) isEffect() {}
func (Log) isEffect()            {}

// Context is what a transition depends on beside progress and event.
type Context struct {
	Now      time.Time
	Severity string
	Policy   *Policy
	// Policies finds a policy to reassign to; nil if there is none.
	Policies func(name string) *Policy
	// Reach says whom a step reaches now, and why parts of it reach nobody.
	Reach func(Step) (to []Recipient, skipped []string)
	// Turn returns the number of times that the round robin of a step of the policy
	// (from 1) was asked before; nil: never.
	Turn func(step int) int
	// Muted says whether all firing alerts are muted now; nil: never. It is asked
	// only when something is due.
	Muted func() Muting
}

// Muting is whether all firing alerts of an incident are muted.
type Muting struct {
	Muted  bool
	Reason string    // "silenced by ana (id) until …"
	Until  time.Time // when it ends at the latest; zero: not known
	Failed bool      // nobody could tell; Muted is false
}

// muteLook is how long to wait at most before looking whether a mute has ended.
const muteLook = 15 * time.Second

// emptyRoundWait is how long to wait at least when no step reaches anybody.
const emptyRoundWait = 5 * time.Minute

// Transition returns the progress after an event and what to do because of it.
// It changes nothing itself. Events that an incident cannot take in its status
// are Conflict faults; those that change nothing have no effects.
func Transition(c Context, s incident.Progress, e Event) (incident.Progress, []Effect, error) {
	m := machine{Context: c, s: s}
	m.s.Assignees = slices.Clone(s.Assignees)
	err := m.on(e)
	if err != nil {
		return s, nil, err
	}
	return m.s, m.effects, nil
}

type machine struct {
	Context
	s       incident.Progress
	effects []Effect
}

func (m *machine) do(e Effect) { m.effects = append(m.effects, e) }

func (m *machine) log(kind incident.Kind, actor string, d incident.Detail, format string, args ...any) {
	m.do(Log{incident.Event{At: m.Now, Kind: kind, Actor: actor, Message: fmt.Sprintf(format, args...), Detail: d}})
}

func (m *machine) wake(what incident.Action, at time.Time) {
	m.s.Next, m.s.NextAt, m.s.Held = what, at, ""
	if what == incident.ActionNone {
		m.s.NextAt = time.Time{}
	}
}

func (m *machine) on(e Event) error {
	if m.s.Status == incident.Resolved {
		switch e.(type) {
		case Resolve, Due, Unreached:
			m.wake(incident.ActionNone, time.Time{})
			return nil
		}
		return fault.New(fault.Conflict, "the incident is resolved")
	}
	switch e := e.(type) {
	case Opened:
		m.s.Status = incident.Triggered
		m.advance()
	case Due:
		m.due()
	case Acknowledge:
		m.acknowledge(e)
	case Unacknowledge:
		if m.s.Status == incident.Acknowledged {
			m.log(incident.KindUnacknowledged, e.By, incident.Detail{Via: e.Via}, "acknowledgement withdrawn; escalating again")
			m.do(UpdateMessages{})
			m.restart()
		}
	case Snooze:
		return m.snooze(e)
	case Reassign:
		return m.reassign(e)
	case Resolve:
		m.resolve(e)
	case Merged:
		m.merged(e)
	case SetSeverity:
		return m.setSeverity(e)
	case Remind:
		m.remind(e)
	case Unreached:
		m.unreached(e)
	}
	return nil
}

func (m *machine) due() {
	if m.s.Next == incident.ActionNone || m.Now.Before(m.s.NextAt) {
		return
	}
	if m.held() {
		return
	}
	switch m.s.Next {
	case incident.ActionStep:
		m.advance()
	case incident.ActionAckTimeout:
		m.log(incident.KindAckTimeout, "", incident.Detail{Person: m.s.AcknowledgedBy},
			"acknowledged by %s %s ago and not resolved; escalating again", orNobody(m.s.AcknowledgedBy), m.Now.Sub(m.s.AcknowledgedAt))
		m.restart()
	case incident.ActionUnsnooze:
		m.log(incident.KindUnsnoozed, "", incident.Detail{}, "snooze is over; escalating again")
		m.restart()
	default:
		m.wake(incident.ActionNone, time.Time{})
	}
}

// held puts off what is due while all alerts are muted, and says so once; and it
// says why it goes on after that.
func (m *machine) held() bool {
	var mute Muting
	if m.Muted != nil {
		mute = m.Muted()
	}
	if !mute.Muted {
		why := "not all firing alerts are muted any more"
		if mute.Failed {
			why = "it cannot be found out whether the alerts are still muted"
		}
		if m.s.Held != "" {
			m.log(incident.KindStep, "", incident.Detail{}, "%s (was held: %s); the escalation goes on", why, m.s.Held)
		}
		m.s.Held = ""
		return false
	}
	reason := m.s.Held
	if reason == "" {
		reason = mute.Reason
		m.log(incident.KindNotNotified, "", incident.Detail{Until: mute.Until}, "held: %s", reason)
	}
	at := m.Now.Add(muteLook)
	// A silence is still active at the instant of its end, and the database keeps
	// milliseconds: look at the first one after.
	if end := mute.Until.Add(time.Millisecond).Truncate(time.Millisecond); end.After(m.Now) && end.Before(at) {
		at = end
	}
	m.wake(m.s.Next, at)
	m.s.Held = reason
	return true
}

func orNobody(who string) string {
	if who == "" {
		return "somebody"
	}
	return who
}

// restart escalates from the first step.
func (m *machine) restart() {
	m.begin()
	m.advance()
}

func (m *machine) begin() {
	m.s.Status = incident.Triggered
	m.s.Generation++
	m.s.Step, m.s.Round = 0, 0
	m.s.AcknowledgedBy, m.s.AcknowledgedAt, m.s.SnoozedUntil = "", time.Time{}, time.Time{}
	m.s.Assignees = nil
}

// advance performs the next step that reaches somebody.
func (m *machine) advance() {
	if m.Policy == nil {
		m.log(incident.KindStepSkipped, "", incident.Detail{}, "there is no policy %q any more: nobody is told", m.s.Policy)
		m.wake(incident.ActionNone, time.Time{})
		return
	}
	if !slices.ContainsFunc(m.Policy.Steps, func(s Step) bool { return s.concerns(m.Severity) }) {
		m.log(incident.KindNotNotified, "", incident.Detail{}, "no step of policy %s is for severity %s: nobody is told", m.Policy.Name, m.Severity)
		m.wake(incident.ActionNone, time.Time{})
		return
	}
	for range 2 * len(m.Policy.Steps) {
		if m.s.Step >= len(m.Policy.Steps) {
			if m.s.Round >= m.Policy.Repeat {
				m.log(incident.KindExhausted, "", incident.Detail{Round: m.s.Round + 1},
					"all steps were gone through %d time(s) and nobody acknowledged", m.s.Round+1)
				m.wake(incident.ActionNone, time.Time{})
				return
			}
			m.s.Step = 0
			m.s.Round++
		}
		step := m.Policy.Steps[m.s.Step]
		m.s.Step++
		if m.perform(step) {
			m.wake(incident.ActionStep, m.Now.Add(step.Wait))
			return
		}
		if m.s.Step >= len(m.Policy.Steps) && !m.anybodyReached() {
			// Not a round that counts: somebody may be there later.
			m.s.Step = 0
			wait := m.emptyWait()
			m.log(incident.KindNotNotified, "", incident.Detail{}, "no step of policy %s reaches anybody now; trying again in %s", m.Policy.Name, wait)
			m.wake(incident.ActionStep, m.Now.Add(wait))
			return
		}
	}
}

// anybodyReached reports whether some step of the policy reaches somebody now.
func (m *machine) anybodyReached() bool {
	return slices.ContainsFunc(m.Policy.Steps, func(s Step) bool {
		to, _ := m.Reach(s)
		return s.concerns(m.Severity) && s.Hours.Open(m.Now) && somebody(to)
	})
}

func (m *machine) emptyWait() time.Duration {
	wait := emptyRoundWait
	for _, s := range m.Policy.Steps {
		wait = max(wait, s.Wait)
	}
	return wait
}

// perform does a step and reports whether to wait for an answer to it. Steps of
// webhooks alone reach nobody: unless they say how long, the next step follows at
// once.
func (m *machine) perform(step Step) (wait bool) {
	at := incident.Detail{Step: m.s.Step, Round: m.s.Round + 1}
	if !step.concerns(m.Severity) {
		m.log(incident.KindStepSkipped, "", at, "step %d is for severity %s only, this is %s",
			m.s.Step, strings.Join(step.Severities, ", "), m.Severity)
		return false
	}
	if !step.Hours.Open(m.Now) {
		m.log(incident.KindStepSkipped, "", at, "step %d is only performed %s", m.s.Step, step.Hours)
		return false
	}
	to, skipped := m.Reach(step)
	for _, why := range skipped {
		m.log(incident.KindNotNotified, "", at, "%s", why)
	}
	if step.RoundRobin {
		to = m.inTurn(to)
	}
	if len(to) == 0 {
		m.log(incident.KindStepSkipped, "", at, "step %d reaches nobody", m.s.Step)
		return false
	}
	m.log(incident.KindStep, "", at, "step %d of %d, round %d: %s", m.s.Step, len(m.Policy.Steps), m.s.Round+1, names(to))
	m.do(Page{To: to, Step: m.s.Step, Round: m.s.Round + 1})
	return somebody(to) || step.Wait > 0
}

// inTurn keeps of the people the one whose turn it is, and all who are not people.
func (m *machine) inTurn(to []Recipient) []Recipient {
	isPerson := func(r Recipient) bool { return r.Person != "" }
	people := slices.Collect(func(yield func(Recipient) bool) {
		for _, r := range to {
			if isPerson(r) && !yield(r) {
				return
			}
		}
	})
	if len(people) < 2 || m.Turn == nil {
		return to
	}
	next := people[m.Turn(m.s.Step)%len(people)]
	return append([]Recipient{next}, slices.DeleteFunc(to, isPerson)...)
}

// somebody reports whether a person may see what the recipients get.
func somebody(to []Recipient) bool {
	return slices.ContainsFunc(to, func(r Recipient) bool { return !r.Webhook })
}

func names(to []Recipient) string {
	var out []string
	for _, r := range to {
		name := r.Person
		switch {
		case r.Webhook:
			name = "webhook " + r.Channel
		case name == "":
			name = "channel " + r.Channel
		}
		if r.Via != "" {
			name += " (" + r.Via + ")"
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}

func (m *machine) acknowledge(e Acknowledge) {
	if m.s.Status == incident.Acknowledged && m.s.SnoozedUntil.IsZero() {
		return
	}
	m.quiet(e.By)
	m.do(CancelPages{Reason: "acknowledged by " + orNobody(e.By)})
	m.log(incident.KindAcknowledged, e.By, incident.Detail{Via: e.Via}, "acknowledged by %s", orNobody(e.By))
	m.do(UpdateMessages{})
	m.wake(incident.ActionNone, time.Time{})
	if m.Policy != nil && m.Policy.AckTimeout > 0 {
		m.wake(incident.ActionAckTimeout, m.Now.Add(m.Policy.AckTimeout))
	}
}

// quiet marks the incident as taken by somebody.
func (m *machine) quiet(by string) {
	m.s.Status = incident.Acknowledged
	m.s.AcknowledgedBy, m.s.AcknowledgedAt, m.s.SnoozedUntil = by, m.Now, time.Time{}
	if by != "" {
		m.s.Assignees = []string{by}
	}
}

func (m *machine) snooze(e Snooze) error {
	if !e.Until.After(m.Now) {
		return fault.Invalidf("an incident can only be snoozed until a time in the future")
	}
	m.quiet(e.By)
	m.s.SnoozedUntil = e.Until
	m.do(CancelPages{Reason: "snoozed by " + orNobody(e.By)})
	m.log(incident.KindSnoozed, e.By, incident.Detail{Via: e.Via, Until: e.Until}, "snoozed by %s for %s",
		orNobody(e.By), e.Until.Sub(m.Now).Round(time.Second))
	m.do(UpdateMessages{})
	m.wake(incident.ActionUnsnooze, e.Until)
	return nil
}

func (m *machine) reassign(e Reassign) error {
	if (len(e.People) == 0) == (e.Policy == "") {
		return fault.Invalidf("reassign to people or to a policy, one of the two")
	}
	if e.Policy != "" {
		p := m.Policies(e.Policy)
		if p == nil {
			return fault.Invalidf("there is no policy %q", e.Policy)
		}
		m.do(CancelPages{Reason: "reassigned by " + orNobody(e.By)})
		m.log(incident.KindReassigned, e.By, incident.Detail{Via: e.Via}, "reassigned to policy %s", e.Policy)
		m.Policy, m.s.Policy = p, p.Name
		m.restart()
		return nil
	}
	m.do(CancelPages{Reason: "reassigned by " + orNobody(e.By)})
	m.log(incident.KindReassigned, e.By, incident.Detail{Via: e.Via}, "reassigned to %s", strings.Join(e.People, ", "))
	m.begin()
	m.s.Assignees = slices.Clone(e.People)
	to := make([]Recipient, 0, len(e.People))
	for _, p := range e.People {
		to = append(to, Recipient{Person: p, Via: "assigned"})
	}
	m.do(Page{To: to, Step: 0, Round: 1})
	// Those who were named may be away: the policy goes on if they stay silent.
	wait := defaultWait
	if m.Policy != nil {
		wait = m.Policy.Steps[0].Wait
	}
	m.wake(incident.ActionStep, m.Now.Add(wait))
	return nil
}

func (m *machine) resolve(e Resolve) {
	m.s.Status = incident.Resolved
	m.s.SnoozedUntil = time.Time{}
	why := "all alerts are resolved"
	if e.By != "" {
		why = "resolved by " + e.By
	}
	m.do(CancelPages{Reason: why})
	m.log(incident.KindResolved, e.By, incident.Detail{Via: e.Via}, "%s", why)
	m.do(UpdateMessages{})
	m.do(TellResolved{})
	m.wake(incident.ActionNone, time.Time{})
}

// merged ends the incident in favor of another one. Nobody is told that it is
// over, because it is not.
func (m *machine) merged(e Merged) {
	m.s.Status = incident.Resolved
	m.s.SnoozedUntil = time.Time{}
	m.do(CancelPages{Reason: "merged into " + e.Into})
	m.log(incident.KindMerged, e.By, incident.Detail{Via: e.Via}, "merged into %s by %s", e.Into, orNobody(e.By))
	m.do(UpdateMessages{})
	m.wake(incident.ActionNone, time.Time{})
}

// setSeverity changes how severe the incident is. Where the escalation had ended
// because no step was for the old one, it starts over.
func (m *machine) setSeverity(e SetSeverity) error {
	if e.Severity == "" || len(e.Severity) > maxSeverity {
		return fault.Invalidf("a severity has 1 to %d bytes", maxSeverity)
	}
	if e.Severity == m.Severity {
		return nil
	}
	m.log(incident.KindSeverity, e.By, incident.Detail{Via: e.Via}, "severity changed from %s to %s by %s", m.Severity, e.Severity, orNobody(e.By))
	raised := severityRank(e.Severity) > severityRank(m.Severity)
	m.Severity = e.Severity
	m.do(ChangeSeverity{e.Severity})
	m.do(UpdateMessages{})
	if raised && m.s.Status == incident.Triggered && m.s.Next == incident.ActionNone {
		m.restart()
	}
	return nil
}

// maxSeverity bounds what people call a severity.
const maxSeverity = 40

// remind starts over where an escalation has ended without an answer, and
// otherwise says why nobody is told.
func (m *machine) remind(e Remind) {
	switch {
	case m.s.Status == incident.Acknowledged && !m.s.SnoozedUntil.IsZero():
		m.log(incident.KindNotNotified, "", incident.Detail{}, "%s; nobody is told: snoozed by %s", e.Reason, orNobody(m.s.AcknowledgedBy))
	case m.s.Status == incident.Acknowledged:
		m.log(incident.KindNotNotified, "", incident.Detail{}, "%s; nobody is told: acknowledged by %s", e.Reason, orNobody(m.s.AcknowledgedBy))
	case m.s.Next != incident.ActionNone:
		m.log(incident.KindNotNotified, "", incident.Detail{}, "%s; the escalation goes on as it is", e.Reason)
	default:
		m.log(incident.KindStep, "", incident.Detail{}, "%s, and nobody has acknowledged; escalating again", e.Reason)
		m.restart()
	}
}

func (m *machine) unreached(e Unreached) {
	// Only while waiting for an answer to that very step.
	current := e.Generation == m.s.Generation && e.Round == m.s.Round+1 && e.Step == m.s.Step
	if m.s.Status != incident.Triggered || m.s.Next != incident.ActionStep || m.s.Held != "" || !current {
		return
	}
	m.log(incident.KindStepSkipped, "", incident.Detail{Step: e.Step, Round: e.Round},
		"nobody could be reached in step %d; not waiting any longer", e.Step)
	m.wake(incident.ActionStep, m.Now)
}
