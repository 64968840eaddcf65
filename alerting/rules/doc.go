// Package rules evaluates alerting and recording rules over all three signals.
//
// Rule files are Prometheus' own, with three additions: `type: metrics | logs |
// traces` on a group or a rule says what language its expressions are in
// (PromQL where nothing is said), and `recover:` on an alerting rule is an
// expression that must hold before an alert that fires may resolve. `no_data` says
// what it means that there is nothing to evaluate (nodata.go).
//
// Groups come from files, and from people by API (edit.go), who keep them in SQL
// (stored.go). A file is a namespace that nobody can edit by API.
//
// Evaluation is Prometheus' rules.Manager. An expression of another language is
// an *Expression in place of PromQL's syntax tree; Engine's query function sends
// each expression to its Language. Everything above (the `for` clock, templates,
// ALERTS series, the rules API) is therefore the same for every signal.
//
// # State
//
// What Prometheus forgets when it restarts, Engine keeps: after an evaluation
// that changed an alert, the alerts of that group are written to one small file
// (state.go), at most about once a second, and at shutdown. At start the file
// is read back into the rules before the first evaluation, so that pending,
// firing, kept-firing and just-resolved alerts go on as they were, and firing
// alerts are handed to the Sender at once. For the first evaluations after a
// start, an alert that fired and that has no data is held (hold.go), because
// senders need a moment to come back. Without the file, Prometheus' own way of
// restoring `for` from ALERTS_FOR_STATE series is used.
//
// # Reload
//
// A reload takes effect as a whole or not at all: if one file has a fault, all
// faults are returned and the running rules go on.
package rules
