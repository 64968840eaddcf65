// Package memstore is a logs store in memory: the contract in the fewest words,
// as the reference for the real store and for tests of what stands above. It
// keeps everything and looks at everything.
package memstore
