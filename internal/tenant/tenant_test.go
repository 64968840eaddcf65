package tenant

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidate(t *testing.T) {
	for _, id := range []string{"default", "team-a_1.prod", "(x)!*'"} {
		require.NoError(t, Validate(id), id)
	}
	for _, id := range []string{"", ".", "..", "a/b", "a\\b", "a b", "ü", "a|b", strings.Repeat("x", 151)} {
		require.Error(t, Validate(id), id)
	}
}

func TestMiddleware(t *testing.T) {
	var got string
	h := Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = ID(r.Context()) }))
	for header, want := range map[string]string{"": Default, "acme": "acme"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(Header, header)
		h.ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, want, got)
	}
	got = "untouched"
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set(Header, "../x")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	require.Equal(t, http.StatusBadRequest, rec.Code)
	require.Equal(t, "untouched", got)
	require.Equal(t, Default, ID(context.Background()))
}
