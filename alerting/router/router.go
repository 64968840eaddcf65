package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/api"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"belfry/internal/fault"
	"belfry/internal/state"
)

// Options are what a Router needs. Alertmanager, ExternalURL and Dir are
// required.
type Options struct {
	Config       Config
	Alertmanager *amconfig.Config // from Load
	Escalator    Escalator        // nil: receivers have Alertmanager's integrations only
	// ExternalURL is where people reach Alertmanager's API and pages, as in
	// http://host:4321/alertmanager.
	ExternalURL *url.URL
	Dir         string // of silences and the notification log
	// Maintenance are the windows that are in the configuration file.
	Maintenance MaintenanceConfig
	// DB keeps the maintenance windows that people make by API. nil: there are none.
	DB *state.DB
	// Shared says that routers of other processes are on the same DB: silences
	// and the notification log are shared with them.
	Shared bool

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Router is an Alertmanager. Its methods are safe for concurrent use.
type Router struct {
	opts     Options
	logger   *slog.Logger
	recorder eventrecorder.Recorder
	metrics  *metrics

	alerts          *mem.Alerts
	posted          *posted
	silences        *silence.Silences
	silencer        *silence.Silencer
	nflog           *nflog.Log
	silenceJournal  *journal
	nflogJournal    *journal
	share           *share // nil: alone
	windows         *maintenance
	flaps           *flaps
	groupMarker     marker.GroupMarker
	pipelines       *notify.PipelineBuilder
	dispatchMetrics *dispatch.DispatcherMetrics
	api             *api.API
	handler         http.Handler

	// flushes is held for reading by each flush of a group.
	flushes sync.RWMutex
	running atomic.Pointer[routing]

	mu          sync.Mutex // serializes Start, Reload and Shutdown
	startAt     time.Time  // when groups may first be notified
	stopped     bool
	stop        chan struct{}
	maintenance sync.WaitGroup
}

// New opens the state in o.Dir. The router routes nothing until Start.
func New(o Options) (r *Router, err error) {
	switch {
	case o.Alertmanager == nil || o.Alertmanager.Route == nil:
		return nil, errors.New("router: an Alertmanager configuration is required")
	case o.ExternalURL == nil || o.Dir == "":
		return nil, errors.New("router: ExternalURL and Dir are required")
	}
	if err := o.Config.Validate(); err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	utf8Names()
	if err := o.Maintenance.Validate(); err != nil {
		return nil, fmt.Errorf("router: maintenance: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry() // Alertmanager cannot do without
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	r = &Router{
		opts: o, logger: o.Logger, recorder: eventrecorder.NopRecorder(),
		metrics: newMetrics(o.Registerer), flaps: newFlaps(o.Config.Flapping), groupMarker: marker.NewGroupMarker(), stop: make(chan struct{}),
	}
	if err := r.openState(); err != nil {
		return nil, fmt.Errorf("router: %w", errors.Join(err, r.closeState()))
	}
	flags := featurecontrol.NoopFlags{}
	r.pipelines = notify.NewPipelineBuilder(o.Registerer, flags, r.recorder)
	r.dispatchMetrics = dispatch.NewDispatcherMetrics(false, o.Registerer, flags)
	if err := r.newAPI(); err != nil {
		return nil, fmt.Errorf("router: %w", errors.Join(err, r.closeState()))
	}
	return r, nil
}

// openState opens silences, the notification log and the store of alerts.
func (r *Router) openState() error {
	var err error
	retention := time.Duration(r.opts.Config.Retention)
	r.silences, err = silence.New(silence.Options{
		SnapshotFile:  r.path(silencesFile),
		Retention:     retention,
		Limits:        silence.Limits{MaxSilences: func() int { return r.opts.Config.MaxSilences }},
		Logger:        r.logger.With("component", "silences"),
		Metrics:       r.opts.Registerer,
		EventRecorder: r.recorder,
	})
	if err = r.setAside(silencesFile, r.silences != nil, err); err != nil {
		return fmt.Errorf("silences: %w", err)
	}
	r.nflog, err = nflog.New(nflog.Options{
		SnapshotFile: r.path(nflogFile),
		Retention:    retention,
		Logger:       r.logger.With("component", "nflog"),
		Metrics:      r.opts.Registerer,
	})
	if err = r.setAside(nflogFile, r.nflog != nil, err); err != nil {
		return fmt.Errorf("notification log: %w", err)
	}
	r.silenceJournal, err = openJournal(r.path(silencesFile+".journal"), r.logger, r.metrics.journalFailures, r.silences.Merge)
	if err != nil {
		return fmt.Errorf("silences: %w", err)
	}
	r.nflogJournal, err = openJournal(r.path(nflogFile+".journal"), r.logger, r.metrics.journalFailures, r.nflog.Merge)
	if err != nil {
		return fmt.Errorf("notification log: %w", err)
	}
	r.silences.SetBroadcast(r.silenceJournal.append)
	r.nflog.SetBroadcast(r.nflogJournal.append)
	if r.opts.Shared && r.opts.DB != nil {
		r.shareState()
	}
	r.windows = &maintenance{router: r, db: r.opts.DB}
	r.windows.set(r.opts.Maintenance)
	r.silencer = silence.NewSilencer(r.silences, r.logger, r.recorder)
	r.alerts, err = mem.NewAlerts(context.Background(), alertGCInterval, r.opts.Config.MaxAlertsPerName,
		r.silencer, r.logger, r.recorder, r.opts.Registerer, featurecontrol.NoopFlags{})
	if err != nil {
		return err
	}
	return r.openPosted()
}

// shareState tells other processes what is journaled here.
func (r *Router) shareState() {
	r.share = newShare(r.opts.DB, r.logger.With("component", "share"), r.metrics,
		map[string]func([]byte) error{kindSilence: r.silences.Merge, kindNotice: r.nflog.Merge})
	r.silences.SetBroadcast(func(b []byte) {
		r.silenceJournal.append(b)
		r.share.silence(b)
	})
	r.nflog.SetBroadcast(func(b []byte) {
		r.nflogJournal.append(b)
		r.share.notice(b)
	})
}

// choresUntil looks after silences that end by themselves and after maintenance
// windows, until stop is closed.
func (r *Router) choresUntil(stop <-chan struct{}) {
	tick := time.NewTicker(chores)
	defer tick.Stop()
	until := untilResolved{router: r, known: map[string]idle{}}
	for {
		now := time.Now()
		r.metrics.flapping.Set(float64(r.flaps.prune(now)))
		if err := errors.Join(r.windows.look(context.Background(), now), until.look(context.Background(), now)); err != nil {
			r.logger.Error("maintenance windows or silences until resolved cannot be looked after", "err", err)
		}
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// SetMaintenance puts other windows in the place of those of the configuration
// file.
func (r *Router) SetMaintenance(c MaintenanceConfig) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("router: maintenance: %w", err)
	}
	r.windows.set(c)
	return nil
}

func (r *Router) openPosted() (err error) {
	r.posted = &posted{Alerts: r.alerts, flaps: r.flaps, known: map[model.Fingerprint]time.Time{}}
	now, term := time.Now(), time.Duration(r.opts.Alertmanager.Global.ResolveTimeout)
	r.posted.journal, err = openJournal(r.path(alertsFile+".journal"), r.logger, r.metrics.journalFailures,
		func(b []byte) error { return r.posted.restore(b, now, term) }, r.path(alertsFile))
	if err != nil {
		return fmt.Errorf("alerts: %w", err)
	}
	return nil
}

// setAside deals with an error of opening a state. Where the state is there
// nevertheless, empty, its snapshot is damaged: it is kept under another name,
// so that somebody can look at it, and the router goes on with what the journal
// has. Routing alerts without old silences is better than not routing them.
func (r *Router) setAside(name string, opened bool, err error) error {
	if err == nil || !opened {
		return err
	}
	r.metrics.damaged.Inc()
	aside := fmt.Sprintf("%s.damaged-%d", r.path(name), time.Now().Unix())
	r.logger.Error("snapshot is damaged and set aside", "path", r.path(name), "aside", aside, "err", err)
	return os.Rename(r.path(name), aside)
}

func (r *Router) closeState() error {
	var errs []error
	if r.alerts != nil {
		r.alerts.Close()
	}
	journals := []*journal{r.silenceJournal, r.nflogJournal}
	if r.posted != nil {
		journals = append(journals, r.posted.journal)
	}
	for _, j := range journals {
		if j != nil {
			errs = append(errs, j.close())
		}
	}
	return errors.Join(errs...)
}

const (
	silencesFile = "silences" // Alertmanager's own names and format
	nflogFile    = "nflog"
	alertsFile   = "alerts" // ours

	alertGCInterval = 30 * time.Minute
)

func (r *Router) path(name string) string { return filepath.Join(r.opts.Dir, name) }

// Start begins to route. The router stops when Shutdown is called, not when ctx
// is done.
func (r *Router) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running.Load() != nil || r.stopped {
		return errors.New("router: started already")
	}
	r.startAt = time.Now().Add(time.Duration(r.opts.Config.StartDelay))
	next, err := r.build(r.opts.Alertmanager)
	if err != nil {
		return fmt.Errorf("router: %w", err)
	}
	if r.share != nil {
		// What others have silenced is known before the first alert; if not, it is soon.
		if err := r.share.pull(ctx); err != nil {
			r.logger.Error("silences of other processes are not known yet", "err", err)
		}
		r.maintenance.Go(func() { r.share.run(r.stop) })
	}
	r.swap(next)
	r.maintenance.Go(func() { r.choresUntil(r.stop) })
	r.maintenance.Go(func() { r.silenceJournal.run(r.stop) })
	r.maintenance.Go(func() { r.nflogJournal.run(r.stop) })
	r.maintenance.Go(func() { r.posted.journal.run(r.stop) })
	interval := time.Duration(r.opts.Config.MaintenanceInterval)
	r.maintenance.Go(func() { r.posted.run(r.stop, interval, r.path(alertsFile)) })
	r.maintenance.Go(func() {
		r.silences.Maintenance(interval, r.path(silencesFile), r.stop, func() (int64, error) {
			if _, err := r.silences.GC(); err != nil {
				return 0, err
			}
			return r.silenceJournal.fold(r.snapshot(silencesFile, r.silences.Snapshot))
		})
	})
	r.maintenance.Go(func() {
		r.nflog.Maintenance(interval, r.path(nflogFile), r.stop, func() (int64, error) {
			if _, err := r.nflog.GC(); err != nil {
				return 0, err
			}
			return r.nflogJournal.fold(r.snapshot(nflogFile, r.nflog.Snapshot))
		})
	})
	return nil
}

// snapshot returns a function that replaces a file by what write writes.
func (r *Router) snapshot(name string, write func(io.Writer) (int64, error)) func() (int64, error) {
	return func() (size int64, err error) {
		tmp := r.path(name + ".tmp")
		f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return 0, err
		}
		size, err = write(f)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return size, errors.Join(err, os.Remove(tmp))
		}
		return size, os.Rename(tmp, r.path(name))
	}
}

