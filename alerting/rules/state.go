package rules

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	promrules "github.com/prometheus/prometheus/rules"
)

const stateFileName = "rules.state"

// stateHeader is the first line of the state file.
type stateHeader struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	At      time.Time `json:"at"` // when it was written
}

const (
	stateFormat  = "belfry rule state"
	stateVersion = 1
)

// savedGroup is one further line of the state file: the alerts of a group.
type savedGroup struct {
	File    string      `json:"file"`
	Name    string      `json:"name"`
	Failing bool        `json:"failing,omitzero"` // GroupFailing is raised
	Rules   []savedRule `json:"rules"`
}

// savedRule is found again by its name and labels, and by its place among the
// rules of the group that have the same ones.
type savedRule struct {
	Name   string       `json:"name"`
	Labels string       `json:"labels"`
	Alerts []savedAlert `json:"alerts"`
}

type savedAlert struct {
	Labels          labels.Labels `json:"labels"`
	Annotations     labels.Labels `json:"annotations"`
	State           string        `json:"state"`
	Value           savedValue    `json:"value"`
	ActiveAt        time.Time     `json:"active_at,omitzero"`
	FiredAt         time.Time     `json:"fired_at,omitzero"`
	ResolvedAt      time.Time     `json:"resolved_at,omitzero"`
	KeepFiringSince time.Time     `json:"keep_firing_since,omitzero"`
}

// savedValue is a float64 in JSON, which has no NaN and no infinities.
type savedValue float64

func (v savedValue) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.FormatFloat(float64(v), 'g', -1, 64)), nil
}

func (v *savedValue) UnmarshalJSON(b []byte) error {
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return fmt.Errorf("value %s: %w", b, err)
	}
	f, err := strconv.ParseFloat(s, 64)
	*v = savedValue(f)
	return err
}

// savedState is the content of a state file.
type savedState struct {
	at     time.Time
	groups map[string]savedGroup // by promrules.GroupKey
}

// stateFile keeps the alerts of all groups in one file. Each line is a CRC-32C
// in hexadecimal, a space and a JSON document; the file is replaced as a whole,
// so that it is always complete. A group's line is encoded again only when one
// of its alerts changed in more than its value. A nil stateFile keeps nothing.
type stateFile struct {
	path    string
	logger  *slog.Logger
	metrics *metrics
	dirty   chan struct{}

	mu    sync.Mutex
	lines map[string][]byte // by promrules.GroupKey
	sums  map[string]uint64 // what the line of a group was made from
}

func newStateFile(path string, logger *slog.Logger, m *metrics) *stateFile {
	return &stateFile{
		path: path, logger: logger, metrics: m, dirty: make(chan struct{}, 1),
		lines: map[string][]byte{}, sums: map[string]uint64{},
	}
}

