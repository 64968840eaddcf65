package router

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/silence/silencepb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"belfry/internal/fault"
	"belfry/internal/state"
	"belfry/internal/tenant"
)

// MaintenanceConfig is the `maintenance:` section: windows that are in the file.
type MaintenanceConfig struct {
	Windows []Window `yaml:"windows"`
}

// Validate returns all faults, joined.
func (c *MaintenanceConfig) Validate() error {
	var errs []error
	seen := map[string]bool{}
	for i := range c.Windows {
		w := &c.Windows[i]
		var joined interface{ Unwrap() []error }
		if err := w.Validate(); errors.As(err, &joined) {
			for _, e := range joined.Unwrap() {
				errs = append(errs, fmt.Errorf("windows[%d].%w", i, e))
			}
		}
		if seen[w.Name] {
			errs = append(errs, fmt.Errorf("windows[%d].name: %q is there twice", i, w.Name))
		}
		seen[w.Name] = true
	}
	return errors.Join(errs...)
}

// windowAnnotation names the window on its silences, openedAnnotation when it
// opened.
const (
	windowAnnotation = "maintenance_window"
	openedAnnotation = "opened_at"
)

// maintenance keeps a silence for each window that is open.
type maintenance struct {
	router *Router
	db     *state.DB // of the windows that people make by API; nil: none

	looking sync.Mutex // one look at a time

	mu     sync.Mutex
	inFile []Window
}

func (m *maintenance) set(c MaintenanceConfig) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFile = slices.Clone(c.Windows)
}

// WindowStatus is a window as it stands.
type WindowStatus struct {
	Window
	ReadOnly bool      `json:"read_only"` // it is in the configuration file
	Open     bool      `json:"open"`
	Until    time.Time `json:"until,omitzero"` // when it closes, while it is open
	Next     time.Time `json:"next,omitzero"`  // when it opens, while it is not, within five weeks
}

