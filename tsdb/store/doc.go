// Package store is the metrics store on Prometheus' own tsdb: one database a
// tenant, below DIR/TENANT, each with a head, a write-ahead log and two-hour
// blocks that Prometheus, promtool and Thanos can read.
//
// A tenant's database is opened when it is first used and closed when it has
// not been used for Config.Tenants.IdleTimeout; at most Config.Tenants.MaxOpen
// are open. Whoever appends or queries holds a reference (acquire, release)
// that keeps the database open.
//
// # Durability
//
// Prometheus hands records to the kernel before Commit returns, and calls
// fsync only when a log segment is full. A syncer per tenant fsyncs the newest
// segments every Config.SyncInterval, or, with durability fsync, before Commit
// returns, one fsync for all the commits that wait.
//
// Prometheus' head ends the process when it cannot write a chunk file. A guard
// therefore refuses appends, retryably, while the volume has less than
// Config.MinFreeDisk left.
//
// # Locks
//
// Store.mu guards the map of tenants and their reference counts, and is never
// held while a database is opened, closed, read or written.
package store
