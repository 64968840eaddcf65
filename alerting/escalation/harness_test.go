package escalation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"belfry/alerting/escalation"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/alerting/router"
	"belfry/internal/config"
	"belfry/internal/state"
	"belfry/internal/state/statetest"
)

// virtualClock moves when told. Its timers fire when it passes them.
type virtualClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []virtualTimer
}

type virtualTimer struct {
	at time.Time
	ch chan time.Time
}

var epoch = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) // a Monday

func newClock() *virtualClock { return &virtualClock{now: epoch} }

func (c *virtualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *virtualClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	c.timers = append(c.timers, virtualTimer{c.now.Add(d), ch})
	return ch
}

// FireAll fires all timers, early or not: whoever sleeps looks at the clock again.
func (c *virtualClock) FireAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, timer := range c.timers {
		timer.ch <- c.now
	}
	c.timers = nil
}

func (c *virtualClock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
	var left []virtualTimer
	for _, timer := range c.timers {
		if timer.at.After(t) {
			left = append(left, timer)
			continue
		}
		timer.ch <- t
	}
	c.timers = left
}

// received is a message as a person's webhook saw it.
type received struct {
	at     time.Time
	person string
	body   struct {
		Version         string `json:"version"`
		Status          string `json:"status"`
		Reason          string `json:"notification_reason"`
		NotificationKey string `json:"notification_key"`
		Step, Round     int
		Title, Message  string
		Alerts          []struct{ Status string }
		Incident        struct {
			ID             string `json:"id"`
			AcknowledgeURL string `json:"acknowledge_url"`
		}
	}
}

// phones are the webhooks of all people.
type phones struct {
	clock  *virtualClock
	server *httptest.Server
	mu     sync.Mutex
	got    []received
	down   map[string]int // status to answer with, by person
	hook   func(received) // called after a message was taken, before the answer
}

func newPhones(t testing.TB, clock *virtualClock) *phones {
	p := &phones{clock: clock, down: map[string]int{}}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	return p
}

func (p *phones) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := received{at: p.clock.Now(), person: strings.TrimPrefix(r.URL.Path, "/")}
	if err := json.NewDecoder(r.Body).Decode(&m.body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	status, hook := p.down[m.person], p.hook
	if status == 0 {
		p.got = append(p.got, m)
	}
	p.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	if hook != nil {
		hook(m)
	}
}

// take returns what was received since the last take.
func (p *phones) take() []received {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.got
	p.got = nil
	return out
}

func (m received) String() string {
	if m.body.Reason == string(notify.KindSummary) {
		text := m.body.Title + "\n" + m.body.Message
		return fmt.Sprintf("%s: %s is told together: %s", m.at.Sub(epoch), m.person, strings.ReplaceAll(text, "\n", "\n  "))
	}
	if m.body.Reason == string(notify.KindResolved) {
		return fmt.Sprintf("%s: %s is told that it is resolved", m.at.Sub(epoch), m.person)
	}
	if m.body.Step == 0 {
		return fmt.Sprintf("%s: %s is paged, assigned", m.at.Sub(epoch), m.person)
	}
	return fmt.Sprintf("%s: %s is paged, step %d round %d", m.at.Sub(epoch), m.person, m.body.Step, m.body.Round)
}

// settings of all tests: ana and bo rotate daily at noon, cem is behind them, dia
// prefers to be written to later unless it is critical.
func settings(base string) escalation.Settings {
	method := func(id string) oncall.Method {
		return oncall.Method{Name: "hook", Type: oncall.MethodWebhook, URL: config.Secret(base + "/" + id)}
	}
	var s escalation.Settings
	for _, id := range []string{"ana", "bo", "cem", "dia"} {
		s.OnCall.People = append(s.OnCall.People, oncall.Person{ID: id, Methods: []oncall.Method{method(id)}})
	}
	dia := &s.OnCall.People[3]
	second := method("dia-late")
	second.Name = "late"
	dia.Methods = append(dia.Methods, second)
	dia.Rules = []oncall.ContactRule{
		{Methods: []string{"hook"}, Severities: []string{"critical"}},
		{Methods: []string{"late"}, After: model.Duration(3 * time.Minute)},
	}
	s.OnCall.Teams = []oncall.Team{{ID: "all", Members: []string{"ana", "bo", "cem"}}}
	s.OnCall.Schedules = []oncall.ScheduleConfig{
		{ID: "primary", Layers: []oncall.LayerConfig{{Handoff: "12:00", Participants: []string{"ana", "bo"}}}},
		{ID: "office", Layers: []oncall.LayerConfig{{Participants: []string{"cem"},
			Restrictions: []oncall.RestrictionConfig{{From: "08:00", To: "18:00"}}}}},
	}
	wait := func(d time.Duration) model.Duration { return model.Duration(d) }
	once, timeout := 0, model.Duration(30*time.Minute)
	s.Escalation = escalation.DefaultConfig()
	s.Escalation.Policies = []escalation.PolicyConfig{
		{Name: "default", Receivers: []string{"oncall"}, RoutingKeys: []config.Secret{"routing-key-1"}, Repeat: new(1), Steps: []escalation.StepConfig{
			{Schedules: []string{"primary"}, Wait: wait(5 * time.Minute)},
			{People: []string{"cem"}, Wait: wait(10 * time.Minute)},
		}},
		{Name: "timeout", Receivers: []string{"timeout"}, Repeat: &once, AckTimeout: &timeout, Steps: []escalation.StepConfig{
			{Teams: []string{"all"}, Schedules: []string{"primary"}, Wait: wait(time.Minute)},
		}},
		{Name: "office", Receivers: []string{"office"}, Repeat: &once, Steps: []escalation.StepConfig{
			{Schedules: []string{"office"}, Wait: wait(20 * time.Minute)},
		}},
		{Name: "severe", Receivers: []string{"severe"}, Repeat: &once, Steps: []escalation.StepConfig{
			{People: []string{"ana"}, Severities: []string{"critical"}, Wait: wait(time.Minute)},
			{People: []string{"dia"}, Wait: wait(10 * time.Minute)},
			{Channels: []string{"ops"}},
		}},
	}
	s.Escalation.Policies = append(s.Escalation.Policies,
		escalation.PolicyConfig{Name: "robin", Receivers: []string{"robin"}, Repeat: new(2), Steps: []escalation.StepConfig{
			{Teams: []string{"all"}, Channels: []string{"ops"}, RoundRobin: true, Wait: wait(5 * time.Minute)},
		}},
		escalation.PolicyConfig{Name: "hours", Receivers: []string{"hours"}, Repeat: &once, Steps: []escalation.StepConfig{
			{People: []string{"ana"}, Hours: []oncall.RestrictionConfig{{Days: []string{"mon-fri"}, From: "09:00", To: "17:00"}},
				TimeZone: "Europe/Berlin", Wait: wait(5 * time.Minute)},
			{People: []string{"bo"}, Hours: []oncall.RestrictionConfig{{From: "17:00", To: "09:00"}}, TimeZone: "Europe/Berlin", Wait: wait(5 * time.Minute)},
		}},
		escalation.PolicyConfig{Name: "hooked", Receivers: []string{"hooked"}, Repeat: &once, Steps: []escalation.StepConfig{
			{Webhooks: []string{"restart-shop"}},
			{Webhooks: []string{"failover"}, Wait: wait(2 * time.Minute)},
			{People: []string{"ana"}, Wait: wait(5 * time.Minute)},
		}})
	s.Escalation.Heartbeats = []escalation.Heartbeat{{ID: "backup", Policy: "default", Interval: wait(time.Hour), Grace: wait(5 * time.Minute)}}
	s.Notify = notify.DefaultConfig()
	ops := method("ops")
	ops.Name = "ops"
	s.Notify.Channels = []oncall.Method{ops}
	for _, name := range []string{"restart-shop", "failover"} {
		hook := method(name)
		hook.Name = name
		s.Notify.Webhooks = append(s.Notify.Webhooks, hook)
	}
	return s
}

