package ingest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
)

// BenchmarkExport is the cost of the way from a request's bytes to the exporter
// on both lanes, for 1,000 log records of about 370 bytes.
func BenchmarkExport(b *testing.B) {
	const records = 1000
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "checkout")
	list := rl.ScopeLogs().AppendEmpty().LogRecords()
	for i := range records {
		r := list.AppendEmpty()
		r.SetTimestamp(1)
		r.Body().SetStr(fmt.Sprintf("request %d for a product page was answered after a while with status 200 and %d bytes", i, i*17))
		for k := range 8 {
			r.Attributes().PutStr(fmt.Sprintf("attribute.number.%d", k), fmt.Sprintf("value-%d", i%(k+1)))
		}
	}
	body, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	require.NoError(b, err)
	for _, direct := range []bool{true, false} {
		b.Run(map[bool]string{true: "wire", false: "pdata"}[direct], func(b *testing.B) {
			sink := newTestSink(b)
			sink.direct[Logs] = direct
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sink.Export(context.Background(), Logs, Protobuf, body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
		})
	}
}
