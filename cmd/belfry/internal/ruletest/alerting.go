package ruletest

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/alert"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/common/model"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/alerting/oncall"
	"belfry/alerting/router"
	"belfry/cmd/belfry/internal/app"
	"belfry/internal/state"
	"belfry/internal/tenant"
)

// alerting is where a test's alerts go: Alertmanager and the escalation engine,
// of which all methods of contact are inboxes. It lives by the clock of the
// bubble; skew is how far the data's time is behind that.
type alerting struct {
	began  time.Time
	skew   time.Duration
	db     *state.DB
	engine *escalation.Engine // nil without a Belfry configuration
	router *router.Router
	stop   context.CancelFunc
	done   chan error

	mu   sync.Mutex
	sent []notification
}

// notification is what a receiver was told.
type notification struct {
	at time.Duration
	router.GroupNotification
}

func newAlerting(f *file, dir string, start time.Time) (a *alerting, err error) {
	routes, settings, config, err := f.routing()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(tenant.WithID(context.Background(), tenant.Default))
	a = &alerting{began: time.Now(), skew: time.Since(start), stop: stop, done: make(chan error, 1)}
	if settings == nil {
		a.done <- nil
	} else if err := a.openEscalation(ctx, dir, *settings); err != nil {
		stop()
		return nil, err
	}
	config.StartDelay = 0
	a.router, err = router.New(router.Options{
		Config: config, Alertmanager: withoutIntegrations(routes), Escalator: a,
		ExternalURL: &url.URL{Scheme: "http", Host: "belfry.test"}, Dir: filepath.Join(dir, "alertmanager"),
	})
	if err == nil {
		err = a.router.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *alerting) openEscalation(ctx context.Context, dir string, s escalation.Settings) (err error) {
	if a.db, err = state.Open(ctx, state.Options{Path: filepath.Join(dir, "belfry.db")}); err != nil {
		return err
	}
	a.engine, err = escalation.New(ctx, escalation.Options{
		DB: a.db, Settings: inboxes(s), ExternalURL: "http://belfry.test",
		Muted: func(ctx context.Context, labels ...model.LabelSet) (string, time.Time, bool, error) {
			return a.router.Muted(ctx, labels...)
		},
	})
	if err != nil {
		return errors.Join(err, a.db.Close())
	}
	go func() { a.done <- a.engine.Run(ctx) }()
	return nil
}

func (a *alerting) close() error {
	var errs []error
	if a.router != nil {
		errs = append(errs, a.router.Shutdown(context.Background()))
	}
	a.stop()
	errs = append(errs, <-a.done)
	if a.db != nil {
		errs = append(errs, a.db.Close())
	}
	return errors.Join(errs...)
}

// routing reads the configuration that the file names. Settings are nil for one
// of Alertmanager alone.
func (f *file) routing() (*amconfig.Config, *escalation.Settings, router.Config, error) {
	config := router.DefaultConfig()
	if f.AlertmanagerConfig != "" {
		routes, err := router.LoadFile(f.AlertmanagerConfig)
		return routes, nil, config, err
	}
	c, err := app.LoadConfig(f.BelfryConfig)
	if err != nil {
		return nil, nil, config, err
	}
	return c.Routes(), &escalation.Settings{OnCall: c.OnCall, Escalation: c.Escalation, Notify: c.Notify}, c.Routing, nil
}

// withoutIntegrations returns a configuration that sends nothing.
func withoutIntegrations(c *amconfig.Config) *amconfig.Config {
	out := *c
	out.Receivers = nil
	for _, r := range c.Receivers {
		out.Receivers = append(out.Receivers, amconfig.Receiver{Name: r.Name})
	}
	return &out
}

// inboxes replaces all ways to reach people and channels by inboxes of their names.
func inboxes(s escalation.Settings) escalation.Settings {
	inbox := func(list []oncall.Method) []oncall.Method {
		out := make([]oncall.Method, 0, len(list))
		for _, m := range list {
			out = append(out, oncall.Method{Name: m.Label(), Type: oncall.MethodInbox})
		}
		return out
	}
	s.OnCall.People = slices.Clone(s.OnCall.People)
	for i := range s.OnCall.People {
		s.OnCall.People[i].Methods = inbox(s.OnCall.People[i].Methods)
	}
	s.Notify.Channels = inbox(s.Notify.Channels)
	return s
}

// Send implements rules.Sender: it moves alerts to the time of the clock. A nil
// alerting takes everything.
func (a *alerting) Send(ctx context.Context, alerts ...*alert.Alert) error {
	if a == nil {
		return nil
	}
	for _, al := range alerts {
		al.StartsAt = al.StartsAt.Add(a.skew)
		if !al.EndsAt.IsZero() {
			al.EndsAt = al.EndsAt.Add(a.skew)
		}
	}
	return a.router.Send(ctx, alerts...)
}

// Notify implements router.Escalator.
func (a *alerting) Notify(ctx context.Context, n router.GroupNotification) (bool, error) {
	a.mu.Lock()
	a.sent = append(a.sent, notification{time.Since(a.began), n})
	a.mu.Unlock()
	if a.engine == nil {
		return false, nil
	}
	return a.engine.Notify(ctx, n)
}

// walkTo lets time pass until at, and people act on the way.
func (a *alerting) walkTo(ctx context.Context, g *group, at time.Duration) error {
	if a == nil {
		return nil
	}
	from := time.Since(a.began)
	due := slices.DeleteFunc(slices.Clone(g.Actions), func(x action) bool {
		return time.Duration(x.At) <= from || time.Duration(x.At) > at
	})
	slices.SortStableFunc(due, func(x, y action) int { return cmp.Compare(x.At, y.At) })
	for _, x := range due {
		a.sleepTo(time.Duration(x.At))
		if err := a.act(ctx, x); err != nil {
			return fmt.Errorf("actions at %s: %w", x.At, err)
		}
	}
	a.sleepTo(at)
	return nil
}

func (a *alerting) sleepTo(at time.Duration) {
	time.Sleep(at - time.Since(a.began))
	synctest.Wait()
}

// act does something to all open incidents.
func (a *alerting) act(ctx context.Context, x action) error {
	var open []*incident.Incident
	err := a.db.View(ctx, func(tx *state.Tx) (err error) {
		open, _, err = incident.List(ctx, tx, tenant.Default, incident.Filter{Limit: 200, Statuses: []incident.Status{incident.Triggered, incident.Acknowledged}})
		return err
	})
	if err != nil {
		return err
	}
	if len(open) == 0 {
		return errors.New("no incident is open")
	}
	for _, i := range open {
		var events []escalation.Event
		if x.Acknowledge != "" {
			events = append(events, escalation.Acknowledge{By: x.Acknowledge, Via: "test"})
		}
		if x.Snooze != nil {
			events = append(events, escalation.Snooze{By: x.Snooze.By, Via: "test", Until: time.Now().Add(time.Duration(x.Snooze.For))})
		}
		if x.Resolve != "" {
			events = append(events, escalation.Resolve{By: x.Resolve, Via: "test"})
		}
		for _, e := range events {
			if _, err := a.engine.Do(ctx, i.Tenant, i.ID, e); err != nil {
				return err
			}
		}
	}
	synctest.Wait()
	return nil
}

// between returns those of lines that fall after one time and up to another.
func between[T any](list []T, at func(T) time.Duration, after, until time.Duration) []T {
	var out []T
	for _, x := range list {
		if t := at(x); t > after && t <= until {
			out = append(out, x)
		}
	}
	return out
}

// compare compares what was sent with what the test expects.
func (a *alerting) compare(ctx context.Context, g *group) (errs []error, err error) {
	if a == nil {
		return nil, nil
	}
	a.mu.Lock()
	sent := slices.Clone(a.sent)
	a.mu.Unlock()
	// What is sent at the same second has no order.
	slices.SortStableFunc(sent, func(x, y notification) int {
		return cmp.Or(cmp.Compare(x.at.Truncate(time.Second), y.at.Truncate(time.Second)),
			cmp.Compare(x.Receiver, y.Receiver), cmp.Compare(x.GroupLabels.String(), y.GroupLabels.String()))
	})
	last := time.Duration(-1)
	for _, t := range g.NotificationTests {
		got := between(sent, func(n notification) time.Duration { return n.at.Truncate(time.Second) }, last, time.Duration(t.EvalTime))
		if err := t.compare(got); err != nil {
			errs = append(errs, err)
		}
		last = time.Duration(t.EvalTime)
	}
	if len(g.EscalationTests) == 0 {
		return errs, nil
	}
	pages, err := a.pages(ctx)
	if err != nil {
		return errs, err
	}
	last = -1
	for _, t := range g.EscalationTests {
		got := between(pages, func(p page) time.Duration { return p.at }, last, time.Duration(t.EvalTime))
		if err := t.compare(got); err != nil {
			errs = append(errs, err)
		}
		last = time.Duration(t.EvalTime)
	}
	return errs, nil
}

func (t *notificationTest) compare(sent []notification) error {
	var want, got []string
	for i, e := range t.ExpNotifications {
		line := fmt.Sprintf("%s firing=%d resolved=%d", e.Receiver, e.Firing, e.Resolved)
		if e.At != nil {
			line = e.At.String() + " " + line
		}
		if e.GroupLabels != nil {
			ls := model.LabelSet{}
			for k, v := range e.GroupLabels {
				ls[model.LabelName(k)] = model.LabelValue(v)
			}
			line += " " + ls.String()
		}
		want = append(want, line)
		if i >= len(sent) {
			continue
		}
		// Of what came, only what the expectation mentions.
		got = append(got, sent[i].line(e.At != nil, e.GroupLabels != nil))
	}
	for i := len(want); i < len(sent); i++ {
		got = append(got, sent[i].line(true, true))
	}
	return difference("notifications", t.EvalTime, want, got)
}

func (n *notification) line(at, groupLabels bool) string {
	line := fmt.Sprintf("%s firing=%d resolved=%d", n.Receiver, len(n.Firing()), len(n.Resolved()))
	if at {
		line = model.Duration(n.at.Truncate(time.Second)).String() + " " + line
	}
	if groupLabels {
		line += " " + n.GroupLabels.String()
	}
	return line
}

// page is a message to a person or a channel that was delivered.
type page struct {
	at                            time.Duration
	person, channel, method, kind string
}

func (a *alerting) pages(ctx context.Context) (out []page, err error) {
	err = a.db.View(ctx, func(tx *state.Tx) error {
		rows, err := tx.Query(ctx, `SELECT person, channel, method, kind, done_at FROM outbox WHERE status = 'sent' AND summary = '' ORDER BY done_at / 1000, kind, channel, person, method`)
		out, err = state.Collect(rows, err, func(r *sql.Rows) (p page, err error) {
			var at int64
			err = r.Scan(&p.person, &p.channel, &p.method, &p.kind, &at)
			p.at = state.Time(at).Sub(a.began).Truncate(time.Second)
			return p, err
		})
		return err
	})
	return out, err
}

func (t *escalationTest) compare(sent []page) error {
	var want, got []string
	for i, e := range t.ExpPages {
		p := page{person: e.Person, channel: e.Channel, method: e.Method, kind: "page"}
		if e.Resolved {
			p.kind = "resolved"
		}
		if e.Summary {
			p.kind = "summary"
		}
		if e.At != nil {
			p.at = time.Duration(*e.At)
		}
		want = append(want, p.line(e.At != nil, e.Method != ""))
		if i < len(sent) {
			got = append(got, sent[i].line(e.At != nil, e.Method != ""))
		}
	}
	for i := len(want); i < len(sent); i++ {
		got = append(got, sent[i].line(true, true))
	}
	return difference("pages", t.EvalTime, want, got)
}

func (p *page) line(at, method bool) string {
	var words []string
	if at {
		words = append(words, model.Duration(p.at).String())
	}
	if p.channel != "" {
		words = append(words, "channel="+p.channel)
	} else {
		words = append(words, "person="+p.person)
	}
	if method && p.channel == "" {
		words = append(words, "method="+p.method)
	}
	return strings.Join(append(words, p.kind), " ")
}

// routes compares where alerts would go with what the test expects.
func (g *group) routes(f *file, start time.Time) (errs []error) {
	if len(g.RouteTests) == 0 {
		return nil
	}
	c, _, _, err := f.routing()
	if err != nil {
		return []error{err}
	}
	for _, t := range g.RouteTests {
		ls := model.LabelSet{}
		for k, v := range t.Labels {
			ls[model.LabelName(k)] = model.LabelValue(v)
		}
		ex, err := router.ExplainConfig(withoutIntegrations(c), ls, start.Add(time.Duration(t.EvalTime)))
		if err != nil {
			return append(errs, err)
		}
		want := []string{fmt.Sprintf("%s muted=%v", strings.Join(t.ExpReceivers, ", "), t.ExpMuted)}
		var receivers []string
		muted := true
		for _, r := range ex.Routes {
			receivers = append(receivers, r.Receiver)
			muted = muted && !r.Notifies
		}
		got := []string{fmt.Sprintf("%s muted=%v", strings.Join(receivers, ", "), muted)}
		if err := difference("route of "+ls.String(), t.EvalTime, want, got); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
