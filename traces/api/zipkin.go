package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/zipkin/zipkinv2"
	zipkinmodel "github.com/openzipkin/zipkin-go/model"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"belfry/internal/fault"
	"belfry/traces"
	"belfry/traces/traceql"
)

type zipkin struct{ catalog }

// NewZipkin returns Zipkin's v2 query API, rooted at /api/v2.
func NewZipkin(o Options) http.Handler {
	z := &zipkin{catalog{o.withDefaults()}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "UP"})
	})
	for pattern, h := range map[string]handler{
		"GET /api/v2/services":           z.listServices,
		"GET /api/v2/spans":              z.listSpans,
		"GET /api/v2/remoteServices":     z.listRemote,
		"GET /api/v2/traces":             z.search,
		"GET /api/v2/trace/{id}":         z.trace,
		"GET /api/v2/traceMany":          z.traceMany,
		"GET /api/v2/dependencies":       z.dependencies,
		"GET /api/v2/autocompleteKeys":   z.autocompleteKeys,
		"GET /api/v2/autocompleteValues": z.autocompleteValues,
	} {
		mux.Handle(pattern, h)
	}
	return mux
}

func writeNames(w http.ResponseWriter, names []string, err error) error {
	if err != nil {
		return err
	}
	if names == nil {
		names = []string{}
	}
	writeJSON(w, http.StatusOK, names)
	return nil
}

func (z *zipkin) listServices(w http.ResponseWriter, r *http.Request) error {
	names, err := z.services(r.Context())
	return writeNames(w, names, err)
}

func (z *zipkin) listSpans(w http.ResponseWriter, r *http.Request) error {
	names, err := z.operations(r.Context(), paramsOf(r).text("serviceName"))
	return writeNames(w, names, err)
}

// listRemote names what OpenTelemetry calls the peer of a service's spans.
func (z *zipkin) listRemote(w http.ResponseWriter, r *http.Request) error {
	names, err := z.values(r.Context(), traces.Field{Scope: traces.ScopeSpan, Name: "peer.service"}, ofService(paramsOf(r).text("serviceName")))
	return writeNames(w, names, err)
}

// autocompleteKeys offers what people filter by in most systems.
func (z *zipkin) autocompleteKeys(w http.ResponseWriter, _ *http.Request) error {
	return writeNames(w, []string{"deployment.environment.name", "http.request.method", "http.route"}, nil)
}

func (z *zipkin) autocompleteValues(w http.ResponseWriter, r *http.Request) error {
	names, err := z.values(r.Context(), traces.Field{Scope: traces.ScopeAny, Name: paramsOf(r).text("key")}, nil)
	return writeNames(w, names, err)
}

// zipkinSpans turns a trace into Zipkin's model.
func zipkinSpans(tree *traces.Tree) ([]*zipkinmodel.SpanModel, error) {
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(traces.AppendTracesData(nil, tree.Spans))
	if err != nil {
		return nil, fault.New(fault.Internal, "encode trace: %w", err)
	}
	spans, err := zipkinv2.FromTranslator{}.FromTraces(td)
	if err != nil {
		return nil, fault.New(fault.Internal, "translate trace: %w", err)
	}
	for _, span := range spans { // what the model cannot say is left open, so that the span is shown
		span.Duration = max(0, span.Duration)
		if span.Timestamp.Unix() < 1 {
			span.Timestamp = time.Time{}
		}
	}
	return spans, nil
}

func zipkinTraces(trees []*traces.Tree) ([][]*zipkinmodel.SpanModel, error) {
	out := make([][]*zipkinmodel.SpanModel, 0, len(trees))
	for _, tree := range trees {
		spans, err := zipkinSpans(tree)
		if err != nil {
			return nil, err
		}
		out = append(out, spans)
	}
	return out, nil
}

func (z *zipkin) writeTraces(w http.ResponseWriter, f *found, err error) error {
	if err != nil {
		return err
	}
	f.tellCut(w.Header())
	list, err := zipkinTraces(f.trees)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

func (z *zipkin) trace(w http.ResponseWriter, r *http.Request) error {
	id, err := traces.ParseTraceID(r.PathValue("id"))
	if err != nil {
		return err
	}
	f, err := z.traces(r.Context(), []traces.TraceID{id}, 0, 0)
	if err != nil {
		return err
	}
	if len(f.trees) == 0 {
		return fault.NotFoundf("trace %s not found", id)
	}
	f.tellCut(w.Header())
	spans, err := zipkinSpans(f.trees[0])
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, spans)
	return nil
}

func (z *zipkin) traceMany(w http.ResponseWriter, r *http.Request) error {
	var ids []traces.TraceID
	for text := range strings.SplitSeq(paramsOf(r).text("traceIds"), ",") {
		id, err := traces.ParseTraceID(strings.TrimSpace(text))
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	f, err := z.traces(r.Context(), ids, 0, 0)
	return z.writeTraces(w, f, err)
}

func (z *zipkin) search(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	req := traceql.SearchRequest{Limit: p.number("limit", 10, z.MaxLimit)}
	req.To = p.instant("endTs", time.Millisecond, z.Now().UnixNano()) + int64(time.Millisecond)
	req.From = req.To - p.instant("lookback", time.Millisecond, int64(z.DefaultLookback))
	s := spanSearch{
		service: p.text("serviceName"), operation: p.text("spanName"), foldOperation: true, tags: map[string]tagText{},
		minDuration: time.Duration(p.instant("minDuration", time.Microsecond, 0)),
		maxDuration: time.Duration(p.instant("maxDuration", time.Microsecond, 0)),
	}
	if remote := p.text("remoteServiceName"); remote != "" {
		s.tags["peer.service"] = tagText(remote)
	}
	if text := p.text("annotationQuery"); text != "" {
		for part := range strings.SplitSeq(text, " and ") {
			key, value, isTag := strings.Cut(strings.TrimSpace(part), "=")
			switch {
			case isTag:
				s.tags[key] = tagText(value)
			case key == "error":
				s.tags[key] = "true"
			case key != "":
				s.events = append(s.events, key)
			}
		}
	}
	if p.err != nil {
		return p.err
	}
	var err error
	if req.Query, err = s.query(); err != nil {
		return err
	}
	f, err := z.findTraces(r.Context(), req)
	return z.writeTraces(w, f, err)
}

type zipkinDependency struct {
	Parent     string `json:"parent"`
	Child      string `json:"child"`
	CallCount  int64  `json:"callCount"`
	ErrorCount int64  `json:"errorCount,omitempty"`
}

func (z *zipkin) dependencies(w http.ResponseWriter, r *http.Request) error {
	graph, err := z.graph(r.Context(), paramsOf(r))
	if err != nil {
		return err
	}
	list := make([]zipkinDependency, 0, len(graph.Edges))
	for _, e := range graph.Edges {
		list = append(list, zipkinDependency{e.Parent, e.Child, e.Calls, e.Errors})
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}
