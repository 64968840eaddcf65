// Package lifecycle starts and stops the parts of a process in order: sinks
// start before what feeds them, and stop after it, so that nothing acknowledged
// is lost on the way down.
package lifecycle
