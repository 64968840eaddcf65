package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"belfry/internal/fault"
)

// params reads a request's parameters and keeps the first fault.
type params struct {
	values url.Values
	err    error
}

func paramsOf(r *http.Request) *params {
	err := r.ParseForm()
	if err != nil {
		err = fault.Invalidf("%w", err)
	}
	return &params{values: r.Form, err: err}
}

func (p *params) fail(name, format string, args ...any) {
	if p.err == nil {
		p.err = fault.Invalidf("parameter "+name+": "+format, args...)
	}
}

// text returns the first of the named parameters that is there.
func (p *params) text(names ...string) string {
	for _, name := range names {
		if v := p.values.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// number returns an integer between 0 and limit; larger ones are cut to it.
func (p *params) number(name string, missing, limit int) int {
	text := p.values.Get(name)
	if text == "" {
		return missing
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		p.fail(name, "%q is not a positive integer", text)
		return missing
	}
	return min(n, limit)
}

// levels returns a number of levels of a tree, -1 for all.
func (p *params) levels(name string, missing int) int {
	text := p.values.Get(name)
	if text == "" {
		return missing
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 || n > 1<<20 {
		p.fail(name, "%q is neither a number of levels nor -1 for all", text)
		return missing
	}
	return n
}

func (p *params) duration(name string) time.Duration {
	text := p.values.Get(name)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		p.fail(name, "%q is not a duration such as 250ms", text)
	}
	return d
}

// instant returns a time in nanoseconds, given in units since the epoch (with a
// fraction or not), in nanoseconds if the number is too large for anything else,
// or in RFC 3339; missing if it is not there.
func (p *params) instant(name string, unit time.Duration, missing int64) int64 {
	text := p.values.Get(name)
	if text == "" {
		return missing
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n > 1e17 {
			return n
		}
		if n < 0 || n > (1<<62)/int64(unit) {
			p.fail(name, "%q is out of range", text)
			return missing
		}
		return n * int64(unit)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f >= 0 && f < (1<<62)/float64(unit) {
		return int64(f * float64(unit))
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		p.fail(name, "%q is not a time", text)
		return missing
	}
	return t.UnixNano()
}

// secondsRange returns start and end, in seconds since the epoch; a missing
// start is lookback before the end, a missing end is now.
func (p *params) secondsRange(now time.Time, lookback time.Duration) (from, to int64) {
	to = p.instant("end", time.Second, now.UnixNano())
	from = p.instant("start", time.Second, to-int64(lookback))
	if p.err == nil && from > to {
		p.fail("start", "it is after the end")
	}
	if to%int64(time.Second) == 0 { // whole seconds: clients mean the second that they name as well
		to += int64(time.Second)
	}
	return from, max(to, from+1)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		fault.WriteHTTP(w, err)
		return
	}
	writeJSONBytes(w, status, body)
}

func writeJSONBytes(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client went away: nobody is left to tell
}

// accepts reports whether a request's Accept header names a media type.
func accepts(r *http.Request, mediaType string) bool {
	for _, value := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(value, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), mediaType) {
				return true
			}
		}
	}
	return false
}

// handler answers a request, or returns the error to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		fault.WriteHTTP(w, err)
	}
}
