// Package escalation makes sure that somebody takes care: it turns notifications
// into incidents and walks each through the steps of its policy until somebody
// acknowledges.
//
// Transition is the rule book, a pure function from (policy, progress, event,
// time) to (progress, effects). Engine applies it: in one SQL transaction it
// reads the incident, asks Transition, writes the new progress, the timeline and
// a row in the outbox for every page. Pages are sent from the outbox, with
// retries. Hence:
//
//   - A process killed at any moment goes on exactly where it was: what is due is
//     stored (next_at), and a page that was decided is in the outbox.
//   - Several processes on one database decide once (transactions) and send once
//     (a page is claimed with a lease before it is sent). A process that dies
//     between claiming and recording lets the lease run out, and another sends
//     again: at least once. The idempotency key goes with the message.
//   - Nobody is told twice by one decision: a page's key is made of incident,
//     generation, round, step, recipient and method.
//   - In a storm, what one recipient is due beyond some messages is gathered in the
//     claim: those rows wait, with their reason in the timeline, for one row that
//     tells them together. How that row went is what becomes of them; a process that
//     dies in between leaves rows that any other settles.
//   - While all firing alerts of an incident are silenced or inhibited, what is due
//     is held; when nobody can tell whether they are, people are paged.
//   - Whatever is decided not to be sent has its reason in the timeline.
//
// The engine has no clock of its own and does not poll: Run sleeps until the
// earliest thing due and is woken by events; Tick does what is due now and
// returns, for tests and dry runs in virtual time.
package escalation
