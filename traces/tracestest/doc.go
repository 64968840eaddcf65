// Package tracestest holds what shows that a trace store keeps its contract: a
// small store in memory that is obviously right, a suite that runs on every
// implementation, and script files that load traces, query them and say what to
// expect.
//
// A script is blocks with an empty line between them: a command, its lines, a
// line of four dashes, and the expected answer. Run the tests with -rewrite to
// write what the answers are into the files.
//
//	load
//	trace 1
//	  span 1 service=shop name="GET /cart" start=0s dur=100ms kind=server
//	    span 2 service=db dur=20ms start=5ms status=error span.db.rows=7
//	      event exception at=6ms exception.type=Timeout
//	      link 2 1 why=retry
//	----
//	2 spans
//
//	search
//	{ status = error }
//	----
//	1 shop "GET /cart" 100ms: 2
//
// Indentation says which span is the parent; parent=ID says otherwise.
package tracestest