// world is a database, a clock, phones and the engine of one process.
type world struct {
	t      *testing.T
	ctx    context.Context //nolint:containedctx // ends with the test
	place  statetest.Database
	clock  *virtualClock
	phones *phones
	db     *state.DB
	engine *escalation.Engine
	groups map[string]router.GroupNotification
	mutes  mutes
}

// mutes is one silence, as an Alertmanager answers about it.
type mutes struct {
	label model.LabelName
	value model.LabelValue
	until time.Time // still active at that time
	err   error
}

func (w *world) muted(_ context.Context, labels ...model.LabelSet) (string, time.Time, bool, error) {
	m := &w.mutes
	if m.err != nil {
		return "", time.Time{}, false, m.err
	}
	for _, ls := range labels {
		if m.label == "" || ls[m.label] != m.value || w.clock.Now().After(m.until) {
			return "", time.Time{}, false, nil
		}
	}
	return fmt.Sprintf("silenced by ada (id-1) until %s", m.until.Sub(epoch)), m.until, len(labels) > 0, nil
}

func newWorld(t *testing.T, place statetest.Database) *world {
	clock := newClock()
	w := &world{t: t, ctx: t.Context(), place: place, clock: clock, phones: newPhones(t, clock), groups: map[string]router.GroupNotification{}}
	w.db, w.engine = w.process()
	return w
}

// process starts one more process on the database.
func (w *world) process() (*state.DB, *escalation.Engine) {
	db := w.place.Open()
	e, err := escalation.New(w.ctx, escalation.Options{DB: db, Settings: settings(w.phones.server.URL), Clock: w.clock, ExternalURL: "https://belfry.test/", Muted: w.muted})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, e.Apply(settings(w.phones.server.URL))) }) // closes idle connections
	return db, e
}

// restart is kill -9 and a new start: nothing of the old process is used again.
func (w *world) restart() {
	require.NoError(w.t, w.db.Close())
	w.db, w.engine = w.process()
}

// runTo lets time pass, doing what is due when it is due.
func (w *world) runTo(t time.Time) {
	w.t.Helper()
	for {
		next, err := w.engine.Tick(w.ctx)
		require.NoError(w.t, err)
		if next.IsZero() || next.After(t) {
			w.clock.Set(t)
			return
		}
		w.clock.Set(next)
	}
}

// group returns a notification about a group of one alert for a receiver.
func (w *world) group(receiver, name, severity, status string) router.GroupNotification {
	labels := model.LabelSet{"alertname": model.LabelValue(name), "severity": model.LabelValue(severity), "service": "shop"}
	now := w.clock.Now()
	a := &alert.Alert{Alert: model.Alert{Labels: labels, StartsAt: epoch, EndsAt: now.Add(time.Hour),
		Annotations: model.LabelSet{"summary": "5xx above 5 %", "value": "7.2"}}}
	if status == router.StatusResolved {
		a.EndsAt = now
	}
	return router.GroupNotification{Receiver: receiver, GroupKey: `{}:{alertname="` + name + `"}`, Status: status,
		GroupLabels: model.LabelSet{"alertname": model.LabelValue(name)}, CommonLabels: labels, CommonAnnotations: a.Annotations,
		Alerts: []*alert.Alert{a}, Reason: "first notification", Time: now}
}

func (w *world) notify(n router.GroupNotification) {
	w.t.Helper()
	retry, err := w.engine.Notify(w.ctx, n)
	require.NoError(w.t, err)
	require.False(w.t, retry)
}
