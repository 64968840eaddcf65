package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"
)

// TestSendsOn has one server send what it takes to another, which is away for a
// while: it gets what it has missed.
func TestSendsOn(t *testing.T) {
	to := newServer(t, "")
	to.start()
	from := newServer(t, fmt.Sprintf(`
global: {external_labels: {site: edge}}
remote_write:
  - url: %s/api/v1/write
    protobuf_message: io.prometheus.write.v2.Request
    queue_config: {batch_send_deadline: 100ms, min_backoff: 10ms, max_backoff: 100ms}
`, to.base))
	from.start()
	write := func(name string, v float64) {
		t.Helper()
		message, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
			Labels:  []prompb.Label{{Name: "__name__", Value: name}},
			Samples: []prompb.Sample{{Timestamp: time.Now().UnixMilli(), Value: v}},
		}}}).Marshal()
		require.NoError(t, err)
		a := from.remoteWrite("0.1.0", message)
		require.Equal(t, 2, a.code/100, a.body)
	}
	// A queue that begins looks at the log when there is news.
	arrives := func(news string) {
		t.Helper()
		to.eventually(news, func() error {
			write(news, 1)
			var found struct {
				Data struct{ Result []any }
			}
			query := news + `{site="edge"}`
			if err := to.get("/api/v1/query", &found, "query", query); err != nil {
				return err
			}
			if len(found.Data.Result) == 0 {
				return fmt.Errorf("not sent: %s", query)
			}
			return nil
		})
	}
	arrives("before")
	to.kill()
	write("missed", 2)
	to.start()
	arrives("after")
	require.Equal(t, "2", to.wantSample(`missed{site="edge"}`).value)
	from.stop()
	to.stop()
}
