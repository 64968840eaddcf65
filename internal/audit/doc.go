// Package audit keeps who did what that changes or destroys data: an append-only
// log in SQL, listed by API. An action is recorded before it is done, so that
// there is none without its entry; one that is then refused gets a second entry.
package audit
