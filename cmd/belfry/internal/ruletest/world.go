package ruletest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"belfry/alerting/rules"
	"belfry/cmd/belfry/internal/app"
	"belfry/logs/logql"
	logstore "belfry/logs/store"
	tracestore "belfry/traces/store"
	"belfry/traces/traceql"
	"belfry/tsdb/query"
)

// world is what one test runs in: stores in a temporary folder, and the rules
// over them.
type world struct {
	dir    string
	now    time.Time // of the data
	db     *tsdb.DB
	app    storage.Appender // of samples that are not seen yet; nil: none
	logs   *logstore.Store
	traces *tracestore.Store
	engine *promql.Engine
	parser parser.Parser

	languages map[rules.Type]rules.Language
	trial     *rules.Trial
	alerts    *alerting // nil where alerts go nowhere
}

const (
	maxSamples   = 50_000_000
	queryTimeout = 100 * time.Second
	blockRange   = 24 * time.Hour // of the metrics' head, which is never compacted
)

func newWorld(f *file, g *group, start time.Time) (w *world, err error) {
	w = &world{now: start, parser: query.NewParser()}
	if w.dir, err = os.MkdirTemp("", "belfry-rule-test-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if err := w.openStores(time.Duration(f.EvaluationInterval)); err != nil {
		return nil, err
	}
	if g.routed() {
		if w.alerts, err = newAlerting(f, filepath.Join(w.dir, "alerting"), start); err != nil {
			return nil, err
		}
	}
	external, err := url.Parse(g.ExternalURL)
	if err != nil {
		return nil, fmt.Errorf("external_url: %w", err)
	}
	c := rules.DefaultConfig()
	c.Files, c.ExternalLabels, c.EvaluationInterval = f.RuleFiles, g.ExternalLabels, g.Interval
	w.trial, err = rules.NewTrial(rules.Options{
		Config: c, Languages: w.languages, Appendable: w.db, Queryable: w.db, Sender: w.alerts, ExternalURL: external,
	}, f.GroupEvalOrder)
	return w, err
}

func (w *world) openStores(interval time.Duration) (err error) {
	opts := tsdb.DefaultOptions()
	opts.MinBlockDuration, opts.MaxBlockDuration = blockRange.Milliseconds(), blockRange.Milliseconds()
	opts.RetentionDuration, opts.WALSegmentSize = 0, -1
	if w.db, err = tsdb.Open(filepath.Join(w.dir, "metrics"), slog.New(slog.DiscardHandler), nil, opts, nil); err != nil {
		return err
	}
	w.db.DisableCompactions()
	now := func() time.Time { return w.now }
	lc := logstore.DefaultConfig()
	lc.Retention.Time = 0
	if w.logs, err = logstore.Open(logstore.Options{Dir: filepath.Join(w.dir, "logs"), Config: lc, Now: now}); err != nil {
		return err
	}
	tc := tracestore.DefaultConfig()
	tc.Retention.Time = 0
	if w.traces, err = tracestore.Open(tracestore.Options{Dir: filepath.Join(w.dir, "traces"), Config: tc, Now: now}); err != nil {
		return err
	}
	w.engine = promql.NewEngine(promql.EngineOpts{
		MaxSamples: maxSamples, Timeout: queryTimeout, EnableAtModifier: true, EnableNegativeOffset: true, EnableDelayedNameRemoval: false,
		NoStepSubqueryIntervalFn: func(int64) int64 { return interval.Milliseconds() }, Parser: w.parser,
	})
	w.languages = app.Languages(rules.PromQL(w.parser, w.engine, w.db),
		logql.NewEngine(logql.Options{Querier: w.logs, Limits: logql.DefaultLimits()}), traceql.NewEngine(w.traces, traceql.Limits{}))
	return nil
}

func (w *world) close() error {
	var errs []error
	if w.alerts != nil {
		errs = append(errs, w.alerts.close())
	}
	if w.traces != nil {
		errs = append(errs, w.traces.Close())
	}
	if w.logs != nil {
		errs = append(errs, w.logs.Close())
	}
	if w.engine != nil {
		errs = append(errs, w.engine.Close())
	}
	if w.db != nil {
		errs = append(errs, w.db.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// query evaluates an expression as a rule's would be.
func (w *world) query(ctx context.Context, t rules.Type, expr string, at time.Time) (promql.Vector, error) {
	if err := w.languages[t].Validate(expr); err != nil {
		return nil, err
	}
	return w.languages[t].Query(ctx, expr, at)
}
