package escalation

import (
	"context"

	"belfry/alerting/incident"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// Do lets a person's event (Acknowledge, Unacknowledge, Snooze, Reassign,
// Resolve) happen to an incident and returns the incident after it.
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
func (e *Engine) AcknowledgeLink(token string) (tenant, incidentID, person string, err error) {
	c, err := e.links.Load().Verify(token, e.now())
	return c.Tenant, c.Incident, c.Person, err
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