// touch asks for a write soon.
func (s *stateFile) touch() {
	if s == nil {
		return
	}
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// capture takes the alerts of a group after an evaluation.
func (s *stateFile) capture(g *promrules.Group, failing bool) {
	if s == nil {
		return
	}
	key := promrules.GroupKey(g.File(), g.Name())
	sum := groupSum(g)
	if failing {
		sum = ^sum
	}
	s.mu.Lock()
	same := s.sums[key] == sum
	s.mu.Unlock()
	if same {
		return
	}
	saved := savedGroup{File: g.File(), Name: g.Name(), Failing: failing}
	for _, r := range g.Rules() {
		ar, ok := r.(*promrules.AlertingRule)
		if !ok {
			continue
		}
		sr := savedRule{Name: ar.Name(), Labels: ar.Labels().String()}
		ar.ForEachActiveAlert(func(a *promrules.Alert) {
			sr.Alerts = append(sr.Alerts, savedAlert{
				Labels: a.Labels, Annotations: a.Annotations, State: a.State.String(), Value: savedValue(a.Value),
				ActiveAt: a.ActiveAt, FiredAt: a.FiredAt, ResolvedAt: a.ResolvedAt, KeepFiringSince: a.KeepFiringSince,
			})
		})
		saved.Rules = append(saved.Rules, sr)
	}
	line, err := stateLine(saved)
	if err != nil {
		s.metrics.stateFailures.Inc()
		s.logger.Error("encoding the state of a rule group failed", "file", g.File(), "group", g.Name(), "err", err)
		return
	}
	s.mu.Lock()
	s.lines[key], s.sums[key] = line, sum
	s.mu.Unlock()
	s.touch()
}

// groupSum changes with every change of an alert that is worth a write. The
// order of alerts does not matter to it.
func groupSum(g *promrules.Group) uint64 {
	var sum uint64
	for i, r := range g.Rules() {
		ar, ok := r.(*promrules.AlertingRule)
		if !ok {
			continue
		}
		ar.ForEachActiveAlert(func(a *promrules.Alert) {
			h := a.Labels.Hash() + uint64(i)
			for _, v := range [...]int64{int64(a.State), unixNano(a.ActiveAt), unixNano(a.FiredAt), unixNano(a.ResolvedAt), unixNano(a.KeepFiringSince)} {
				h = (h ^ uint64(v)) * 0x9E3779B97F4A7C15 // Fibonacci hashing
				h ^= h >> 29
			}
			sum += h
		})
	}
	return sum
}

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func stateLine(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(fmt.Appendf(nil, "%08x ", crc32.Checksum(b, castagnoli)), append(b, '\n')...), nil
}

func parseStateLine(line []byte, into any) error {
	sum, doc, ok := bytes.Cut(line, []byte(" "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !ok || err != nil {
		return errors.New("no checksum")
	}
	if crc32.Checksum(doc, castagnoli) != uint32(want) {
		return errors.New("checksum does not match")
	}
	return json.Unmarshal(doc, into)
}

const (
	// stateWriteInterval is the least time between two writes.
	stateWriteInterval = time.Second
	// stateHeartbeat is the longest time between two writes, so that the
	// file's time tells when the process was last alive.
	stateHeartbeat = 15 * time.Second
)

// run writes the file when something changed, until ctx is done. Large files
// are written less often: one part in twenty of the time goes into it.
func (s *stateFile) run(ctx context.Context, live func() map[string]bool) {
	beat := time.NewTicker(stateHeartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.dirty:
		case <-beat.C:
		}
		start := time.Now()
		if err := s.write(live()); err != nil {
			s.logger.Error("writing the rule state failed", "err", err)
		}
		pause := time.NewTimer(max(stateWriteInterval, 20*time.Since(start)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// write replaces the file. Groups that are not live are forgotten.
func (s *stateFile) write(live map[string]bool) (err error) {
	if s == nil {
		return nil
	}
	defer func() {
		if err != nil {
			s.metrics.stateFailures.Inc()
		}
	}()
	header, err := stateLine(stateHeader{Format: stateFormat, Version: stateVersion, At: time.Now()})
	if err != nil {
		return err
	}
	s.mu.Lock()
	maps.DeleteFunc(s.lines, func(k string, _ []byte) bool { return !live[k] })
	maps.DeleteFunc(s.sums, func(k string, _ uint64) bool { return !live[k] })
	lines := make([][]byte, 0, len(s.lines)+1)
	lines = append(lines, header)
	for _, key := range slices.Sorted(maps.Keys(s.lines)) {
		lines = append(lines, s.lines[key])
	}
	s.mu.Unlock()

	size, err := replaceFile(s.path, lines)
	if err != nil {
		return fmt.Errorf("rule state: %w", err)
	}
	s.metrics.stateBytes.Set(float64(size))
	return nil
}

// replaceFile writes a file beside path, makes it durable and renames it.
func replaceFile(path string, content [][]byte) (size int, err error) {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(tmp))
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	for _, b := range content {
		n, err := w.Write(b)
		size += n
		if err != nil {
			return size, err
		}
	}
	if err := w.Flush(); err != nil {
		return size, err
	}
	if err := f.Sync(); err != nil {
		return size, err
	}
	if err := f.Close(); err != nil {
		return size, err
	}
	if err := os.Rename(tmp, path); err != nil {
		return size, err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return size, err
	}
	return size, errors.Join(dir.Sync(), dir.Close())
}

// read returns the saved state, nil where there is no file. Lines that are
// damaged are left out and logged.
func (s *stateFile) read() (*savedState, error) {
	if s == nil {
		return nil, nil
	}
	content, err := os.ReadFile(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseState(content, func(line int, err error) {
		s.logger.Warn("a line of the rule state is damaged and left out", "path", s.path, "line", line, "err", err)
	})
}

func parseState(content []byte, damaged func(line int, err error)) (*savedState, error) {
	lines := bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
	var h stateHeader
	if err := parseStateLine(lines[0], &h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if h.Format != stateFormat || h.Version != stateVersion {
		return nil, fmt.Errorf("is %q in version %d; this program reads %q in version %d", h.Format, h.Version, stateFormat, stateVersion)
	}
	st := &savedState{at: h.At, groups: map[string]savedGroup{}}
	for i, line := range lines[1:] {
		var g savedGroup
		if err := parseStateLine(line, &g); err != nil {
			damaged(i+2, err)
			continue
		}
		st.groups[promrules.GroupKey(g.File, g.Name)] = g
	}
	return st, nil
}
