package ui

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options configure Handler. The zero value serves what is embedded.
type Options struct {
	// FS replaces the embedded build; it must hold index.html at its root.
	FS fs.FS
}

// Routes returns the first path segments that belong to the app. It leaves
// alone everything that is an API of Belfry, such as /metrics, which is the
// exposition of its own metrics and not a page.
func Routes() []string {
	return []string{
		"alerts", "explore", "graph", "inbox", "incidents", "logs", "oncall", "query", "traces",
	}
}

// securityPolicy lets the app reach nothing but its own origin, and run and
// style nothing inline. data: images are for icons inside style sheets.
const securityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; " +
	"frame-ancestors 'none'"

// Handler returns the web app as a handler for "/". It answers GET and HEAD.
// The error is that of an unreadable or incomplete build.
func Handler(opts Options) (http.Handler, error) {
	fsys := opts.FS
	if fsys == nil {
		var err error
		if fsys, err = embedded(); err != nil {
			return nil, fmt.Errorf("opening the embedded web app: %w", err)
		}
	}
	assets, err := loadAssets(fsys)
	if err != nil {
		return nil, err
	}
	return &handler{assets: assets, routes: Routes()}, nil
}

type handler struct {
	assets map[string]*asset
	routes []string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	found := h.lookup(r.URL.Path)
	if found == nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	serve(w, r, found)
}

// lookup finds the file for a request's path, or the index page where the path
// is one of the app's routes, or nil.
func (h *handler) lookup(urlPath string) *asset {
	name := strings.TrimPrefix(urlPath, "/")
	if name == "" {
		return h.assets[indexName]
	}
	if found := h.assets[name]; found != nil {
		return found
	}
	first, _, _ := strings.Cut(name, "/")
	if slices.Contains(h.routes, first) {
		return h.assets[indexName]
	}
	return nil
}

func serve(w http.ResponseWriter, r *http.Request, a *asset) {
	header := w.Header()
	header.Set("Content-Type", a.contentType)
	if a.immutable {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "no-cache")
	}
	chosen := a.plain
	if a.brotli.body != nil || a.gzip.body != nil {
		header.Set("Vary", "Accept-Encoding")
		accepted := r.Header.Get("Accept-Encoding")
		switch {
		case a.brotli.body != nil && accepts(accepted, "br"):
			chosen = a.brotli
			header.Set("Content-Encoding", "br")
		case a.gzip.body != nil && accepts(accepted, "gzip"):
			chosen = a.gzip
			header.Set("Content-Encoding", "gzip")
		}
	}
	header.Set("ETag", chosen.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(chosen.body))
}

// accepts reports whether an Accept-Encoding header names the coding with a
// weight above zero. Wildcards are not taken: who sends only "*" gets the
// plain file, which is always allowed.
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		weight, ok := strings.CutPrefix(strings.TrimSpace(params), "q=")
		if !ok {
			return true
		}
		q, err := strconv.ParseFloat(weight, 64)
		return err == nil && q > 0
	}
	return false
}

func setSecurityHeaders(header http.Header) {
	header.Set("Content-Security-Policy", securityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}
