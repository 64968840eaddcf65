// Package app puts the parts of Belfry together: it reads the configuration,
// opens the stores, wires who asks whom, and starts and stops it all in order.
// It is the only package that may import every other.
//
// It holds no behavior of its own: a decision that is made here belongs into
// the package that it is about.
package app
