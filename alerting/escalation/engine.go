package escalation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/singleflight"

	"belfry/alerting/evidence"
	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/state"
)

// Clock is where the engine takes the time from.
type Clock interface {
	Now() time.Time
	// After sends once when d has passed.
	After(d time.Duration) <-chan time.Time
}

// SystemClock is the wall clock.
type SystemClock struct{}

// Now returns the time.
func (SystemClock) Now() time.Time { return time.Now() }

// After is time.After.
func (SystemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Settings are the three sections of the configuration that the engine obeys.
type Settings struct {
	OnCall     oncall.Config
	Escalation Config
	Notify     notify.Config
}

// Options are what an Engine needs.
type Options struct {
	DB       *state.DB
	Settings Settings
	// ExternalURL is the root of Belfry's web app, as people reach it; empty
	// leaves links out of messages.
	ExternalURL string

	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
	Clock      Clock                 // nil is the wall clock

	// Muted says whether all of some alerts are muted now, why, and until when
	// (zero: not known). While it says so for the firing alerts of an incident that
	// came from Alertmanager nobody is paged; an error pages. It is first called by
	// Run or Tick, inside a transaction, so it must answer soon and not use the
	// database. nil: never muted.
	Muted MuteFunc

	// Evidence is where messages find what is behind an alert.
	Evidence evidence.Stores
	// ReplyDomain is the domain of the addresses at which answers to emails arrive;
	// empty: they do not.
	ReplyDomain string

	// Name tells this process from others on the same database; empty makes one.
	Name string
	// Workers bounds the messages sent at the same time; 0 means 16.
	Workers int
	// Sweep is how often to look for what another process left behind, and how
	// long a jump of the clock may go unseen; 0 means 15 s.
	Sweep time.Duration
	// Lease is how long a message is claimed for; another process sends it again
	// after that. 0 means 60 s. It must exceed notify's timeout.
	Lease time.Duration
}

// MuteFunc is router.Router's Muted.
type MuteFunc func(ctx context.Context, labels ...model.LabelSet) (reason string, until time.Time, muted bool, err error)

// Engine applies Transition to incidents in SQL and sends what it decides. It is
// safe for concurrent use.
type Engine struct {
	db    *state.DB
	log   *slog.Logger
	clock Clock
	opts  Options
	links atomic.Pointer[notify.Links]
	key   []byte // signs links
	inbox notify.SQLInbox

	rosterAt atomic.Int64       // when to look at the schedules, in Unix milliseconds
	finding  singleflight.Group // evidence, by incident
	setup    atomic.Pointer[setup]
	kept     kept
	wakeup   chan struct{}
	metrics  *metrics
}

// setup is everything compiled from Settings.
type setup struct {
	settings   Settings
	directory  *oncall.Directory
	policies   map[string]*Policy
	order      []*Policy
	receivers  map[string]*Policy
	routing    map[string]*Policy // by routing key
	heartbeats map[string]Heartbeat
	notifier   *notify.Notifier
	collector  *evidence.Collector
	mappings   map[string]*Mapping
	watched    bool // hand-overs or gaps are told
}

// New returns an engine. Until Run is called it takes notifications but sends
// nothing.
func New(ctx context.Context, opts Options) (*Engine, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = SystemClock{}
	}
	if opts.Name == "" {
		opts.Name = ulid.Make().String()
	}
	if opts.Workers <= 0 {
		opts.Workers = 16
	}
	if opts.Sweep <= 0 {
		opts.Sweep = 15 * time.Second
	}
	if opts.Lease <= 0 {
		opts.Lease = time.Minute
	}
	key, err := opts.DB.Secret(ctx, "acknowledge_links")
	if err != nil {
		return nil, fmt.Errorf("escalation: %w", err)
	}
	e := &Engine{db: opts.DB, log: opts.Logger, clock: opts.Clock, opts: opts, key: key,
		inbox: notify.SQLInbox{DB: opts.DB}, wakeup: make(chan struct{}, 1)}
	if err := e.Apply(opts.Settings); err != nil {
		return nil, err
	}
	if e.metrics, err = newMetrics(opts.Registerer, e); err != nil {
		return nil, fmt.Errorf("escalation: %w", err)
	}
	return e, nil
}

// Apply puts a configuration in force. One with faults changes nothing. Open
// incidents go on by the new policy of the same name.
func (e *Engine) Apply(s Settings) error {
	next, err := e.compile(s)
	if err != nil {
		return err
	}
	e.links.Store(notify.NewLinks(e.opts.ExternalURL, e.key, time.Duration(s.Notify.LinkExpiry)))
	if old := e.setup.Swap(next); old != nil {
		old.notifier.Close()
	}
	e.rosterChanged()
	return nil
}

