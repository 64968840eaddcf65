package ui_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"belfry/ui"
)

func build() fstest.MapFS {
	return fstest.MapFS{
		".gitkeep":              {Data: nil},
		"index.html":            {Data: []byte("<!doctype html><title>app</title>")},
		"favicon.svg":           {Data: []byte("<svg/>")},
		"assets/app-1a2b.js":    {Data: []byte("plain script")},
		"assets/app-1a2b.js.br": {Data: []byte("brotli script")},
		"assets/app-1a2b.js.gz": {Data: []byte("gzip script")},
		"assets/font.woff2":     {Data: []byte("font")},
	}
}

func newHandler(t *testing.T, opts ui.Options) http.Handler {
	t.Helper()
	h, err := ui.Handler(opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func request(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPathsAnswerWithFileIndexOrNotFound(t *testing.T) {
	h := newHandler(t, ui.Options{FS: build()})
	for _, test := range []struct {
		path        string
		status      int
		contentType string
		body        string
	}{
		{"/", 200, "text/html; charset=utf-8", "<title>app</title>"},
		{"/index.html", 200, "text/html; charset=utf-8", "<title>app</title>"},
		{"/favicon.svg", 200, "image/svg+xml", "<svg/>"},
		{"/assets/app-1a2b.js", 200, "text/javascript; charset=utf-8", "plain script"},
		{"/assets/font.woff2", 200, "font/woff2", "font"},
		{"/logs", 200, "text/html; charset=utf-8", "<title>app</title>"},
		{"/explore/metrics?expr=up", 200, "text/html; charset=utf-8", "<title>app</title>"},
		{"/traces/0af7651916cd43dd8448eb211c80319c", 200, "text/html; charset=utf-8", "<title>app</title>"},
		{"/incidents/42", 200, "text/html; charset=utf-8", "<title>app</title>"},
		{"/assets/old-9f9f.js", 404, "text/plain; charset=utf-8", "not found"},
		{"/assets/", 404, "text/plain; charset=utf-8", "not found"},
		{"/assets", 404, "text/plain; charset=utf-8", "not found"},
		{"/assets/app-1a2b.js.br", 404, "text/plain; charset=utf-8", "not found"},
		{"/.gitkeep", 404, "text/plain; charset=utf-8", "not found"},
		{"/api/v1/mistyped", 404, "text/plain; charset=utf-8", "not found"},
		{"/metrics", 404, "text/plain; charset=utf-8", "not found"},
		{"/../go.mod", 404, "text/plain; charset=utf-8", "not found"},
		{"/assets/../../handler.go", 404, "text/plain; charset=utf-8", "not found"},
		{"/assets/..%2f..%2fhandler.go", 404, "text/plain; charset=utf-8", "not found"},
		{"//etc/passwd", 404, "text/plain; charset=utf-8", "not found"},
	} {
		w := request(h, http.MethodGet, "http://belfry"+test.path)
		if w.Code != test.status {
			t.Errorf("%s: status %d, want %d", test.path, w.Code, test.status)
		}
		if got := w.Header().Get("Content-Type"); got != test.contentType {
			t.Errorf("%s: content type %q, want %q", test.path, got, test.contentType)
		}
		if !strings.Contains(w.Body.String(), test.body) {
			t.Errorf("%s: body %q lacks %q", test.path, w.Body, test.body)
		}
	}
}

func TestHashedFilesAreCachedForEverAndPagesRevalidated(t *testing.T) {
	h := newHandler(t, ui.Options{FS: build()})
	script := request(h, http.MethodGet, "/assets/app-1a2b.js")
	if got, want := script.Header().Get("Cache-Control"), "public, max-age=31536000, immutable"; got != want {
		t.Errorf("hashed file: Cache-Control %q, want %q", got, want)
	}
	for _, path := range []string{"/", "/logs", "/favicon.svg"} {
		w := request(h, http.MethodGet, path)
		if got := w.Header().Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control %q, want no-cache", path, got)
		}
		tag := w.Header().Get("ETag")
		if tag == "" {
			t.Errorf("%s: no ETag", path)
		}
		if again := request(h, http.MethodGet, path, "If-None-Match", tag); again.Code != http.StatusNotModified {
			t.Errorf("%s: status %d with the current ETag, want 304", path, again.Code)
		}
	}
	if got := request(h, http.MethodGet, "/api/x").Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("not found: Cache-Control %q, want no-store", got)
	}
}

func TestEncodingIsNegotiated(t *testing.T) {
	h := newHandler(t, ui.Options{FS: build()})
	tags := map[string]bool{}
	for _, test := range []struct{ accept, encoding, body string }{
		{"", "", "plain script"},
		{"identity", "", "plain script"},
		{"gzip, deflate, br, zstd", "br", "brotli script"},
		{"GZIP", "gzip", "gzip script"},
		{"br;q=0, gzip;q=0.5", "gzip", "gzip script"},
		{"br;q=nonsense", "", "plain script"},
		{"brotli", "", "plain script"},
	} {
		w := request(h, http.MethodGet, "/assets/app-1a2b.js", "Accept-Encoding", test.accept)
		if got := w.Header().Get("Content-Encoding"); got != test.encoding {
			t.Errorf("%q: encoding %q, want %q", test.accept, got, test.encoding)
		}
		if got := w.Body.String(); got != test.body {
			t.Errorf("%q: body %q, want %q", test.accept, got, test.body)
		}
		if got := w.Header().Get("Vary"); got != "Accept-Encoding" {
			t.Errorf("%q: Vary %q", test.accept, got)
		}
		tags[w.Header().Get("ETag")] = true
	}
	if len(tags) != 3 {
		t.Errorf("%d entity tags for three encodings", len(tags))
	}
}

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	h := newHandler(t, ui.Options{FS: build()})
	for _, path := range []string{"/", "/assets/app-1a2b.js", "/nowhere"} {
		header := request(h, http.MethodGet, path).Header()
		policy := header.Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "http") {
			t.Errorf("%s: policy allows too much: %s", path, policy)
		}
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy lacks %s", path, want)
			}
		}
		if got := header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q", path, got)
		}
	}
}

