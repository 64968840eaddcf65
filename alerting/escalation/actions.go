package escalation

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/oklog/ulid/v2"

	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// Do lets a person's event (Acknowledge, Unacknowledge, Snooze, Reassign,
// SetSeverity, Resolve) happen to an incident and returns the incident after it.
func (e *Engine) Do(ctx context.Context, tenant, id string, ev Event) (*incident.Incident, error) {
	if r, ok := ev.(Reassign); ok {
		for _, p := range r.People {
			if _, known := e.Directory().Person(p); !known {
				return nil, fault.Invalidf("there is no person %q", p)
			}
		}
	}
	if err := e.act(ctx, incident.Ref{Tenant: tenant, ID: id}, ev); err != nil {
		return nil, err
	}
	return e.Incident(ctx, tenant, id)
}

// Incident returns an incident.
func (e *Engine) Incident(ctx context.Context, tenant, id string) (i *incident.Incident, err error) {
	err = e.db.View(ctx, func(tx *state.Tx) error {
		i, err = incident.Get(ctx, tx, tenant, id)
		return err
	})
	return i, err
}

// FindIncident returns the incident of any tenant: for who holds proof that he may
// see that one.
func (e *Engine) FindIncident(ctx context.Context, id string) (i *incident.Incident, err error) {
	err = e.db.View(ctx, func(tx *state.Tx) error {
		i, err = incident.Find(ctx, tx, id)
		return err
	})
	return i, err
}

// Merge ends an incident in favor of another one, which takes over its alerts and
// what its sources say from now on, and returns that.
func (e *Engine) Merge(ctx context.Context, tenant, from, into, by, via string) (*incident.Incident, error) {
	if from == into {
		return nil, fault.Invalidf("an incident cannot be merged into itself")
	}
	var before, after incident.Incident
	err := e.db.Update(ctx, func(tx *state.Tx) error {
		target, err := incident.Get(ctx, tx, tenant, into)
		if err != nil {
			return err
		}
		source, err := incident.Get(ctx, tx, tenant, from)
		if err != nil {
			return err
		}
		if !target.Open() {
			return fault.New(fault.Conflict, "incident #%d is resolved: nothing can be merged into it", target.Number)
		}
		before = *source
		if err := e.step(ctx, tx, source, Merged{By: by, Via: via, Into: fmt.Sprintf("#%d %s", target.Number, target.Title)}); err != nil {
			return err
		}
		now := e.now()
		if err := incident.Merge(ctx, tx, source, target, now); err != nil {
			return err
		}
		target.Record(incident.Event{At: now, Kind: incident.KindMerged, Actor: by, Detail: incident.Detail{Via: via},
			Message: fmt.Sprintf("#%d %s merged into this by %s", source.Number, source.Title, orNobody(by))})
		if severityRank(source.Severity) > severityRank(target.Severity) {
			if err := e.step(ctx, tx, target, SetSeverity{By: by, Via: via, Severity: source.Severity}); err != nil {
				return err
			}
		}
		after = *source
		return errors.Join(incident.Save(ctx, tx, source), incident.Save(ctx, tx, target))
	})
	if err != nil {
		return nil, err
	}
	e.metrics.changed(&before, &after, e.now())
	e.wake()
	return e.Incident(ctx, tenant, into)
}

// Create opens an incident that a person has noticed.
func (e *Engine) Create(ctx context.Context, tenant, by string, s Signal) (*incident.Incident, error) {
	if strings.TrimSpace(s.Title) == "" {
		return nil, fault.Invalidf("an incident needs a title")
	}
	if _, ok := e.setup.Load().policies[s.Policy]; !ok {
		return nil, fault.Invalidf("there is no policy %q", s.Policy)
	}
	if s.Severity == "" {
		s.Severity = "critical"
	}
	if len(s.Severity) > maxSeverity {
		return nil, fault.Invalidf("a severity has 1 to %d bytes", maxSeverity)
	}
	s.Tenant, s.Source, s.Firing, s.Time = tenant, incident.SourceManual, true, e.now()
	s.Key = SourceKey("manual", ulid.Make().String())
	s.Labels = map[string]string{"severity": s.Severity}
	s.Annotations = map[string]string{"summary": s.Summary, "opened_by": by}
	i, err := e.Signal(ctx, s)
	if err != nil {
		return nil, err
	}
	return e.Incident(ctx, tenant, i.ID)
}

// maxNote bounds a note.
const maxNote = 4000

// Note adds a comment to the timeline.
func (e *Engine) Note(ctx context.Context, tenant, id, by, text string) error {
	if text == "" || len(text) > maxNote {
		return fault.Invalidf("a note has 1 to %d bytes", maxNote)
	}
	return e.db.Update(ctx, func(tx *state.Tx) error {
		i, err := incident.Get(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		i.Record(incident.Event{At: e.now(), Kind: incident.KindNote, Actor: by, Message: text})
		return incident.Save(ctx, tx, i)
	})
}

// AcknowledgeLink returns what a link from a message allows, or a Forbidden
// fault.
func (e *Engine) AcknowledgeLink(token string) (notify.Claim, error) {
	return e.links.Load().Verify(token, e.now())
}

// PolicyFor returns the policy that a routing key of the Events API is bound to,
// nil for none.
func (e *Engine) PolicyFor(routingKey string) *Policy { return e.setup.Load().routing[routingKey] }

// OpenIncident returns the open incident about a source key, nil for none.
func (e *Engine) OpenIncident(ctx context.Context, tenant, key string) (i *incident.Incident, err error) {
	err = e.db.View(ctx, func(tx *state.Tx) error {
		i, err = incident.OpenFor(ctx, tx, tenant, key)
		return err
	})
	return i, err
}

// RoutingKey returns the routing key that is written so in an address, where the
// case of letters is not kept; false for none.
func (e *Engine) RoutingKey(text string) (key string, ok bool) {
	for k := range e.setup.Load().routing {
		if strings.EqualFold(k, text) {
			return k, true
		}
	}
	return "", false
}

// ReplyTo returns the incident that an address for answers is about, and to which
// of some addresses it was given; false for one that is not such or not genuine.
func (e *Engine) ReplyTo(local string, addresses []string) (incidentID, address string, ok bool) {
	return e.links.Load().VerifyReply(local, addresses)
}
