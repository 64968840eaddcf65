package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"belfry/alerting/escalation"
	"belfry/alerting/inbound"
)

// chat serves what a chat service posts when a button is pressed.
func (a *API) chat(take func(context.Context, *escalation.Engine, *slog.Logger, http.Header, []byte) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := inboundBody(r)
		if err == nil {
			err = take(r.Context(), a.engine, a.log, r.Header, body)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		ok(w)
	}
}

func (a *API) slack() http.HandlerFunc    { return a.chat(inbound.Slack) }
func (a *API) telegram() http.HandlerFunc { return a.chat(inbound.Telegram) }

// chart serves the picture that a message links to. It never changes.
func (a *API) chart(w http.ResponseWriter, r *http.Request) {
	picture, err := a.engine.Chart(r.Context(), strings.TrimSuffix(r.PathValue("token"), ".png"))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(picture) // the client is gone
}
