package store

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"belfry/internal/fault"
	"belfry/logs"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// TestManyNamesAndValues stores records with a field whose values are all distinct
// and with ever new field names, an hour of log time long, and looks at the memory
// in use. BELFRY_LONG=1 makes it a million values and ten thousand names.
func TestManyNamesAndValues(t *testing.T) {
	const perRequest, names = 500, 10_000
	values := 20_000
	if os.Getenv("BELFRY_LONG") != "" {
		values = 1_000_000
	}
	c := DefaultConfig()
	c.Flush.Size = 16 << 20
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	s, err := Open(Options{Dir: t.TempDir(), Config: c, Now: func() time.Time { return start.Add(time.Hour) }})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most := used(), uint64(0)
	request := func(n int) []byte {
		l := plog.NewLogs()
		records := l.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
		for i := range perRequest {
			n := n + i
			r := records.AppendEmpty()
			r.SetTimestamp(pcommon.NewTimestampFromTime(start.Add(time.Duration(n) * time.Hour / time.Duration(values))))
			r.Body().SetStr(fmt.Sprintf("request %d done", n))
			r.Attributes().PutStr("request.id", fmt.Sprintf("%016x", uint64(n)*0x9e3779b97f4a7c15))
			r.Attributes().PutInt(fmt.Sprintf("field_%d", n%names), int64(n))
		}
		b, err := (&plog.ProtoMarshaler{}).MarshalLogs(l)
		require.NoError(t, err)
		return b
	}
	for n := 0; n < values; n += perRequest {
		for body := request(n); ; {
			_, err := s.Append(context.Background(), "t", body)
			if err == nil {
				break
			}
			require.True(t, fault.Retryable(err), "%v", err) // a flush is behind
		}
		if n%(values/10) == 0 {
			most = max(most, used())
		}
	}
	require.NoError(t, s.Flush(context.Background()))
	most = max(most, used())
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("heap from the system: %d MB", m.HeapSys>>20)
	require.Less(t, m.HeapSys, uint64(1<<30), "peaks between the looks")
	t.Logf("%d values, %d names: %d MB at most, %d MB in the end", values, names, (most-before)>>20, (used()-before)>>20)
	require.Less(t, most-before, uint64(400<<20))

	// Every value is found, whether its field has a column or not.
	for _, n := range []int{0, names / 2, values - 1} {
		var found []*logs.Entry
		_, err := s.Select(context.Background(), logs.SelectQuery{
			Query: logs.Query{Tenant: "t", From: start.UnixNano(), To: start.Add(time.Hour).UnixNano(), Filter: logs.LineContains{Text: fmt.Sprintf("request %d done", n)}},
			Limit: 10, Want: logs.Want{Line: true, AllFields: true},
		}, func(e *logs.Entry) bool {
			found = append(found, e)
			return true
		})
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, strconv.Itoa(n), logs.Lookup(found[0].Metadata, fmt.Sprintf("field_%d", n%names)))
	}
}
