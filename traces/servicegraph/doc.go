// Package servicegraph derives from spans which service calls which: a call is
// a span whose parent belongs to another service. It is computed at query time
// from a bounded scan; an edge whose two spans lie on different sides of the
// range's border is not seen.
package servicegraph
