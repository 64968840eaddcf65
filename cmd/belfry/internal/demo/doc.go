// Package demo runs Belfry beside a small shop under load (package shop): a
// server process on a fresh data folder, rules on all three signals, an
// escalation policy with two people on it, and a local inbox that shows what
// they would have received.
package demo
