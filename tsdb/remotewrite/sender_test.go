package remotewrite

import (
	"context"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	configutil "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/stretchr/testify/require"

	"belfry/tsdb"
	"belfry/tsdb/store"
)

// sender is Prometheus' own client, as its queues use it.
func sender(t *testing.T, h *Handler, message remoteapi.WriteMessageType) remote.WriteClient {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL + "/api/v1/write")
	require.NoError(t, err)
	c, err := remote.NewWriteClient("test", &remote.ClientConfig{
		URL:           &configutil.URL{URL: u},
		Timeout:       model.Duration(10 * time.Second),
		WriteProtoMsg: message,
	})
	require.NoError(t, err)
	return c
}

func TestPrometheusAsSender(t *testing.T) {
	good := []prompb.TimeSeries{seriesV1(t0, 1, "__name__", "x"), seriesV1(t0, 2, "__name__", "y")}
	bad := []prompb.TimeSeries{seriesV1(t0, 9, "__name__", "x"), seriesV1(t0, 3, "__name__", "z")}
	for message, encode := range map[remoteapi.WriteMessageType]func([]prompb.TimeSeries) []byte{
		remoteapi.WriteV1MessageType: func(ts []prompb.TimeSeries) []byte { return pack(t, &prompb.WriteRequest{Timeseries: ts}) },
		remoteapi.WriteV2MessageType: func(ts []prompb.TimeSeries) []byte { return pack(t, toV2(ts)) },
	} {
		t.Run(string(message), func(t *testing.T) {
			h, _ := newHandler(t, nil)
			c := sender(t, h, message)
			stats, err := c.Store(context.Background(), encode(good), 0)
			require.NoError(t, err)
			if message == remoteapi.WriteV2MessageType {
				require.Equal(t, 2, stats.Samples)
			}
			stats, err = c.Store(context.Background(), encode(bad), 0)
			require.ErrorContains(t, err, "duplicate_timestamp")
			require.NotErrorAs(t, err, new(remote.RecoverableError), "it must not be sent again")
			if message == remoteapi.WriteV2MessageType {
				require.Equal(t, 1, stats.Samples)
			}
			_, err = c.Store(context.Background(), snappy.Encode(nil, []byte("\x0a\xff")), 0)
			require.NotErrorAs(t, err, new(remote.RecoverableError))
		})
	}
}

func TestPrometheusSendsAgainWhenTheDiskIsFull(t *testing.T) {
	cfg := tsdb.DefaultConfig()
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg, FreeBytes: func(string) (uint64, error) { return 0, nil }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	c := sender(t, New(Options{Store: s, Config: cfg.RemoteWrite}), remoteapi.WriteV1MessageType)
	_, err = c.Store(context.Background(), pack(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{seriesV1(t0, 1, "__name__", "x")}}), 0)
	require.ErrorAs(t, err, new(remote.RecoverableError))
}
