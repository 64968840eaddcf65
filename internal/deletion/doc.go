// Package deletion is what the stores of records (log entries, spans) have in
// common where people ask them to delete for good: how far a deletion is, and
// the HTTP API by which it is asked for, watched and taken back.
package deletion
