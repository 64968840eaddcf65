package router

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/alertmanager/nflog/nflogpb"
	"github.com/prometheus/alertmanager/silence/silencepb"
	"google.golang.org/protobuf/encoding/protodelim"

	"belfry/internal/state"
)

// share lets routers of several processes on one database know each other's
// silences and notifications. It stands where Alertmanager gossips: what one
// router changes goes to a table, from which the others merge it. Members take
// turns: the second waits a while before it notifies, and finds in the
// notification log that the first has done so. Nothing here can keep an alert
// from being notified: without the database every router works by itself.
type share struct {
	db      *state.DB
	name    string
	logger  *slog.Logger
	metrics *metrics
	merge   map[string]func([]byte) error // by kind
	wake    chan struct{}

	position atomic.Int64 // among the living members

	flushing sync.Mutex // serializes flush
	mu       sync.Mutex
	pending  map[changeKey]change // what others do not know yet
	merging  changeKey            // what is being merged, and must not go back
	seq      int64                // read up to
}

type changeKey struct{ kind, key string }

type change struct {
	body    []byte
	expires time.Time
}

// The kinds of changes.
const (
	kindSilence = "silence"
	kindNotice  = "notification"
)

const (
	shareInterval = time.Second
	// aliveInterval is how often a member says that it lives, aliveFor how long
	// that holds.
	aliveInterval = 5 * time.Second
	aliveFor      = 20 * time.Second
	// turn is how long each member waits for the one before it.
	turn = 5 * time.Second
	// shareBatch bounds the rows of one transaction.
	shareBatch = 500
	// shareTimeout bounds one visit to the database.
	shareTimeout = 10 * time.Second
)

func newShare(db *state.DB, logger *slog.Logger, m *metrics, merge map[string]func([]byte) error) *share {
	return &share{
		db: db, name: ulid.Make().String(), logger: logger, metrics: m, merge: merge,
		wake: make(chan struct{}, 1), pending: map[changeKey]change{},
	}
}

// silence and notice take what Alertmanager's states broadcast.
func (s *share) silence(b []byte) {
	var m silencepb.MeshSilence
	if err := protodelim.UnmarshalFrom(bufio.NewReader(bytes.NewReader(b)), &m); err != nil {
		s.logger.Error("a silence cannot be shared", "err", err)
		return
	}
	s.put(changeKey{kindSilence, m.GetSilence().GetId()}, change{b, m.GetExpiresAt().AsTime()})
}

func (s *share) notice(b []byte) {
	var m nflogpb.MeshEntry
	if err := protodelim.UnmarshalFrom(bufio.NewReader(bytes.NewReader(b)), &m); err != nil {
		s.logger.Error("a notification log entry cannot be shared", "err", err)
		return
	}
	r := m.GetEntry().GetReceiver()
	key := fmt.Sprintf("%s/%s/%d:%s", r.GetGroupName(), r.GetIntegration(), r.GetIdx(), m.GetEntry().GetGroupKey())
	s.put(changeKey{kindNotice, key}, change{b, m.GetExpiresAt().AsTime()})
}

