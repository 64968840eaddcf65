package belfry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// MaxAnswer bounds the bytes of one answer.
const MaxAnswer = 256 << 20

// Error is a fault that the server reports.
type Error struct {
	Status  int    // HTTP
	Message string // the server's words
	Path    string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status == http.StatusNotFound && e.Message == "" {
		return "this Belfry does not serve " + e.Path
	}
	return e.Message
}

// Missing reports whether err says that the server has no such endpoint or thing.
func Missing(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed)
}

// Client is safe for concurrent use.
type Client struct {
	base   *url.URL
	http   *http.Client
	stream *http.Client // without a timeout, for WebSockets
}

// New returns a client of the server at base. stream is used for what has no end.
func New(base string, client, stream *http.Client) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(strings.TrimSpace(base), "/"))
	if err != nil {
		return nil, fmt.Errorf("the URL of Belfry: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the URL of Belfry, %q, is not http://host:port", base)
	}
	return &Client{base: u, http: client, stream: stream}, nil
}

// Close ends idle connections.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.stream.CloseIdleConnections()
}

type answer struct {
	body   []byte
	header http.Header
}

// get asks for path; headers come in pairs.
func (c *Client) get(ctx context.Context, path string, params url.Values, headers ...string) (*answer, error) {
	return c.do(ctx, http.MethodGet, path, params, headers...)
}

// post asks with a form, for queries that are too long for a URL.
func (c *Client) post(ctx context.Context, path string, params url.Values, headers ...string) (*answer, error) {
	return c.do(ctx, http.MethodPost, path, params, headers...)
}

func (c *Client) do(ctx context.Context, method, path string, params url.Values, headers ...string) (*answer, error) {
	target := *c.base
	target.Path += path
	var body io.Reader = http.NoBody
	if method == http.MethodPost {
		body = strings.NewReader(params.Encode())
	} else {
		target.RawQuery = params.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", path, err)
	}
	if len(text) > MaxAnswer {
		return nil, &Error{http.StatusRequestEntityTooLarge, fmt.Sprintf("the answer has more than %d MiB: ask for less", MaxAnswer>>20), path}
	}
	if resp.StatusCode/100 != 2 {
		return nil, &Error{resp.StatusCode, message(resp.StatusCode, text), path}
	}
	return &answer{text, resp.Header}, nil
}

// message finds the words in the body of a fault: {"error": "..."} or plain text.
// A page of HTML, such as a proxy's, is not shown.
func message(status int, body []byte) string {
	var object struct{ Error, Message string }
	if json.Unmarshal(body, &object) == nil {
		if object.Error != "" {
			return object.Error
		}
		if object.Message != "" {
			return object.Message
		}
	}
	text := strings.TrimSpace(string(body[:min(len(body), 2000)]))
	if text == "" || strings.HasPrefix(text, "<") {
		if status == http.StatusNotFound {
			return ""
		}
		return fmt.Sprintf("HTTP %d %s", status, http.StatusText(status))
	}
	return text
}

// decode reads a JSON answer into out.
func (a *answer) decode(path string, out any) error {
	if err := json.Unmarshal(a.body, out); err != nil {
		return fmt.Errorf("the answer of %s is not what Belfry answers: %w", path, err)
	}
	return nil
}

func (c *Client) getJSON(ctx context.Context, path string, params url.Values, out any) error {
	a, err := c.get(ctx, path, params)
	if err != nil {
		return err
	}
	return a.decode(path, out)
}
