package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"go.yaml.in/yaml/v3"

	"belfry/internal/fault"
)

// maxGroupBody bounds a group that comes by API, in bytes.
const maxGroupBody = 1 << 20

// EditHandler serves the rule configuration API of Mimir and Loki below prefix,
// without a slash at its end:
//
//	GET    prefix                     all groups, by namespace, in YAML
//	GET    prefix/NAMESPACE           those of one namespace
//	GET    prefix/NAMESPACE/GROUP     one group
//	POST   prefix/NAMESPACE           SetGroup; 202
//	DELETE prefix/NAMESPACE[/GROUP]   DeleteGroup; 202
//
// New groups are of type t. Rule files are namespaces that are read-only: YAML
// says so in a comment, and changing them is 403.
func (e *Engine) EditHandler(prefix string, t Type) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+prefix, e.getNamespaces)
	mux.HandleFunc("GET "+prefix+"/{namespace}", e.getNamespaces)
	mux.HandleFunc("GET "+prefix+"/{namespace}/{group}", e.getGroup)
	mux.HandleFunc("POST "+prefix+"/{namespace}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxGroupBody))
		if err != nil {
			kind := fault.Invalid
			if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
				kind = fault.TooLarge
			}
			answer(w, &fault.Error{Kind: kind, Err: fmt.Errorf("reading the group: %w", err)})
			return
		}
		answer(w, e.SetGroup(r.Context(), t, r.PathValue("namespace"), body))
	})
	remove := func(w http.ResponseWriter, r *http.Request) {
		answer(w, e.DeleteGroup(r.Context(), r.PathValue("namespace"), r.PathValue("group")))
	}
	mux.HandleFunc("DELETE "+prefix+"/{namespace}", remove)
	mux.HandleFunc("DELETE "+prefix+"/{namespace}/{group}", remove)
	return http.NewCrossOriginProtection().Handler(mux)
}

// answer is the outcome of a change, in the envelope of Prometheus' API; message
// is where Grafana looks for the reason.
func answer(w http.ResponseWriter, err error) {
	body, status := map[string]any{"status": "success", "data": nil, "errorType": "", "error": ""}, http.StatusAccepted
	if err != nil {
		status = fault.HTTPStatus(err)
		kind := "bad_data"
		if status >= http.StatusInternalServerError {
			kind = "server_error"
		}
		body["status"], body["errorType"], body["error"], body["message"] = "error", kind, err.Error(), err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}

func (e *Engine) getNamespaces(w http.ResponseWriter, r *http.Request) {
	only := r.PathValue("namespace")
	doc := &yaml.Node{Kind: yaml.MappingNode}
	for _, n := range e.Namespaces() {
		if only != "" && n.Name != only {
			continue
		}
		key, groups := &yaml.Node{}, &yaml.Node{}
		key.SetString(n.Name)
		if n.ReadOnly {
			key.HeadComment = "read-only: a rule file"
		}
		if err := groups.Encode(n.Groups); err != nil {
			answer(w, err)
			return
		}
		doc.Content = append(doc.Content, key, groups)
	}
	if len(doc.Content) == 0 && only != "" {
		answer(w, fault.NotFoundf("no rule groups found"))
		return
	}
	writeYAML(w, doc)
}

func (e *Engine) getGroup(w http.ResponseWriter, r *http.Request) {
	for _, n := range e.Namespaces() {
		if n.Name != r.PathValue("namespace") {
			continue
		}
		for i := range n.Groups {
			if n.Groups[i].Name == r.PathValue("group") {
				writeYAML(w, &n.Groups[i])
				return
			}
		}
	}
	answer(w, fault.NotFoundf("group does not exist"))
}

func writeYAML(w http.ResponseWriter, v any) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(v), enc.Close()); err != nil {
		answer(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = io.Copy(w, strings.NewReader(b.String())) // the client went away
}
