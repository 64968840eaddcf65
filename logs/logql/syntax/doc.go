// Package syntax is LogQL's grammar: Parse reads a query into a tree, String
// writes a tree as a query that parses to the same tree.
//
// It accepts the language of Loki's public documentation and, beyond it, an
// empty selector {}. Errors are *ParseError: their text says line and column,
// in the words that clients of Loki look for.
package syntax
