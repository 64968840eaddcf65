package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// TestShippedBinary starts the program as it is shipped, by itself, and drives it
// as Grafana does. PLUGIN_BINARY names one that is built.
//
// A standalone plugin ends every other process whose command line has the name of
// its executable: a running Grafana's, or a build's. So it goes by another name here.
func TestShippedBinary(t *testing.T) {
	dir := t.TempDir()
	name := fmt.Sprintf("belfry_standalone_test_%d", os.Getpid())
	binary := filepath.Join(dir, name)
	if built := os.Getenv("PLUGIN_BINARY"); built != "" {
		text, err := os.ReadFile(built)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(binary, text, 0o700))
	} else {
		build := exec.Command("go", "build", "-o", binary, "..")
		out, err := build.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	manifest, err := os.ReadFile("../../src/plugin.json")
	require.NoError(t, err)
	manifest = bytes.Replace(manifest, []byte(`"gpx_belfry"`), fmt.Appendf(nil, "%q", name), 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plugin.json"), manifest, 0o600))
	cmd := exec.Command(binary, "-standalone")
	cmd.Dir = dir
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var address []byte
	require.NoError(t, eventually(func() error {
		if address, err = os.ReadFile(filepath.Join(dir, "standalone.txt")); err == nil && len(address) == 0 {
			err = os.ErrNotExist
		}
		return err
	}))
	conn, err := grpc.NewClient(string(address), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	require.NoError(t, err)
	defer conn.Close()
	p := newPlugin(t, shared.url, `{}`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	health, err := pluginv2.NewDiagnosticsClient(conn).CheckHealth(ctx, &pluginv2.CheckHealthRequest{PluginContext: p.proto()})
	require.NoError(t, err)
	require.Equal(t, pluginv2.CheckHealthResponse_OK, health.Status, health.Message)

	answer, err := pluginv2.NewDataClient(conn).QueryData(ctx, backend.ToProto().QueryDataRequest(&backend.QueryDataRequest{
		PluginContext: p.context(), Queries: []backend.DataQuery{
			{RefID: "A", JSON: json.RawMessage(`{"queryType": "logs", "expr": "{}"}`), TimeRange: backend.TimeRange{From: base, To: base.Add(time.Hour)}},
			{RefID: "B", JSON: json.RawMessage(`{"queryType": "traces", "expr": "` + firstTrace + `"}`), TimeRange: backend.TimeRange{From: base, To: base.Add(time.Hour)}},
		},
	}))
	require.NoError(t, err)
	resp, err := backend.FromProto().QueryDataResponse(answer)
	require.NoError(t, err)
	require.Equal(t, 26, resp.Responses["A"].Frames[0].Rows())
	require.Equal(t, 3, resp.Responses["B"].Frames[0].Rows())

	resources, err := pluginv2.NewResourceClient(conn).CallResource(ctx, &pluginv2.CallResourceRequest{
		PluginContext: p.proto(), Path: "values", Method: "GET", Url: "values?signal=metrics&name=service_name&" + span30(),
	})
	require.NoError(t, err)
	first, err := resources.Recv()
	require.NoError(t, err)
	require.Contains(t, string(first.Body), "checkout")

	listening, stop := context.WithCancel(ctx)
	stream, err := pluginv2.NewStreamClient(conn).RunStream(listening, &pluginv2.RunStreamRequest{
		PluginContext: p.proto(), Path: "tail/A/1", Data: []byte(`{"expr": "{}"}`),
	})
	require.NoError(t, err)
	require.NoError(t, eventually(func() error { return tails(shared, 1) }))
	stop()
	_, err = stream.Recv()
	require.Error(t, err)
	require.NoError(t, eventually(func() error { return tails(shared, 0) }), "Belfry still sends to a client that went")
}

// tails holds the number of requests that Belfry is answering, our own asking
// aside, against what is expected.
func tails(s *server, want int) error {
	resp, err := http.Get(s.url + "/metrics")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	m := inFlight.FindSubmatch(text)
	if m == nil {
		return errors.New("no belfry_http_requests_in_flight")
	}
	if n, _ := strconv.Atoi(string(m[1])); n != want+1 {
		return fmt.Errorf("%d requests are being answered, not %d", n, want+1)
	}
	return nil
}

var inFlight = regexp.MustCompile(`(?m)^belfry_http_requests_in_flight (\d+)`)
