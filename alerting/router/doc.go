// Package router is Prometheus Alertmanager inside Belfry: its configuration
// language, routing tree, grouping, inhibition, silences, mute times,
// deduplication, retries, templates, receivers and API v2, assembled from
// Alertmanager's own packages and not forked.
//
// Alerts come in by Send, in process, from package rules, and by POST
// /api/v2/alerts from anything that can talk to Alertmanager. They go out to the
// integrations of each receiver, and besides to the Escalator, which is one more
// integration of every receiver and so is grouped, muted, deduplicated and
// retried like the others.
//
// # State
//
// Silences and the notification log (who was told what, when) survive a crash:
// each change is in a journal before its effect is visible (journal.go), and
// the journal is folded into Alertmanager's snapshot file at each maintenance
// and at shutdown. The snapshots are Alertmanager's own format, so that a data
// folder can move in and out. Alerts that were posted from outside are in a
// journal too (posted.go); those of package rules are not, as rules restores them.
//
// # Reload
//
// A new configuration is built completely before the running one stops;
// whatever fails leaves the running one alone.
package router
