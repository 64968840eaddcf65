// Package alerting is the root of the alert's life, from an expression that
// comes true to a person who has taken care of it. The root holds no code; each
// stage is a package of its own, and alerts move through them in one direction:
//
//	rules        evaluates rule files on all three signals     "is something wrong?"
//	router       Alertmanager: group, inhibit, silence, notify "who cares, and is it new?"
//	escalation   policies: step, wait, repeat, acknowledge     "has anybody taken it?"
//	oncall       schedules, as a pure function of time         "who is on call now?"
//	notify       contact methods of people                     "how do we reach them?"
//	evidence     what the stores know about an alert          "what is behind it?"
//	incident     the record of everything that happened        "what was done, and why?"
//	inbound      answers from chats and mails                  "what do they say?"
//	api          the HTTP API of all after router
//
// The arrows between them are two small interfaces. rules hands alerts to
// rules.Sender, which router implements in process. router hands every group
// notification to router.Escalator, which escalation implements, beside the
// receivers that Alertmanager's configuration names.
//
// Nothing here imports a store: rules asks them through rules.Language (and
// Prometheus' storage interfaces), which the application wires.
package alerting
