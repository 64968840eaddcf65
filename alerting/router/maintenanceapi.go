package router

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"belfry/internal/fault"
)

// maxWindowBody bounds a window that comes by API, in bytes.
const maxWindowBody = 64 << 10

// MaintenanceHandler serves maintenance windows below prefix:
//
//	GET    prefix          {"windows": [WindowStatus, ...]}
//	PUT    prefix/NAME     stores a Window; 204
//	DELETE prefix/NAME     removes it, and ends its silence; 204
//
// Windows of the configuration file are listed, and 403 to change.
func (r *Router) MaintenanceHandler(prefix string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+prefix, func(w http.ResponseWriter, req *http.Request) {
		list, err := r.windows.list(req.Context())
		if err != nil {
			fault.WriteHTTP(w, err)
			return
		}
		now := time.Now()
		for i := range list {
			s := &list[i]
			if s.Open = s.open(now); s.Open {
				_, s.Until = s.around(now)
			} else {
				s.Next, _ = s.next(now)
			}
		}
		if list == nil {
			list = []WindowStatus{}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"windows": list}) // the client went away
	})
	mux.HandleFunc("PUT "+prefix+"/{name}", func(w http.ResponseWriter, req *http.Request) {
		var window Window
		dec := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxWindowBody))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&window); err != nil {
			fault.WriteHTTP(w, fault.Invalidf("the window: %w", err))
			return
		}
		name := req.PathValue("name")
		if window.Name != "" && window.Name != name {
			fault.WriteHTTP(w, fault.Invalidf("name: %q is not the %q of the path", window.Name, name))
			return
		}
		window.Name = name
		r.changed(w, req, r.windows.put(req.Context(), window))
	})
	mux.HandleFunc("DELETE "+prefix+"/{name}", func(w http.ResponseWriter, req *http.Request) {
		r.changed(w, req, r.windows.remove(req.Context(), req.PathValue("name")))
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

// changed answers a change, after it has had its effect.
func (r *Router) changed(w http.ResponseWriter, req *http.Request, err error) {
	if err == nil {
		err = r.windows.look(req.Context(), time.Now())
		if err != nil && fault.KindOf(err) == fault.Internal {
			err = fmt.Errorf("the window is stored, but its silence is not up to date: %w", err)
		}
	}
	if err != nil {
		fault.WriteHTTP(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