// Reload puts a new configuration in effect. On an error nothing has changed.
func (r *Router) Reload(c *amconfig.Config) error {
	if c == nil || c.Route == nil {
		return errors.New("router: an Alertmanager configuration is required")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return errors.New("router: is shut down")
	}
	next, err := r.build(c)
	if err != nil {
		return fmt.Errorf("router: %w", err)
	}
	if r.running.Load() == nil {
		r.opts.Alertmanager = c
		return nil
	}
	r.swap(next)
	return nil
}

// Shutdown stops routing: notifications under way are canceled, and come again
// at the next start if they had not been acknowledged. State is written. It may
// be called without Start, and again.
func (r *Router) Shutdown(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil
	}
	r.stopped = true
	r.running.Load().halt()
	r.flushes.Lock() // every flush has ended, and has its entry in the log
	close(r.stop)
	r.maintenance.Wait()
	r.flushes.Unlock()
	return r.closeState()
}

// Send takes alerts from within the process, as POST /api/v2/alerts does from
// outside. Alerts that are not valid are left out and named in the error; the
// others are taken.
func (r *Router) Send(ctx context.Context, alerts ...*alert.Alert) error {
	run := r.running.Load()
	if run == nil {
		return fault.Unavailablef(time.Second, "router: not started")
	}
	now := time.Now()
	var errs []error
	valid := make([]*alert.Alert, 0, len(alerts))
	for _, in := range alerts {
		a := *in // the store keeps what it gets
		a.UpdatedAt = now
		if a.StartsAt.IsZero() {
			a.StartsAt = now
			if !a.EndsAt.IsZero() {
				a.StartsAt = a.EndsAt
			}
		}
		if a.EndsAt.IsZero() {
			a.Timeout = true
			a.EndsAt = now.Add(time.Duration(run.config.Global.ResolveTimeout))
		}
		a.Labels = withoutEmpty(a.Labels)
		if err := a.Validate(); err != nil {
			r.metrics.invalid.Inc()
			errs = append(errs, fault.Invalidf("alert %s: %w", a.Labels, err))
			continue
		}
		valid = append(valid, r.flaps.see(&a, now))
	}
	r.metrics.received.Add(float64(len(valid)))
	if err := r.alerts.Put(ctx, valid...); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// withoutEmpty returns labels without those of empty value, which are none.
func withoutEmpty(ls model.LabelSet) model.LabelSet {
	for _, v := range ls {
		if v == "" {
			out := make(model.LabelSet, len(ls))
			for name, value := range ls {
				if value != "" {
					out[name] = value
				}
			}
			return out
		}
	}
	return ls
}

// Alertmanager returns the configuration in effect.
func (r *Router) Alertmanager() *amconfig.Config {
	if run := r.running.Load(); run != nil {
		return run.config
	}
	return r.opts.Alertmanager
}
