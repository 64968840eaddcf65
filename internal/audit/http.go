package audit

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"belfry/internal/fault"
	"belfry/internal/tenant"
)

// defaultLimit is the size of a page where the request names none.
const defaultLimit = 100

// Handler answers with entries of the request's tenant, the newest first.
// Parameters: action, actor, from and to (RFC 3339), limit, and cursor, which is
// next_cursor of the page before.
func (l *Log) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, err := l.page(r)
		if err != nil {
			fault.WriteHTTP(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(page) // the client went away
	})
}

type page struct {
	Entries []Entry `json:"entries"`
	Next    string  `json:"next_cursor,omitempty"`
}

func (l *Log) page(r *http.Request) (*page, error) {
	form := r.URL.Query()
	q := Query{
		Tenant: tenant.ID(r.Context()), Action: form.Get("action"), Actor: form.Get("actor"), Before: form.Get("cursor"), Limit: defaultLimit,
	}
	for name, at := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		if s := form.Get(name); s != "" {
			var err error
			if *at, err = time.Parse(time.RFC3339Nano, s); err != nil {
				return nil, fault.Invalidf("%s: %q is not a time as RFC 3339 writes it", name, s)
			}
		}
	}
	if s := form.Get("limit"); s != "" {
		var err error
		if q.Limit, err = strconv.Atoi(s); err != nil {
			return nil, fault.Invalidf("limit: %q is not a number", s)
		}
	}
	entries, err := l.List(r.Context(), q)
	if err != nil {
		return nil, err
	}
	p := &page{Entries: entries}
	if p.Entries == nil {
		p.Entries = []Entry{}
	}
	if len(entries) == q.Limit {
		p.Next = entries[len(entries)-1].ID
	}
	return p, nil
}

// Actor names who sent a request: nobody is known yet, so that it is the address.
func Actor(r *http.Request) string { return "address " + r.RemoteAddr }
