// Command bridge is a page that hosts the plugin without a Grafana: it serves the
// built front end, and answers the requests that Grafana's libraries make (queries,
// resources, live streams) by the plugin's own backend in this process.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"

	"belfry/ui/grafana/pkg/plugin"
)

func main() {
	url := flag.String("belfry", "http://127.0.0.1:4321", "a running Belfry")
	host := flag.String("host", "browser/out/host", "the built page")
	dist := flag.String("dist", "dist", "the built plugin")
	flag.Parse()
	if err := run(*url, *host, *dist); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type bridge struct {
	ds       *plugin.Datasource
	settings backend.DataSourceInstanceSettings
}

func run(url, host, dist string) error {
	b := &bridge{settings: backend.DataSourceInstanceSettings{UID: "belfry", Name: "Belfry", Type: plugin.ID, URL: url, JSONData: []byte(`{}`)}}
	instance, err := plugin.New(context.Background(), b.settings)
	if err != nil {
		return err
	}
	b.ds = instance.(*plugin.Datasource)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/ds/query", b.query)
	mux.HandleFunc("/api/datasources/uid/belfry/resources/{path...}", b.resource)
	mux.HandleFunc("GET /live", b.live)
	mux.Handle("/public/plugins/"+plugin.ID+"/", http.StripPrefix("/public/plugins/"+plugin.ID+"/", http.FileServer(http.Dir(dist))))
	mux.Handle("/", http.FileServer(http.Dir(host)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(l)
}

func (b *bridge) context() backend.PluginContext {
	return backend.PluginContext{OrgID: 1, PluginID: plugin.ID, DataSourceInstanceSettings: &b.settings}
}

func (b *bridge) query(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Queries  []json.RawMessage
		From, To string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	from, _ := strconv.ParseInt(in.From, 10, 64)
	to, _ := strconv.ParseInt(in.To, 10, 64)
	req := &backend.QueryDataRequest{PluginContext: b.context(), Headers: map[string]string{}}
	for _, raw := range in.Queries {
		var q struct {
			RefID, QueryType          string
			IntervalMs, MaxDataPoints float64
		}
		if err := json.Unmarshal(raw, &q); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req.Queries = append(req.Queries, backend.DataQuery{
			RefID: q.RefID, QueryType: q.QueryType, JSON: raw, MaxDataPoints: int64(q.MaxDataPoints),
			Interval:  time.Duration(q.IntervalMs) * time.Millisecond,
			TimeRange: backend.TimeRange{From: time.UnixMilli(from), To: time.UnixMilli(to)},
		})
	}
	resp, err := b.ds.QueryData(r.Context(), req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(resp)
}

func (b *bridge) resource(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	path := r.PathValue("path")
	err = b.ds.CallResource(r.Context(), &backend.CallResourceRequest{
		PluginContext: b.context(), Path: path, Method: r.Method, URL: path + "?" + r.URL.RawQuery, Headers: r.Header, Body: body,
	}, backend.CallResourceResponseSenderFunc(func(resp *backend.CallResourceResponse) error {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(resp.Status)
		_, err := w.Write(resp.Body)
		return err
	}))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// events sends a stream's packets as server-sent events.
type events struct{ w http.ResponseWriter }

func (e events) Send(p *backend.StreamPacket) error {
	_, err := fmt.Fprintf(e.w, "data: %s\n\n", p.Data)
	e.w.(http.Flusher).Flush()
	return err
}

func (b *bridge) live(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	_ = b.ds.RunStream(r.Context(), &backend.RunStreamRequest{
		PluginContext: b.context(), Path: r.URL.Query().Get("path"), Data: []byte(r.URL.Query().Get("data")),
	}, backend.NewStreamSender(events{w}))
}
