package state

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// PostgreSQL error codes (appendix A of its manual).
const (
	pgSerializationFailure = "40001"
	pgDeadlock             = "40P01"
	pgUniqueViolation      = "23505"
	pgDiskFull             = "53100"
	pgOutOfMemory          = "53200"
	pgTooManyConnections   = "53300"
	pgAdminShutdown        = "57P01"
	pgCannotConnectNow     = "57P03"
)

// worthRepeating reports whether the same transaction may succeed at once: it
// lost a race.
func (db *DB) worthRepeating(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case pgSerializationFailure, pgDeadlock, pgUniqueViolation:
			return true
		}
		return false
	}
	if lite, ok := errors.AsType[*sqlitedriver.Error](err); ok {
		switch lite.Code() & 0xff {
		case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED:
			return true
		}
		// Two processes on one file that both insert; a second look finds the row.
		return lite.Code() == sqlitelib.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// outOfOrder reports whether the database itself is in trouble that may pass.
func (db *DB) outOfOrder(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case pgDiskFull, pgOutOfMemory, pgTooManyConnections, pgAdminShutdown, pgCannotConnectNow:
			return true
		}
		return false
	}
	if lite, ok := errors.AsType[*sqlitedriver.Error](err); ok {
		switch lite.Code() & 0xff {
		case sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_NOMEM:
			return true
		}
	}
	return false
}
