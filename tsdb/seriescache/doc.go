// Package seriescache remembers which series of a head a sender's data goes to,
// so that a sample of a known series costs a hash and a look-up instead of a set
// of labels.
//
// A key is what the sender sent: the bytes that name a series, or several that
// come together, such as the buckets of a histogram. An entry holds 128 bits of
// hash of the key, with seeds that nobody knows, and the head's references of its
// series: what a series costs does not depend on how long its labels are.
//
// A cache belongs to one open database, since a reference means nothing in
// another. A reference may outlive its series; the head says so, and the sender's
// labels are then looked at again. So forgetting is always right, and a cache
// forgets: entries that nobody has used for some minutes when it needs their
// room, and all of a shard that is full.
package seriescache