func (s *share) put(k changeKey, c change) {
	s.mu.Lock()
	own := s.merging != k // the states pass on what they have merged
	if own {
		s.pending[k] = c
	}
	s.mu.Unlock()
	if own {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// run shares changes until stop is closed.
func (s *share) run(stop <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	tick := time.NewTicker(shareInterval)
	defer tick.Stop()
	var alive time.Time
	for {
		err := errors.Join(s.flush(ctx), s.pull(ctx))
		if now := time.Now(); now.Sub(alive) >= aliveInterval {
			err = errors.Join(err, s.beat(ctx, now))
			alive = now
		}
		if err != nil && ctx.Err() == nil {
			s.metrics.shareFailures.Inc()
			s.logger.Error("silences and notifications cannot be shared with other processes", "err", err)
		}
		select {
		case <-ctx.Done():
			s.leave()
			return
		case <-tick.C:
		case <-s.wake:
		}
	}
}

// flush writes what others do not know yet.
func (s *share) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	s.flushing.Lock()
	defer s.flushing.Unlock()
	for {
		batch := s.take()
		if len(batch) == 0 {
			return nil
		}
		err := s.db.Update(ctx, func(tx *state.Tx) error { return s.write(ctx, tx, batch) })
		if err != nil {
			s.giveBack(batch)
			return err
		}
	}
}

func (s *share) take() map[changeKey]change {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := map[changeKey]change{}
	for k, c := range s.pending {
		if len(batch) == shareBatch {
			break
		}
		batch[k] = c
		delete(s.pending, k)
	}
	return batch
}

func (s *share) giveBack(batch map[changeKey]change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, c := range batch {
		if _, newer := s.pending[k]; !newer {
			s.pending[k] = c
		}
	}
}

// write stores changes under the next number. The row of the counter is locked
// until the transaction ends, so that numbers become visible in their order.
func (s *share) write(ctx context.Context, tx *state.Tx, batch map[changeKey]change) error {
	var seq int64
	err := tx.QueryRow(ctx, `INSERT INTO counters (tenant, name, value) VALUES ('', 'router_changes', 1)
		ON CONFLICT (tenant, name) DO UPDATE SET value = counters.value + 1 RETURNING value`).Scan(&seq)
	if err != nil {
		return err
	}
	for k, c := range batch {
		if _, err := tx.Exec(ctx, `INSERT INTO router_changes (kind, key, body, origin, seq, expires_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, origin = excluded.origin, seq = excluded.seq, expires_at = excluded.expires_at`,
			k.kind, k.key, base64.StdEncoding.EncodeToString(c.body), s.name, seq, state.Millis(c.expires)); err != nil {
			return err
		}
	}
	return nil
}

type sharedRow struct {
	changeKey
	body, origin string
	seq          int64
}

// pull merges what others have written.
func (s *share) pull(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	var rows []sharedRow
	err := s.db.View(ctx, func(tx *state.Tx) error {
		found, err := tx.Query(ctx, `SELECT kind, key, body, origin, seq FROM router_changes WHERE seq > ? ORDER BY seq`, s.seq)
		rows, err = state.Collect(found, err, func(r *sql.Rows) (row sharedRow, err error) {
			err = r.Scan(&row.kind, &row.key, &row.body, &row.origin, &row.seq)
			return row, err
		})
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, row := range rows {
		s.seq = row.seq
		merge := s.merge[row.kind]
		if row.origin == s.name || merge == nil {
			continue
		}
		body, err := base64.StdEncoding.DecodeString(row.body)
		if err == nil {
			s.setMerging(row.changeKey)
			err = merge(body)
			s.setMerging(changeKey{})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %q: %w", row.kind, row.key, err))
		}
	}
	return errors.Join(errs...)
}

func (s *share) setMerging(k changeKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.merging = k
}

// beat says that this member lives, and finds its position among the others.
func (s *share) beat(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	var names []string
	err := s.db.Update(ctx, func(tx *state.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO router_members (name, alive_at) VALUES (?, ?)
			ON CONFLICT (name) DO UPDATE SET alive_at = excluded.alive_at`, s.name, state.Millis(now)); err != nil {
			return err
		}
		dead := state.Millis(now.Add(-aliveFor))
		if _, err := tx.Exec(ctx, `DELETE FROM router_members WHERE alive_at < ?`, dead); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM router_changes WHERE expires_at < ?`, state.Millis(now)); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT name FROM router_members ORDER BY name`)
		names, err = state.Collect(rows, err, func(r *sql.Rows) (name string, err error) {
			err = r.Scan(&name)
			return name, err
		})
		return err
	})
	if err != nil {
		s.position.Store(0) // alone, as far as anybody knows
		return err
	}
	s.position.Store(int64(max(slices.Index(names, s.name), 0)))
	s.metrics.members.Set(float64(len(names)))
	return nil
}

// leave lets the others move up.
func (s *share) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
	defer cancel()
	err := errors.Join(s.flush(ctx), s.db.Update(ctx, func(tx *state.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM router_members WHERE name = ?`, s.name)
		return err
	}))
	if err != nil {
		s.logger.Warn("leaving the other processes failed; they wait for this one a little longer", "err", err)
	}
}

// wait is how long a notification waits for the members before this one. A nil
// share is alone.
func (s *share) wait() time.Duration {
	if s == nil {
		return 0
	}
	return time.Duration(s.position.Load()) * turn
}
