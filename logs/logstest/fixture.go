package logstest

import (
	"time"

	"belfry/logs"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Epoch is the time that the suites' data begins at.
var Epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// Now is what the clock of a store under test must say.
func Now() time.Time { return Epoch.Add(12 * time.Hour) }

// Tenant is whose data the suites write.
const Tenant = "suite"

// Line is one entry to be written.
type Line struct {
	At       time.Duration // after Epoch
	Text     string
	Metadata []logs.Label
}

// Request encodes entries of one stream whose labels are given, as Loki's push
// API hands them to the store.
func Request(labels []logs.Label, lines ...Line) []byte {
	l := plog.NewLogs()
	rl := l.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutBool("belfry.stream_labels", true)
	for _, label := range labels {
		rl.Resource().Attributes().PutStr(label.Name, label.Value)
	}
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for _, line := range lines {
		r := records.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(Epoch.Add(line.At)))
		r.Body().SetStr(line.Text)
		for _, m := range line.Metadata {
			r.Attributes().PutStr(m.Name, m.Value)
		}
	}
	return Marshal(l)
}

// Marshal returns the wire form of a request.
func Marshal(l plog.Logs) []byte {
	b, err := (&plog.ProtoMarshaler{}).MarshalLogs(l)
	if err != nil {
		return nil // pdata's marshaler has no error to return
	}
	return b
}
