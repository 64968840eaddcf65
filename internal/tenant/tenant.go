package tenant

import (
	"context"
	"net/http"

	"belfry/internal/fault"
)

// Default is the tenant of callers that name none.
const Default = "default"

// Header selects the tenant on every HTTP API, and as gRPC metadata (lower
// case) on the gRPC ones.
const Header = "X-Scope-OrgID"

// maxIDLength keeps an ID below every file system's limit for one name.
const maxIDLength = 150

type contextKey struct{}

// WithID returns a context that carries the tenant.
func WithID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// ID returns the tenant that ctx carries, Default where it carries none.
func ID(ctx context.Context) string {
	if id, ok := ctx.Value(contextKey{}).(string); ok && id != "" {
		return id
	}
	return Default
}

// Validate reports whether id can be a tenant: 1 to 150 of the characters
// a-z A-Z 0-9 ! - _ . * ' ( ), other than "." and "..".
func Validate(id string) error {
	switch {
	case id == "":
		return fault.Invalidf("tenant ID is empty")
	case len(id) > maxIDLength:
		return fault.Invalidf("tenant ID is %d bytes long, over the limit of %d", len(id), maxIDLength)
	case id == "." || id == "..":
		return fault.Invalidf("tenant ID %q is not allowed", id)
	}
	for i := 0; i < len(id); i++ {
		if !allowed(id[i]) {
			return fault.Invalidf("tenant ID %q: character %q at position %d is not allowed", id, id[i], i)
		}
	}
	return nil
}

func allowed(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '!', '-', '_', '.', '*', '\'', '(', ')':
		return true
	}
	return false
}

// Middleware puts the tenant that the request's Header names into its context,
// and answers 400 for an ID that is not valid.
func Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(Header)
		if id == "" {
			next.ServeHTTP(w, r)
			return
		}
		if err := Validate(id); err != nil {
			fault.WriteHTTP(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(WithID(r.Context(), id)))
	})
}
