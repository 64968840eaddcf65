package rules

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"

	"go.yaml.in/yaml/v3"

	"belfry/internal/fault"
	"belfry/internal/state"
)

// storedGroup is a group that somebody made by API. Its namespace stands where
// a group of a rule file has the file's path.
type storedGroup struct {
	Namespace string
	Group     *Group
}

// groupStore keeps groups in SQL. A nil one is empty.
type groupStore struct {
	db     *state.DB
	tenant string
}

// groupVersion counts the changes of a tenant's groups, so that processes that
// share the database see them.
const groupVersion = "rule_groups"

// maxStoredGroups bounds the groups of a tenant.
const maxStoredGroups = 20_000

// list returns all groups by namespace and name, and their version. A group
// that does not decode any more is in the error, and the others are returned.
func (s *groupStore) list(ctx context.Context) (groups []storedGroup, version int64, err error) {
	if s == nil {
		return nil, 0, nil
	}
	err = s.db.View(ctx, func(tx *state.Tx) error {
		if version, err = s.versionIn(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT namespace, name, body FROM rule_groups WHERE tenant = ? ORDER BY namespace, name`, s.tenant)
		groups, err = state.Collect(rows, err, func(r *sql.Rows) (storedGroup, error) {
			g := storedGroup{Group: &Group{}}
			var name, body string
			if err := r.Scan(&g.Namespace, &name, &body); err != nil {
				return g, err
			}
			if err := yaml.Unmarshal([]byte(body), g.Group); err != nil {
				return g, fmt.Errorf("stored rule group %q of namespace %q: %w", name, g.Namespace, err)
			}
			return g, nil
		})
		return err
	})
	return groups, version, err
}

func (s *groupStore) versionIn(ctx context.Context, tx *state.Tx) (version int64, err error) {
	err = tx.QueryRow(ctx, `SELECT value FROM counters WHERE tenant = ? AND name = ?`, s.tenant, groupVersion).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return version, err
}

func (s *groupStore) version(ctx context.Context) (version int64, err error) {
	err = s.db.View(ctx, func(tx *state.Tx) error {
		version, err = s.versionIn(ctx, tx)
		return err
	})
	return version, err
}

// put stores a group, or replaces the one of its name, unless others have
// changed groups since version. It returns the new version.
func (s *groupStore) put(ctx context.Context, g storedGroup, version int64) (int64, error) {
	body, err := yaml.Marshal(g.Group)
	if err != nil {
		return 0, err
	}
	return s.change(ctx, version, func(tx *state.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO rule_groups (tenant, namespace, name, type, body, updated_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, namespace, name) DO UPDATE SET type = excluded.type, body = excluded.body, updated_at = excluded.updated_at`,
			s.tenant, g.Namespace, g.Group.Name, g.Group.Type, string(body), state.Millis(time.Now()))
		return err
	})
}

// remove removes a group, or all of a namespace where name is empty.
func (s *groupStore) remove(ctx context.Context, namespace, name string, version int64) (int64, error) {
	return s.change(ctx, version, func(tx *state.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM rule_groups WHERE tenant = ? AND namespace = ? AND (name = ? OR ? = '')`,
			s.tenant, namespace, name, name)
		return err
	})
}

func (s *groupStore) change(ctx context.Context, version int64, do func(*state.Tx) error) (now int64, err error) {
	err = s.db.Update(ctx, func(tx *state.Tx) error {
		if now, err = s.versionIn(ctx, tx); err != nil {
			return err
		}
		if now != version {
			return errGroupsChanged
		}
		if err := do(tx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `INSERT INTO counters (tenant, name, value) VALUES (?, ?, 1)
			ON CONFLICT (tenant, name) DO UPDATE SET value = counters.value + 1 RETURNING value`, s.tenant, groupVersion).Scan(&now)
	})
	return now, err
}

var errGroupsChanged = fault.New(fault.Conflict, "another process has changed rule groups at the same time; try again")

// withStored joins the groups of files and stored ones. A file and a namespace
// of the same name would be one group set with two owners: the file wins, as it
// does over a stored group that no longer passes the checks.
func (e *Engine) withStored(disk map[string]*File, groups []storedGroup) map[string]*File {
	out := make(map[string]*File, len(disk)+1)
	maps.Copy(out, disk)
	left := 0
	for _, g := range groups {
		if _, taken := disk[g.Namespace]; taken {
			left++
			e.logger.Error("rule groups made by API are left out: a rule file has the name of their namespace", "namespace", g.Namespace, "group", g.Group.Name)
			continue
		}
		if err := checkStored(g, e.opts.Languages); err != nil {
			left++
			e.logger.Error("a rule group made by API is left out: it no longer passes the checks", "namespace", g.Namespace, "group", g.Group.Name, "err", err)
			continue
		}
		f := out[g.Namespace]
		if f == nil {
			f = &File{}
			out[g.Namespace] = f
		}
		f.Groups = append(f.Groups, *g.Group)
	}
	e.metrics.storedLeftOut.Set(float64(left))
	return out
}

func checkStored(g storedGroup, languages map[Type]Language) error {
	if g.Group.valid {
		return nil
	}
	body, err := yaml.Marshal(g.Group)
	if err != nil {
		return err
	}
	_, err = ParseGroup(g.Namespace, body, Metrics, languages)
	g.Group.valid = err == nil
	return err
}

// refresh reads the stored groups. e.mu is held, or nobody else has e yet.
func (e *Engine) refresh(ctx context.Context) error {
	groups, version, err := e.stored.list(ctx)
	if err != nil {
		return err
	}
	if err := e.apply(e.config, e.disk, groups); err != nil {
		return err
	}
	e.groups, e.version = groups, version
	return nil
}

// followInterval is how often processes on one database look for groups that
// others have changed.
const followInterval = 5 * time.Second

func (e *Engine) follow(ctx context.Context) {
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := e.catchUp(ctx); err != nil && ctx.Err() == nil {
			e.logger.Error("rule groups of the database cannot be read; the running ones go on", "err", err)
		}
	}
}

// catchUp takes over what other processes have changed.
func (e *Engine) catchUp(ctx context.Context) error {
	version, err := e.stored.version(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if version == e.version || e.stopped {
		return nil
	}
	return e.refresh(ctx)
}
