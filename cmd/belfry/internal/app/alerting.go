package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/common/model"

	"belfry/alerting/api"
	"belfry/alerting/escalation"
	"belfry/alerting/inbound"
	"belfry/alerting/router"
	"belfry/alerting/rules"
	"belfry/internal/audit"
	"belfry/internal/lifecycle"
	"belfry/internal/state"
)

// alerting is the way from an expression to a person.
type alerting struct {
	state      *state.DB
	audit      *audit.Log
	escalation *escalation.Engine
	router     *router.Router
	rules      *rules.Engine
	api        http.Handler
	mail       *inbound.MailServer
	logger     *slog.Logger
}

func (a *App) openAlerting(ctx context.Context) (*alerting, error) {
	al := &alerting{logger: a.logger.With("component", "inbound")}
	var err error
	if al.state, err = state.Open(ctx, state.Options{
		Path: a.dir("state", "belfry.db"), DSN: a.cfg.State.DSN.Reveal(), Logger: a.logger.With("component", "state"),
	}); err != nil {
		return nil, fmt.Errorf("opening the state: %w", err)
	}
	a.stack.Add(lifecycle.Component{Name: "state", Shutdown: func(context.Context) error { return al.state.Close() }})
	al.audit = audit.New(al.state, nil)
	if al.escalation, err = escalation.New(ctx, escalation.Options{
		DB: al.state, Settings: a.cfg.settings(), ExternalURL: a.cfg.externalURL().String(),
		Logger: a.logger.With("component", "escalation"), Registerer: a.registry,
		Evidence: a.stores.evidence(), ReplyDomain: a.cfg.Inbound.ReplyDomain(),
		// The router comes after the engine, which it notifies.
		Muted: func(ctx context.Context, labels ...model.LabelSet) (string, time.Time, bool, error) {
			return al.router.Muted(ctx, labels...)
		},
	}); err != nil {
		return nil, fmt.Errorf("escalation: %w", err)
	}
	if al.router, err = router.New(router.Options{
		Config: a.cfg.Routing, Alertmanager: a.cfg.alertmanager, Escalator: al.escalation,
		ExternalURL: a.cfg.externalURL().JoinPath("alertmanager"), Dir: a.dir("alertmanager"),
		Maintenance: a.cfg.Maintenance, DB: al.state, Shared: al.state.Dialect() == "postgres",
		Logger: a.logger.With("component", "alertmanager"), Registerer: a.registry,
	}); err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	if al.rules, err = rules.New(rules.Options{
		Config: a.cfg.resolvedRules(), Languages: a.stores.languages(), Appendable: a.stores.metrics, Queryable: a.stores.metrics,
		Sender: al.router, ExternalURL: a.cfg.externalURL(), DB: al.state, Dir: a.dir("rules"),
		Logger: a.logger.With("component", "rules"), Registerer: a.registry,
	}); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	al.mail = inbound.NewMailServer(a.cfg.Inbound.Email, al.escalation, al.logger)
	al.api = api.New(api.Options{Engine: al.escalation, Logger: a.logger.With("component", "api")})
	return al, nil
}

// addTo puts the parts on the stack: who is told before who tells.
func (al *alerting) addTo(stack *lifecycle.Stack, failed func(error)) {
	stack.AddRun("escalation", al.escalation.Run, failed)
	stack.AddRun("heartbeat", al.escalation.RunHeartbeat, failed)
	stack.AddRun("calendars", al.escalation.RunCalendars, failed)
	stack.AddRun("chat", func(ctx context.Context) error { return inbound.Poll(ctx, al.escalation, al.logger) }, failed)
	stack.Add(lifecycle.Component{Name: "mail", Start: al.mail.Start, Shutdown: al.mail.Shutdown})
	stack.Add(lifecycle.Component{Name: "alertmanager", Start: al.router.Start, Shutdown: al.router.Shutdown})
	stack.Add(lifecycle.Component{Name: "rules", Start: al.rules.Start, Shutdown: al.rules.Shutdown})
}

// settings are the three sections that the escalation engine obeys.
func (c *Config) settings() escalation.Settings {
	return escalation.Settings{OnCall: c.OnCall, Escalation: c.Escalation, Notify: c.Notify}
}

// resolvedRules is the rules section with its globs relative to the file.
func (c *Config) resolvedRules() rules.Config {
	r := c.Rules
	r.Files = rules.Resolve(c.dir, r.Files)
	return r
}
