// Package evidence finds what the stores know about an alert, so that who is
// paged sees it in the message: the number that the rule watches over the last
// hour with its threshold (and a picture of it), the newest log lines behind it,
// and a trace that shows the trouble.
//
// It asks the stores through the interfaces of this package. A page never waits
// for evidence longer than Config.Timeout: what was not found by then is left
// out. Log lines are redacted before they leave the package.
package evidence
