// Package promconfig reads sections of a Prometheus configuration that stand, word
// for word, in Belfry's own.
package promconfig
