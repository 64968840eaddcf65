// Package incident keeps the record of everything that happened: incidents, the
// alerts in them, and a timeline in which every decision, to tell somebody or
// not to, has its reason.
//
// An incident is opened by the first notification about a source (an alert group,
// a deduplication key, a heartbeat) and there is at most one open incident for a
// source. It is kept forever.
//
// The package knows tables, not rules: its functions take the transaction of
// whoever decides (package escalation), so that a decision, its reason in the
// timeline and its pages in the outbox are written together or not at all.
package incident
