// Package logstest tests implementations of the logs contract: Contract checks
// what package logs promises, Scripts runs the LogQL scripts in testdata on any
// store. A script is blocks of
//
//	command
//	input
//	----
//	expected output
//
// with an empty line between blocks. Run the tests with -rewrite to write the
// output that a store gives into the scripts, and read the difference.
//
// Commands are load (streams, each followed by its entries, whose times are
// offsets from Epoch), logs, range FROM TO STEP, instant AT, and parse.
package logstest
