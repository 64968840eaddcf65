package api

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	_ "embed"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/internal/fault"
)

// Prefix is the path below which most of the API lives.
const Prefix = "/api/belfry/v1"

// Options are what the API needs.
type Options struct {
	Engine *escalation.Engine
	Logger *slog.Logger // nil discards
	// Actor returns who a request comes from, when that is known; it then wins
	// over the "by" of a request. nil: nobody is known.
	Actor func(*http.Request) string
}

// API serves the routes.
type API struct {
	engine *escalation.Engine
	log    *slog.Logger
	actor  func(*http.Request) string
	mux    *http.ServeMux
}

// Route is a method and a path pattern of net/http's ServeMux.
type Route struct {
	Method, Pattern string
	handle          func(*http.Request) (any, error) // answers JSON
	raw             http.HandlerFunc                 // answers by itself
}

// New returns the API.
func New(opts Options) *API {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Actor == nil {
		opts.Actor = func(*http.Request) string { return "" }
	}
	a := &API{engine: opts.Engine, log: opts.Logger, actor: opts.Actor, mux: http.NewServeMux()}
	for _, r := range a.Routes() {
		a.mux.Handle(r.Method+" "+r.Pattern, a.handler(r))
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { a.noRoute(w, r) })
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Routes returns all routes, for whoever mounts the API beside others.
func (a *API) Routes() []Route {
	var out []Route
	get := func(p string, h func(*http.Request) (any, error)) {
		out = append(out, Route{Method: http.MethodGet, Pattern: Prefix + p, handle: h})
	}
	post := func(p string, h func(*http.Request) (any, error)) {
		out = append(out, Route{Method: http.MethodPost, Pattern: Prefix + p, handle: h})
	}
	raw := func(method, pattern string, h http.HandlerFunc) {
		out = append(out, Route{Method: method, Pattern: pattern, raw: h})
	}
	get("/incidents", a.listIncidents)
	get("/incidents/{id}", a.getIncident)
	get("/incidents/{id}/timeline", a.getTimeline)
	post("/incidents/{id}/acknowledge", a.acknowledge)
	post("/incidents/{id}/unacknowledge", a.unacknowledge)
	post("/incidents/{id}/resolve", a.resolve)
	post("/incidents/{id}/snooze", a.snooze)
	post("/incidents/{id}/reassign", a.reassign)
	post("/incidents/{id}/severity", a.setSeverity)
	post("/incidents/{id}/merge", a.merge)
	post("/incidents/{id}/notes", a.note)
	post("/incidents", a.createIncident)

	get("/oncall", a.onCallNow)
	get("/people", a.listPeople)
	get("/teams", a.listTeams)
	get("/schedules", a.listSchedules)
	get("/schedules/{id}/shifts", a.listShifts)
	get("/schedules/{id}/overrides", a.listOverrides)
	post("/schedules/{id}/overrides", a.addOverride)
	out = append(out, Route{Method: http.MethodDelete, Pattern: Prefix + "/schedules/{id}/overrides/{override}", handle: a.removeOverride})
	raw(http.MethodGet, Prefix+"/schedules/{id}/calendar.ics", a.calendar)
	get("/schedules/{id}/swaps", a.listSwaps)
	post("/schedules/{id}/swaps", a.offerSwap)
	post("/schedules/{id}/swaps/{swap}/take", a.takeSwap)
	out = append(out, Route{Method: http.MethodDelete, Pattern: Prefix + "/schedules/{id}/swaps/{swap}", handle: a.withdrawSwap})
	post("/schedules/{id}/import", a.importCalendar)
	get("/coverage", a.coverage)
	raw(http.MethodGet, Prefix+"/people/{id}/calendar.ics", a.personCalendar)
	get("/policies", a.listPolicies)
	get("/analytics", a.analytics)
	raw(http.MethodGet, Prefix+"/incidents/{id}/postmortem.md", a.postmortem)

	get("/inbox", a.listInbox)
	post("/inbox/{id}/read", a.readInbox)

	raw(http.MethodGet, Prefix+"/ack/{token}", a.askAcknowledge)
	raw(http.MethodPost, Prefix+"/ack/{token}", a.doAcknowledge)

	get("/heartbeats", a.listHeartbeats)
	raw(http.MethodGet, Prefix+"/heartbeat/{id}", a.beat)
	raw(http.MethodPost, Prefix+"/heartbeat/{id}", a.beat)
	raw(http.MethodPost, "/v2/enqueue", a.enqueue)
	post("/page/alertmanager", a.pageAlertmanager)
	post("/page/grafana", a.pageGrafana)
	post("/page/json/{mapping}", a.pageJSON)
	raw(http.MethodPost, "/v2/alerts", a.genie(a.genieCreate))
	raw(http.MethodGet, "/v2/alerts/{identifier}", a.genie(a.genieGet))
	raw(http.MethodPost, "/v2/alerts/{identifier}/close", a.genie(a.genieDo(a.genieClose)))
	raw(http.MethodDelete, "/v2/alerts/{identifier}", a.genie(a.genieDo(a.genieClose)))
	raw(http.MethodPost, "/v2/alerts/{identifier}/acknowledge", a.genie(a.genieDo(a.genieEvent(genieAcknowledge))))
	raw(http.MethodPost, "/v2/alerts/{identifier}/unacknowledge", a.genie(a.genieDo(a.genieEvent(genieUnacknowledge))))
	raw(http.MethodPost, "/v2/alerts/{identifier}/snooze", a.genie(a.genieDo(a.genieEvent(genieSnooze))))
	raw(http.MethodPost, "/v2/alerts/{identifier}/notes", a.genie(a.genieDo(genieNothing)))
	raw(http.MethodPost, Prefix+"/slack", a.slack())
	raw(http.MethodPost, Prefix+"/telegram", a.telegram())
	raw(http.MethodGet, Prefix+"/chart/{token}", a.chart)
	raw(http.MethodGet, Prefix+"/openapi.json", a.openAPI)
	return out
}

func (a *API) handler(r Route) http.Handler {
	if r.raw != nil {
		return r.raw
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer, err := r.handle(req)
		if err != nil {
			a.fail(w, req, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	// The mux says 405 itself only where no pattern matches at all.
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := a.mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writeJSON(w, http.StatusMethodNotAllowed, errorBody{"method " + r.Method + " is not allowed here", "method_not_allowed"})
		return
	}
	writeJSON(w, http.StatusNotFound, errorBody{"there is nothing at " + r.URL.Path, "not_found"})
}

type errorBody struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

var codes = map[fault.Kind]string{
	fault.Internal: "internal", fault.Invalid: "invalid", fault.Unauthorized: "unauthorized", fault.Forbidden: "forbidden",
	fault.NotFound: "not_found", fault.Conflict: "conflict", fault.TooLarge: "too_large", fault.Unprocessable: "unprocessable",
	fault.Limited: "limited", fault.Unavailable: "unavailable", fault.Canceled: "canceled", fault.Timeout: "timeout",
}

func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	kind := fault.KindOf(err)
	message := err.Error()
	if kind == fault.Internal {
		a.log.Error("request failed", "method", r.Method, "path", r.Pattern, "error", err)
		message = "internal error"
	}
	if after := fault.RetryAfter(err); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	writeJSON(w, fault.HTTPStatus(err), errorBody{message, codes[kind]})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client is gone
}

// maxBody bounds a request that changes something.
const maxBody = 64 << 10

// decode reads a JSON body strictly into v.
func decode(r *http.Request, v any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fault.Invalidf("the Content-Type must be application/json")
	}
	return decodeBody(r, v, maxBody, true)
}

func decodeBody(r *http.Request, v any, limit int64, strict bool) error {
	body, err := readBody(r, limit)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	if strict {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(v); err != nil {
		return fault.Invalidf("the body is not the JSON that is expected: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.Invalidf("the body has more than one JSON value")
	}
	return nil
}

func readBody(r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, fault.Invalidf("read the body: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fault.New(fault.TooLarge, "the body is over %d bytes", limit)
	}
	return body, nil
}

// by returns who asks: who is known to, or who says so.
func (a *API) by(r *http.Request, said string) string {
	if who := a.actor(r); who != "" {
		return who
	}
	return incident.Clip(strings.TrimSpace(said), maxName)
}

// maxName bounds what people call themselves.
const maxName = 200

//go:embed openapi.json
var openAPIDocument []byte

func (a *API) openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPIDocument)
}
