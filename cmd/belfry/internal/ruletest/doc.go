// Package ruletest runs the unit tests that users write for their rules: the
// files of Prometheus' promtool, unchanged, and beyond them log lines and spans
// as inputs, LogQL and TraceQL expressions, the notifications of alert groups,
// routes, and the pages of escalation policies. docs/testing-rules.md describes
// the format.
//
// Nothing is simulated: rules are evaluated by the engine that `belfry serve`
// runs, over its stores in a temporary folder, and alerts go through the same
// Alertmanager and escalation engine. Those two follow the clock of the process,
// so tests that need them run in a testing/synctest bubble, in which hours pass
// in milliseconds (virtual.go).
package ruletest
