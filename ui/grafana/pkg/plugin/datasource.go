package plugin

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/httpclient"
	"github.com/grafana/grafana-plugin-sdk-go/backend/instancemgmt"
	"github.com/grafana/grafana-plugin-sdk-go/backend/resource/httpadapter"

	"belfry/ui/grafana/pkg/belfry"
)

// ID is the plugin's, as in plugin.json.
const ID = "belfry-belfry-datasource"

// parallel bounds the queries of one request that are asked at once.
const parallel = 8

// Datasource is one configured data source.
type Datasource struct {
	backend.CallResourceHandler

	uid      string
	settings *Settings
	client   *belfry.Client
	now      func() time.Time
}

var (
	_ backend.QueryDataHandler      = (*Datasource)(nil)
	_ backend.CheckHealthHandler    = (*Datasource)(nil)
	_ backend.CallResourceHandler   = (*Datasource)(nil)
	_ backend.StreamHandler         = (*Datasource)(nil)
	_ instancemgmt.InstanceDisposer = (*Datasource)(nil)
)

// New makes the instance of a data source; Grafana calls it for every version of
// the settings.
func New(ctx context.Context, in backend.DataSourceInstanceSettings) (instancemgmt.Instance, error) {
	settings, err := readSettings(in)
	if err != nil {
		return nil, backend.DownstreamError(err)
	}
	opts, err := in.HTTPClientOptions(ctx)
	if err != nil {
		return nil, fmt.Errorf("HTTP settings: %w", err)
	}
	opts.ForwardHTTPHeaders = true
	if settings.Tenant != "" {
		if opts.Header == nil {
			opts.Header = http.Header{}
		}
		opts.Header.Set("X-Scope-OrgID", settings.Tenant)
	}
	client, err := httpclient.New(opts)
	if err != nil {
		return nil, fmt.Errorf("HTTP client: %w", err)
	}
	stream, err := streamClient(opts)
	if err != nil {
		return nil, fmt.Errorf("HTTP client: %w", err)
	}
	api, err := belfry.New(in.URL, client, stream)
	if err != nil {
		return nil, backend.DownstreamError(err)
	}
	d := &Datasource{uid: in.UID, settings: settings, client: api, now: time.Now}
	d.CallResourceHandler = httpadapter.New(d.resources())
	return d, nil
}

// streamClient is a client for WebSockets: it has no timeout, and none of the
// middlewares that wrap an answer's body, which a WebSocket writes to.
func streamClient(opts httpclient.Options) (*http.Client, error) {
	timeouts := *opts.Timeouts
	timeouts.Timeout = 0
	opts.Timeouts = &timeouts
	keep := []string{
		httpclient.BasicAuthenticationMiddlewareName, httpclient.CustomHeadersMiddlewareName, httpclient.ContextualMiddlewareName,
	}
	opts.ConfigureMiddleware = func(_ httpclient.Options, all []httpclient.Middleware) []httpclient.Middleware {
		return slices.DeleteFunc(slices.Clone(all), func(m httpclient.Middleware) bool {
			named, ok := m.(httpclient.MiddlewareName)
			return !ok || !slices.Contains(keep, named.MiddlewareName())
		})
	}
	return httpclient.New(opts)
}

// Dispose ends the connections of an instance whose settings changed.
func (d *Datasource) Dispose() { d.client.Close() }

// QueryData answers the queries of a request side by side.
func (d *Datasource) QueryData(ctx context.Context, req *backend.QueryDataRequest) (*backend.QueryDataResponse, error) {
	resp := backend.NewQueryDataResponse()
	asker := asker{alert: req.Headers["FromAlert"] == "true"}
	asker.numbers = asker.alert || req.GetHTTPHeader("X-Grafana-From-Expr") == "true"
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, q := range req.Queries {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			answer := d.answer(ctx, q, asker)
			mu.Lock()
			defer mu.Unlock()
			resp.Responses[q.RefID] = answer
		})
	}
	wg.Wait()
	return resp, nil
}

// asker is who asks, where that changes the answer: an alert rule, which needs
// numbers; or an expression on the server, which reads series and nothing beside.
type asker struct{ alert, numbers bool }

// answer turns a fault, a panic included, into the query's own answer.
func (d *Datasource) answer(ctx context.Context, dq backend.DataQuery, by asker) (resp backend.DataResponse) {
	defer func() {
		if r := recover(); r != nil {
			backend.Logger.FromContext(ctx).Error("a query failed", "panic", r, "stack", string(debug.Stack()))
			resp = failed(fmt.Errorf("the plugin failed on this query: %v", r))
		}
	}()
	q, err := readQuery(dq, d.settings)
	if err != nil {
		return failed(err)
	}
	q.by = by
	frames, err := d.run(ctx, q)
	if err != nil {
		return failed(err)
	}
	for _, f := range frames {
		f.RefID = dq.RefID
	}
	return backend.DataResponse{Frames: frames, Status: backend.StatusOK}
}