func TestOnlyReadingMethods(t *testing.T) {
	h := newHandler(t, ui.Options{FS: build()})
	if w := request(h, http.MethodHead, "/"); w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("HEAD: status %d, %d bytes of body", w.Code, w.Body.Len())
	}
	w := request(h, http.MethodPost, "/")
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestIncompleteBuildIsRefused(t *testing.T) {
	if _, err := ui.Handler(ui.Options{FS: fstest.MapFS{"assets/app.js": {}}}); err == nil {
		t.Error("a build without index.html was accepted")
	}
}

// TestEmbeddedPage holds for a binary with the app and for one with the
// placeholder: whatever the page names is served and nothing in it is inline
// or from another host, which the policy would block.
func TestEmbeddedPage(t *testing.T) {
	h := newHandler(t, ui.Options{})
	page := request(h, http.MethodGet, "/")
	if page.Code != http.StatusOK {
		t.Fatalf("status %d", page.Code)
	}
	body := page.Body.String()
	if ui.Built() == strings.Contains(body, "without its web app") {
		t.Errorf("Built() is %t, page is:\n%s", ui.Built(), body)
	}
	for _, bad := range []string{"<style", "style=", "onclick=", "https://", "<script>"} {
		if strings.Contains(body, bad) {
			t.Errorf("page contains %s", bad)
		}
	}
	names := regexp.MustCompile(`(?:src|href)="(/(?:assets/)?[^"/]+\.(?:js|css|svg))"`).FindAllStringSubmatch(body, -1)
	if len(names) == 0 {
		t.Fatal("page names no file")
	}
	for _, name := range names {
		if w := request(h, http.MethodGet, name[1]); w.Code != http.StatusOK {
			t.Errorf("%s, named by the page: status %d", name[1], w.Code)
		}
	}
}

// TestRoutesAreThoseOfTheApp reads the app's route table, so that a page added
// there is not forgotten here.
func TestRoutesAreThoseOfTheApp(t *testing.T) {
	source, err := os.ReadFile("app/src/routes.ts")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, match := range regexp.MustCompile(`path: "/([a-z]+)`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, match[1])
	}
	slices.Sort(want)
	want = slices.Compact(want)
	got := ui.Routes()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("Routes() = %v, app/src/routes.ts has %v", got, want)
	}
}
