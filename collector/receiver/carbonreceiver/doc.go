// Package carbonreceiver takes metrics in Graphite's plaintext protocol: lines
// of "path value time", over TCP or UDP. A path may end in tags, as in
// "disk.used;host=a;mount=/". A line is a point of a gauge that is called as the
// path; its tags are attributes.
//
// The protocol has no answers. What can be done for a sender is done by the
// connection: lines are read only as fast as the pipeline takes them, and one
// that cannot be read is counted and logged, and takes no other with it.
package carbonreceiver
