package api

import (
	"net/http"

	"google.golang.org/protobuf/encoding/protowire"

	"belfry/internal/fault"
	"belfry/internal/otlpwire"
	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/traceql"
)

// NextHeader is the response header of Tempo's search that holds the cursor to
// go on with, if there is more; give it back as the parameter "after".
const NextHeader = "X-Belfry-Next"

// CutHeader is the response header that says which bound ended a query before it
// had seen everything.
const CutHeader = "X-Belfry-Cut"

func tellCut(w http.ResponseWriter, s traces.Stats) {
	if s.Cut != "" {
		w.Header().Set(CutHeader, s.Cut)
	}
}

const (
	mediaProtobuf = "application/protobuf"
	mediaJSON     = "application/json"
)

type tempo struct{ Options }

// NewTempo returns Tempo's HTTP API, rooted at /api.
func NewTempo(o Options) http.Handler {
	t := &tempo{o.withDefaults()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/echo", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("echo")) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ready\n")) })
	for pattern, h := range map[string]handler{
		"GET /api/status/buildinfo":           t.buildInfo,
		"GET /api/traces/{id}":                t.traceV1,
		"GET /api/v2/traces/{id}":             t.traceV2,
		"GET /api/search":                     t.search,
		"GET /api/search/tags":                t.tags,
		"GET /api/v2/search/tags":             t.tagsV2,
		"GET /api/search/tag/{tag}/values":    t.tagValues,
		"GET /api/v2/search/tag/{tag}/values": t.tagValuesV2,
		"GET /api/metrics/query_range":        t.queryRange,
		"GET /api/metrics/query":              t.queryInstant,
	} {
		mux.Handle(pattern, h)
	}
	return mux
}

func (t *tempo) buildInfo(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{
		"version": t.Version, "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
	})
	return nil
}

// findTrace reads the trace that a request's path names; partial says why it
// is not all of it, if it is not.
func (t *tempo) findTrace(w http.ResponseWriter, r *http.Request) (tree *traces.Tree, partial string, err error) {
	id, err := traces.ParseTraceID(r.PathValue("id"))
	if err != nil {
		return nil, "", err
	}
	p := paramsOf(r)
	q := traces.TraceQuery{ID: id, MaxSpans: t.MaxTraceSpans}
	if p.text("start") != "" && p.text("end") != "" {
		q.From, q.To = p.instant("start", 1e9, 0), p.instant("end", 1e9, 0)
	}
	around := traceql.Around{Descendants: p.levels("match_depth", 0)}
	if p.text("keep_hierarchy") == "true" {
		around.Ancestors = p.levels("ancestor_depth", -1)
	}
	if p.err != nil {
		return nil, "", p.err
	}
	trace, err := t.Store.Trace(r.Context(), tenant.ID(r.Context()), q)
	if err != nil {
		return nil, "", err
	}
	tellCut(w, trace.Stats)
	tree = traces.NewTree(trace.Spans)
	if trace.Stats.Cut != "" {
		partial = "the trace has more spans than can be returned"
	}
	if filter := p.text("q"); filter != "" && len(tree.Spans) > 0 {
		kept, err := traceql.FilterTree(tree, filter, around)
		if err != nil {
			return nil, "", err
		}
		if len(kept.Spans) < len(tree.Spans) {
			partial = "only the spans that the filter matches"
		}
		tree = kept
	}
	if len(tree.Spans) == 0 {
		return nil, "", fault.NotFoundf("trace %s not found", id)
	}
	return tree, partial, nil
}

func (t *tempo) traceV1(w http.ResponseWriter, r *http.Request) error {
	tree, _, err := t.findTrace(w, r)
	if err != nil {
		return err
	}
	if accepts(r, mediaProtobuf) {
		w.Header().Set("Content-Type", mediaProtobuf)
		_, _ = w.Write(traces.AppendTracesData(nil, tree.Spans))
		return nil
	}
	body := traces.AppendResourceSpansJSON([]byte(`{"batches":`), tree.Spans)
	writeJSONBytes(w, http.StatusOK, append(body, '}'))
	return nil
}

// traceV2 answers with a message of the trace (field 1), and whether that is all
// of it (3, with 4 saying why not).
func (t *tempo) traceV2(w http.ResponseWriter, r *http.Request) error {
	tree, partial, err := t.findTrace(w, r)
	if err != nil {
		return err
	}
	if accepts(r, mediaProtobuf) {
		w.Header().Set("Content-Type", mediaProtobuf)
		body := protowire.AppendTag(nil, 1, protowire.BytesType)
		body = protowire.AppendBytes(body, traces.AppendTracesData(nil, tree.Spans))
		if partial != "" {
			body = protowire.AppendVarint(protowire.AppendTag(body, 3, protowire.VarintType), 1)
			body = protowire.AppendString(protowire.AppendTag(body, 4, protowire.BytesType), partial)
		}
		_, _ = w.Write(body)
		return nil
	}
	body := []byte(`{"metrics":{}`)
	if partial != "" {
		body = otlpwire.AppendJSONString([]byte(`{"message":`), []byte(partial))
		body = append(body, `,"metrics":{},"status":"PARTIAL"`...)
	}
	body = traces.AppendResourceSpansJSON(append(body, `,"trace":{"resourceSpans":`...), tree.Spans)
	body = append(body, '}')
	writeJSONBytes(w, http.StatusOK, append(body, '}'))
	return nil
}