func (e *Engine) compile(s Settings) (*setup, error) {
	directory, err := oncall.New(s.OnCall)
	err = errors.Join(err, s.Escalation.Validate(), s.Notify.Validate(), Check(s.OnCall, s.Escalation, s.Notify, nil))
	if err != nil {
		return nil, err
	}
	out := &setup{settings: s, directory: directory, policies: map[string]*Policy{}, receivers: map[string]*Policy{},
		routing: map[string]*Policy{}, heartbeats: map[string]Heartbeat{}, mappings: map[string]*Mapping{},
		watched: watches(s)}
	if out.notifier, err = notify.New(s.Notify, notify.Options{Inbox: e.inbox}); err != nil {
		return nil, err
	}
	if out.collector, err = evidence.New(s.Notify.Evidence, e.opts.Evidence, e.log); err != nil {
		return nil, err
	}
	for _, pc := range s.Escalation.Policies {
		p := s.Escalation.compile(pc)
		out.policies[p.Name] = p
		out.order = append(out.order, p)
		for _, r := range pc.Receivers {
			out.receivers[r] = p
		}
		for _, k := range pc.RoutingKeys {
			out.routing[k.Reveal()] = p
		}
	}
	for _, m := range s.Escalation.Mappings {
		if out.mappings[m.Name], err = NewMapping(m); err != nil {
			return nil, err
		}
	}
	for _, h := range s.Escalation.Heartbeats {
		out.heartbeats[h.ID] = h
	}
	return out, nil
}

// now is the time as the database keeps it.
func (e *Engine) now() time.Time { return e.clock.Now().UTC().Truncate(time.Millisecond) }

// wake makes Run look again.
func (e *Engine) wake() {
	select {
	case e.wakeup <- struct{}{}:
	default:
	}
}

// Directory returns the people, teams and schedules in force.
func (e *Engine) Directory() *oncall.Directory { return e.setup.Load().directory }

// Policies returns the policies in force, in the order of the configuration.
func (e *Engine) Policies() []*Policy { return e.setup.Load().order }

// Channels returns the channels in force.
func (e *Engine) Channels() []oncall.Method { return e.setup.Load().notifier.Channels() }

// Notifier returns what reaches the services of contact methods.
func (e *Engine) Notifier() *notify.Notifier { return e.setup.Load().notifier }

// Inbox returns the messages of the method inbox.
func (e *Engine) Inbox() notify.SQLInbox { return e.inbox }

// DB returns the database.
func (e *Engine) DB() *state.DB { return e.db }

// Now returns the engine's time.
func (e *Engine) Now() time.Time { return e.now() }

// step is what Transition says about an incident in tx, put into effect there.
func (e *Engine) step(ctx context.Context, tx *state.Tx, i *incident.Incident, ev Event) error {
	s := e.setup.Load()
	now := e.now()
	var lookErr error
	c := Context{
		Now: now, Severity: i.Severity, Policy: s.policies[i.Policy],
		Policies: func(name string) *Policy { return s.policies[name] },
		Reach: func(st Step) ([]Recipient, []string) {
			to, skipped, err := reach(ctx, tx, s.directory, i.Tenant, st, now)
			lookErr = errors.Join(lookErr, err)
			return to, skipped
		},
		Turn: func(step int) int {
			n, err := turn(ctx, tx, i, step)
			lookErr = errors.Join(lookErr, err)
			return n
		},
		Muted: func() Muting {
			mute, err := e.muting(ctx, tx, i)
			lookErr = errors.Join(lookErr, err)
			return mute
		},
	}
	before := i.Progress
	after, effects, err := Transition(c, i.Progress, ev)
	if err != nil {
		return err
	}
	if lookErr != nil {
		return lookErr
	}
	i.Progress = after
	i.UpdatedAt = now
	if after.Status == incident.Acknowledged && i.FirstAcknowledgedAt.IsZero() {
		i.FirstAcknowledgedAt = now
	}
	if after.Status == incident.Resolved && before.Status != incident.Resolved {
		i.ResolvedAt = now
		switch ev := ev.(type) {
		case Resolve:
			i.ResolvedBy = ev.By
		case Merged:
			i.ResolvedBy = ev.By
		}
	}
	for _, effect := range effects {
		if err := e.put(ctx, tx, s, i, effect, now); err != nil {
			return err
		}
	}
	return nil
}
