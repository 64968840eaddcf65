// Package tsdbtest is the contract of a metrics store as tests. Run checks an
// implementation; Dump shows what a store holds.
package tsdbtest
