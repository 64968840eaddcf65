// Package rewrite changes queries of the three languages: it fills in Grafana's
// interval macros and joins ad-hoc filters and groupings into an expression.
//
// PromQL is changed on its syntax tree. LogQL and TraceQL are changed on their
// tokens, so that braces and keywords within strings and comments are never
// taken for syntax. An expression that cannot be read is an error and is never
// sent half changed. All functions are pure.
package rewrite