// list returns all windows by name: those of the file, then those of the
// database that have no namesake there.
func (m *maintenance) list(ctx context.Context) ([]WindowStatus, error) {
	m.mu.Lock()
	var out []WindowStatus
	names := map[string]bool{}
	for _, w := range m.inFile {
		out, names[w.Name] = append(out, WindowStatus{Window: w, ReadOnly: true}), true
	}
	m.mu.Unlock()
	if m.db != nil {
		stored, err := m.stored(ctx)
		if err != nil {
			return nil, err
		}
		for _, w := range stored {
			if !names[w.Name] {
				out = append(out, WindowStatus{Window: w})
			}
		}
	}
	slices.SortFunc(out, func(a, b WindowStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func (m *maintenance) stored(ctx context.Context) (out []Window, err error) {
	err = m.db.View(ctx, func(tx *state.Tx) error {
		rows, err := tx.Query(ctx, `SELECT body FROM maintenance_windows WHERE tenant = ? ORDER BY name`, tenant.Default)
		out, err = state.Collect(rows, err, func(r *sql.Rows) (Window, error) {
			var w state.JSON[Window]
			err := r.Scan(&w)
			return w.V, err
		})
		return err
	})
	return out, err
}

// maxWindows bounds the windows that people make by API.
const maxWindows = 1000

// put stores a window, or replaces the one of its name.
func (m *maintenance) put(ctx context.Context, w Window) error {
	if err := m.editable(w.Name); err != nil {
		return err
	}
	if err := w.Validate(); err != nil {
		return &fault.Error{Kind: fault.Invalid, Err: err}
	}
	body, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return m.db.Update(ctx, func(tx *state.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM maintenance_windows WHERE tenant = ? AND name <> ?`, tenant.Default, w.Name).Scan(&n); err != nil {
			return err
		}
		if n >= maxWindows {
			return fault.Invalidf("there are %d maintenance windows already, which is the bound", n)
		}
		_, err := tx.Exec(ctx, `INSERT INTO maintenance_windows (tenant, name, body, updated_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (tenant, name) DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at`,
			tenant.Default, w.Name, string(body), state.Millis(time.Now()))
		return err
	})
}

// remove removes a window that was made by API.
func (m *maintenance) remove(ctx context.Context, name string) error {
	if err := m.editable(name); err != nil {
		return err
	}
	return m.db.Update(ctx, func(tx *state.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM maintenance_windows WHERE tenant = ? AND name = ?`, tenant.Default, name)
		if err == nil && n == 0 {
			return fault.NotFoundf("there is no maintenance window %q", name)
		}
		return err
	})
}

func (m *maintenance) editable(name string) error {
	if m.db == nil {
		return fault.New(fault.Forbidden, "maintenance windows cannot be edited here: there is no database to keep them in")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.inFile, func(w Window) bool { return w.Name == name }) {
		return fault.New(fault.Forbidden, "the maintenance window %q is in the configuration file: it is read-only here", name)
	}
	return nil
}

// look opens and closes windows as the time says.
func (m *maintenance) look(ctx context.Context, now time.Time) error {
	m.looking.Lock()
	defer m.looking.Unlock()
	windows, err := m.list(ctx)
	if err != nil {
		return err
	}
	all, _, err := m.router.silences.Query(ctx)
	if err != nil {
		return err
	}
	of := map[string][]*silencepb.Silence{}
	for _, s := range all {
		if name := s.Annotations[windowAnnotation]; name != "" {
			of[name] = append(of[name], s)
		}
	}
	var errs []error
	for _, w := range windows {
		if w.open(now) {
			errs = append(errs, m.keepOpen(ctx, &w.Window, of[w.Name], now))
		} else {
			errs = append(errs, m.close(ctx, of[w.Name], now))
		}
		delete(of, w.Name)
	}
	for _, gone := range of {
		errs = append(errs, m.close(ctx, gone, now))
	}
	return errors.Join(errs...)
}

// keepOpen makes or prolongs the silence of a window. One that somebody has
// ended stays ended until the window opens again.
func (m *maintenance) keepOpen(ctx context.Context, w *Window, silences []*silencepb.Silence, now time.Time) error {
	from, until := w.around(now)
	matchers, err := w.silenceMatchers()
	if err != nil {
		return err
	}
	want := &silencepb.Silence{
		MatcherSets: []*silencepb.MatcherSet{{Matchers: matchers}}, Matchers: matchers,
		StartsAt: timestamppb.New(now), EndsAt: timestamppb.New(until), CreatedBy: "maintenance window " + w.Name, Comment: w.Comment,
		Annotations: map[string]string{windowAnnotation: w.Name, openedAnnotation: from.UTC().Format(time.RFC3339)},
	}
	if want.Comment == "" {
		want.Comment = "maintenance"
	}
	for _, s := range silences {
		same := slices.EqualFunc(s.MatcherSets, want.MatcherSets, func(a, b *silencepb.MatcherSet) bool { return proto.Equal(a, b) })
		active := s.EndsAt.AsTime().After(now)
		switch {
		case active && !same:
			if err := m.router.silences.Expire(ctx, s.Id); err != nil {
				return err
			}
		case active && s.EndsAt.AsTime().Equal(until):
			return nil
		case active:
			want.Id, want.StartsAt, want.Annotations = s.Id, s.StartsAt, s.Annotations
			return m.router.silences.Set(ctx, want)
		case same && s.Annotations[openedAnnotation] == want.Annotations[openedAnnotation] && s.EndsAt.AsTime().Before(until):
			return nil // ended by hand
		}
	}
	return m.router.silences.Set(ctx, want)
}

func (m *maintenance) close(ctx context.Context, silences []*silencepb.Silence, now time.Time) error {
	for _, s := range silences {
		if s.EndsAt.AsTime().After(now) {
			if err := m.router.silences.Expire(ctx, s.Id); err != nil && !errors.Is(err, silence.ErrNotFound) {
				return err
			}
		}
	}
	return nil
}
