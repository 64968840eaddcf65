// Package state keeps what people create and must never lose (incidents, their
// timelines, pages waiting to be sent, overrides) in SQL: SQLite in one file by
// default, PostgreSQL where several Belfry processes share it. There is one
// schema, one set of numbered migrations and one code path; statements are
// written with ? placeholders and in the SQL that both dialects share.
//
// Promises:
//
//   - Update runs a function in a serializable transaction and repeats it when
//     the database asks for that (SQLite busy, PostgreSQL serialization failure
//     or deadlock, a unique key taken by a concurrent transaction). The function
//     therefore has no effects other than its statements.
//   - When Update returns nil the change survives kill -9 and, unless the
//     database is told otherwise, power loss.
//   - SQLite has a single writer: writing transactions queue inside the process
//     and take the write lock when they begin, so that they never fail half way.
//   - Open refuses a database that a newer Belfry has migrated.
//
// Times are stored as Unix milliseconds (BIGINT), lists and maps as JSON text,
// IDs as ULIDs, which makes them keyset cursors.
package state
