package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/log"
	"github.com/grafana/grafana-plugin-sdk-go/experimental/datasourcetest"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// patience bounds every wait for something that must come.
const patience = 60 * time.Second

// shared is one Belfry with the data of data_test.go, for tests that only read.
var shared *server

// program is the Belfry that is tested against: BELFRY_BINARY, or built from the
// main module.
var program = os.Getenv("BELFRY_BINARY")

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "belfry-plugin-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		if program == "" {
			program = filepath.Join(dir, "belfry")
			build := exec.Command("go", "build", "-o", program, "./cmd/belfry")
			build.Dir = filepath.Join("..", "..", "..", "..")
			build.Stderr = os.Stderr
			if err := build.Run(); err != nil {
				panic(err)
			}
		}
		shared, err = startServer(filepath.Join(dir, "shared"))
		if err != nil {
			panic(err)
		}
		defer shared.stop()
		if err := shared.load(); err != nil {
			panic(err)
		}
		if grpcServer, err = serveGRPC(); err != nil {
			panic(err)
		}
		defer grpcServer.stop()
		return m.Run()
	}())
}

// server is a Belfry process.
type server struct {
	dir  string
	url  string // of the HTTP APIs
	otlp string // of OTLP/HTTP
	cmd  *exec.Cmd
	log  *os.File
}

func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// configuration keeps Belfry from writing anything at the present time, so that
// the data of tests can lie at times that do not change.
const configuration = `server: {address: "127.0.0.1:%d"}
telemetry: {self_ingest: false}
span_metrics: {enabled: false}
metrics: {retention: {time: 36500d}}
logs: {retention: {time: 36500d}}
traces: {retention: {time: 36500d}}
collector:
  receivers:
    otlp:
      protocols:
        grpc: {endpoint: "127.0.0.1:%d"}
        http: {endpoint: "127.0.0.1:%d"}
alertmanager:
  route: {receiver: oncall}
  receivers: [{name: oncall}]
oncall:
  people:
    - {id: ada, name: Ada, methods: [{type: inbox}]}
    - {id: grace, name: Grace, methods: [{type: inbox}]}
  schedules:
    - id: first-line
      time_zone: UTC
      layers:
        - {name: weeks, rotation: weekly, handoff: "09:00", handoff_day: monday, participants: [ada, grace]}
escalation:
  policies:
    - {name: main, receivers: [oncall], routing_keys: [shop-0123456789], steps: [{schedules: [first-line], wait: 5m}]}
`

func startServer(dir string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	s := &server{
		dir: dir, url: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), otlp: fmt.Sprintf("http://127.0.0.1:%d", ports[2]),
	}
	config := fmt.Sprintf(configuration, ports[0], ports[1], ports[2])
	if err := os.WriteFile(filepath.Join(dir, "belfry.yaml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return s, s.start()
}

func (s *server) start() error {
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	s.log = log
	s.cmd = exec.Command(program, "serve", "--config", filepath.Join(s.dir, "belfry.yaml"), "--data", filepath.Join(s.dir, "data"))
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	return eventually(func() error {
		resp, err := http.Get(s.url + "/-/ready")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("ready: %s", resp.Status)
		}
		return nil
	})
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	_ = s.log.Close()
}

// eventually tries until fn returns nil.
func eventually(fn func() error) error {
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-end.C:
			return err
		}
	}
}

func (s *server) post(target string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	resp, err := http.Post(target, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 || strings.Contains(string(answer), "rejected") && !strings.Contains(string(answer), `"partialSuccess":{}`) {
		return fmt.Errorf("%s: %s: %s", target, resp.Status, answer)
	}
	return nil
}

// grpcServer serves every data source of the tests: the SDK allows one a process,
// and Grafana runs one process for all data sources of a plugin as well.
var grpcServer *served

type served struct {
	datasourcetest.TestPlugin

	streams pluginv2.StreamClient
	conn    *grpc.ClientConn
}

func serveGRPC() (*served, error) {
	log.DefaultLogger = log.NewWithLevel(log.Error)
	backend.Logger = log.DefaultLogger
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	p, err := datasourcetest.Manage(New, datasourcetest.ManageOpts{Address: address})
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return &served{p, pluginv2.NewStreamClient(conn), conn}, err
}

func (s *served) stop() {
	_ = s.conn.Close()
	_ = s.Shutdown()
}

// plugin is one data source.
type plugin struct {
	*served

	settings backend.DataSourceInstanceSettings
}

const testUID = "belfry-uid"

// newPlugin is a data source with these options.
func newPlugin(t testing.TB, url, jsonData string) *plugin {
	t.Helper()
	return &plugin{grpcServer, backend.DataSourceInstanceSettings{
		ID: instances.Add(1), UID: testUID, Name: "Belfry", Type: ID, URL: url, JSONData: []byte(jsonData), Updated: time.Unix(1, 0),
	}}
}

var instances atomic.Int64

func (p *plugin) context() backend.PluginContext {
	return backend.PluginContext{OrgID: 1, PluginID: ID, DataSourceInstanceSettings: &p.settings}
}

// ask runs one query over the half hour of the data.
func (p *plugin) ask(t testing.TB, query string, headers ...string) backend.DataResponse {
	t.Helper()
	return p.askAt(t, query, base, base.Add(30*time.Minute), headers...)
}

func (p *plugin) askAt(t testing.TB, query string, from, to time.Time, headers ...string) backend.DataResponse {
	t.Helper()
	req := &backend.QueryDataRequest{
		PluginContext: p.context(), Headers: map[string]string{},
		Queries: []backend.DataQuery{{
			RefID: "A", JSON: json.RawMessage(query), Interval: 5 * time.Minute, MaxDataPoints: 100,
			TimeRange: backend.TimeRange{From: from, To: to},
		}},
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Headers[headers[i]] = headers[i+1]
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := p.Client.QueryData(ctx, req)
	require.NoError(t, err)
	return resp.Responses["A"]
}
