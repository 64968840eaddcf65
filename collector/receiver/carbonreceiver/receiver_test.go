package carbonreceiver

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Unix(1_800_000_000, 0)

func TestLines(t *testing.T) {
	for line, want := range map[string]string{
		"a.b 1 1700000000":                      "a.b [] 1 1700000000000000000",
		"a.b 1.5 1700000000.25":                 "a.b [] 1.5 1700000000250000000",
		"a.b\t-1e3   1700000000":                "a.b [] -1000 1700000000000000000",
		"a 1":                                   "a [] 1 1800000000000000000",
		"a 1 -1":                                "a [] 1 1800000000000000000",
		"disk.used;host=a;mount=/ 3 1700000000": "disk.used [[host a] [mount /]] 3 1700000000000000000",
		"a;k=v=w 3 1700000000":                  "a [[k v=w]] 3 1700000000000000000",
		"a":                                     `1 words, want a path, a value and a time`,
		"a 1 2 3":                               `4 words, want a path, a value and a time`,
		"a x 1":                                 `value "x" is not a number`,
		"a 1 x":                                 `time "x" is not seconds since the epoch`,
		"a 1 -5":                                `time "-5" is not seconds since the epoch`,
		"a 1 1e30":                              `time "1e30" is not seconds since the epoch`,
		";k=v 1 1":                              `the path is empty`,
		"a;k 1 1":                               `tag "k" is not key=value`,
		"a;=v 1 1":                              `tag "=v" is not key=value`,
		"a;k= 1 1":                              `tag "k=" is not key=value`,
		"a NaN 1700000000":                      "a [] NaN 1700000000000000000",
		strings.Repeat("x", 100) + " 0 0":       strings.Repeat("x", 100) + " [] 0 0",
	} {
		p, err := parseLine(line, now)
		got := fmt.Sprint(p.name, " ", p.tags, " ", p.v, " ", uint64(p.t))
		if err != nil {
			got = err.Error()
		}
		require.Equal(t, want, got, line)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("disk.used;host=a 3 1700000000")
	f.Add("a 1e400 -1")
	f.Fuzz(func(t *testing.T, line string) {
		if p, err := parseLine(line, now); err == nil {
			require.NotEmpty(t, p.name)
			newBatch().add(p)
		}
	})
}

// pipe is a consumer that hands over what it is given.
type pipe chan pmetric.Metrics

func (pipe) Capabilities() (c consumer.Capabilities) { return c }

func (p pipe) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	select {
	case p <- md:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func start(t *testing.T, transport string) (address string, out pipe) {
	t.Helper()
	cfg := defaultConfig()
	cfg.Endpoint, cfg.Transport, cfg.MaxConnections = "127.0.0.1:0", transport, 2
	out = make(pipe, 100)
	r, err := NewFactory().CreateMetrics(t.Context(), receivertest.NewNopSettings(NewFactory().Type()), cfg, out)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, r.Shutdown(context.Background())) })
	if transport == "udp" {
		return r.(*carbon).packets.LocalAddr().String(), out
	}
	return r.(*carbon).listener.Addr().String(), out
}

// take waits for n points and returns the names of their metrics.
func (p pipe) take(t *testing.T, n int) map[string]int {
	t.Helper()
	names := map[string]int{}
	for n > 0 {
		select {
		case md := <-p:
			list := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
			for i := range list.Len() {
				names[list.At(i).Name()] += list.At(i).Gauge().DataPoints().Len()
			}
			n -= md.DataPointCount()
		case <-t.Context().Done():
			t.Fatal("points are missing")
		}
	}
	return names
}

func TestLinesArriveOverBothTransports(t *testing.T) {
	for _, transport := range []string{"tcp", "udp"} {
		address, out := start(t, transport)
		conn, err := (&net.Dialer{}).DialContext(t.Context(), transport, address)
		require.NoError(t, err)
		_, err = conn.Write([]byte("a.b 1 1700000000\nnot a line at all\n\na.b 2 1700000010\r\nc;x=y 3 1700000000\nlast 4 1700000000"))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Equal(t, map[string]int{"a.b": 2, "c": 1, "last": 1}, out.take(t, 4), transport)
	}
}

func TestConnectionsAndLinesAreBounded(t *testing.T) {
	address, out := start(t, "tcp")
	dial := func() net.Conn {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	send := func(c net.Conn, text string) {
		_, err := c.Write([]byte(text))
		require.NoError(t, err)
	}
	first, second := dial(), dial()
	send(first, "a 1 1\n")
	send(second, "b 1 1\n")
	out.take(t, 2)
	third := dial()
	_, err := third.Read(make([]byte, 1))
	require.Error(t, err, "the third is closed")
	send(first, "c 1 1\n"+strings.Repeat("x", maxLine+1))
	require.Equal(t, map[string]int{"c": 1}, out.take(t, 1), "what came before a line that is too long is kept")
	_, err = first.Read(make([]byte, 1))
	require.Error(t, err, "it ends its connection")
}

func TestValidate(t *testing.T) {
	require.NoError(t, defaultConfig().Validate())
	err := (&Config{Endpoint: "x", Transport: "quic"}).Validate()
	for _, part := range []string{"endpoint", "transport", "tcp_idle_timeout", "max_connections"} {
		require.ErrorContains(t, err, part)
	}
}
