package ruletest

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"belfry/alerting/rules"
	"belfry/internal/tenant"
)

// Options of a run.
type Options struct {
	// Run selects tests by name; nil: all.
	Run *regexp.Regexp
	// Virtual runs a function in a bubble in which time passes when everybody
	// waits for it.
	Virtual func(func())
}

// Result is what became of one test file.
type Result struct {
	File   string
	Tests  int
	Errors []error
}

// Run runs the tests of files, one after the other.
func Run(ctx context.Context, files []string, o Options) []Result {
	out := make([]Result, 0, len(files))
	for _, path := range files {
		res := Result{File: path}
		f, err := read(path)
		if err != nil {
			res.Errors = append(res.Errors, err)
			out = append(out, res)
			continue
		}
		for i := range f.Tests {
			g := &f.Tests[i]
			if o.Run != nil && !o.Run.MatchString(g.Name) {
				continue
			}
			res.Tests++
			test := func() { res.Errors = append(res.Errors, named(g.Name, g.run(ctx, f))...) }
			if g.routed() {
				o.Virtual(test)
			} else {
				test()
			}
		}
		out = append(out, res)
	}
	return out
}

func named(name string, errs []error) []error {
	for i, err := range errs {
		errs[i] = fmt.Errorf("%s: %w", name, err)
	}
	return errs
}

// run does one test: inputs up to each evaluation, then the evaluation, then the
// tests of alerts that fall before the next; expressions at the end, as data that
// came later does not change what was.
func (g *group) run(ctx context.Context, f *file) (errs []error) {
	ctx = tenant.WithID(ctx, tenant.Default)
	start := time.Unix(0, 0).UTC()
	if !g.StartTimestamp.IsZero() {
		start = g.StartTimestamp.Time
		if g.routed() {
			time.Sleep(time.Until(start)) // to the date, while nothing runs that would wake on the way
		}
	}
	w, err := newWorld(f, g, start)
	if err != nil {
		return []error{err}
	}
	defer func() {
		if err := w.close(); err != nil {
			errs = append(errs, err)
		}
	}()
	inputs, err := g.inputs(w.parser)
	if err != nil {
		return []error{err}
	}
	if errs, err := g.walk(ctx, f, w, start, inputs); err != nil {
		return append(errs, err)
	} else if len(errs) > 0 {
		return errs
	}
	errs = g.routes(f, start)
	for _, list := range []struct {
		t     rules.Type
		tests []exprTest
	}{{rules.Metrics, g.PromQLTests}, {rules.Logs, g.LogQLTests}, {rules.Traces, g.TraceQLTests}} {
		for i := range list.tests {
			if err := w.compareSamples(ctx, list.t, &list.tests[i], start, f.FuzzyCompare); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}

// walk goes through time. It returns what failed, and an error that ends the test.
func (g *group) walk(ctx context.Context, f *file, w *world, start time.Time, inputs []input) (errs []error, err error) {
	step, end := time.Duration(f.EvaluationInterval), g.end()
	for at := time.Duration(0); ; at += step {
		if err := w.alerts.walkTo(ctx, g, at); err != nil {
			return errs, err
		}
		for len(inputs) > 0 && inputs[0].at <= at {
			w.now = start.Add(inputs[0].at)
			if err := inputs[0].put(ctx, w, w.now); err != nil {
				return errs, err
			}
			inputs = inputs[1:]
		}
		w.now = start.Add(at)
		if err := w.flush(); err != nil {
			return errs, err
		}
		if err := w.trial.Eval(ctx, w.now); err != nil {
			return errs, fmt.Errorf("at %s: %w", at, err)
		}
		for i := range g.AlertTests {
			if t := &g.AlertTests[i]; at <= time.Duration(t.EvalTime) && time.Duration(t.EvalTime)-at < step {
				if err := w.compareAlerts(t); err != nil {
					errs = append(errs, err)
				}
			}
		}
		if end-at < step {
			break
		}
	}
	if err := w.alerts.walkTo(ctx, g, end); err != nil {
		return errs, err
	}
	more, err := w.alerts.compare(ctx, g)
	return append(errs, more...), err
}
