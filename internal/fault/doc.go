// Package fault names the ways an append or a query can fail, so that a store
// decides once whether a failure is the caller's, whether it may be retried and
// after how long, and every protocol in front of it turns that decision into
// its own status code in one place.
//
// An error that carries no fault is Internal.
package fault
