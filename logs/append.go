package logs

import "context"

// Appender stores log records.
type Appender interface {
	// Append stores one OTLP ExportLogsServiceRequest in protobuf wire form for
	// a tenant. The request's bytes are the caller's again when it returns.
	//
	// A nil error means that every record but the rejected ones would survive
	// kill -9. Records that are bad on their own (a timestamp out of range, too
	// many attributes) are rejected and counted, the others are kept. An error
	// means that nothing of the request was kept; its fault.Kind says whether
	// the caller may send it again.
	Append(ctx context.Context, tenant string, request []byte) (AppendResult, error)
}

// AppendResult says what became of a request's records.
type AppendResult struct {
	Accepted int
	Rejected int
	Reason   string // why records were rejected, the most common reasons first; empty if none was
}
