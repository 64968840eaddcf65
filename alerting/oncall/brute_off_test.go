//go:build !brute

package oncall_test

// everyStep off: 30 s around clock changes, 13.5 minutes elsewhere. The tag
// "brute" looks at every 30 seconds.
const everyStep = false
