//go:build brute

package oncall_test

// everyStep makes the comparison look at every 30 seconds of the two years.
const everyStep = true
