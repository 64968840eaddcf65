// Package notify reaches people: it renders a message about an incident for a
// contact method and hands it to that method's service once. Retrying, and
// remembering what was sent, is the caller's (package escalation).
//
// Every message carries an idempotency key, so that a receiver can drop the
// second copy of a message that was sent twice because a process died between
// sending and recording: as the Idempotency-Key header and the field
// notification_key of a webhook, as the Message-ID of an email; the inbox drops
// it itself.
//
// Links that act (acknowledge) are signed and expire; opening one only shows a
// page that asks, because chat programs open links to preview them.
package notify
