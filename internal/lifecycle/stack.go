package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Component is a part of the process. Start returns when the part is ready; the
// context ends with starting, not with the part. Shutdown drains and is bounded
// by its context. Either may be nil.
type Component struct {
	Name     string
	Start    func(context.Context) error
	Shutdown func(context.Context) error
}

// Stack is a list of components in the order in which they start. It is not
// safe for concurrent use.
type Stack struct {
	Logger *slog.Logger

	parts   []Component
	started int
}

// Add puts a component on top of the stack.
func (s *Stack) Add(c Component) { s.parts = append(s.parts, c) }

// AddRun puts a component on the stack that is a loop: it runs until shutdown,
// which cancels its context and waits. An error that it ends with before that
// is passed to failed.
func (s *Stack) AddRun(name string, run func(context.Context) error, failed func(error)) {
	var cancel context.CancelFunc
	done := make(chan struct{})
	s.Add(Component{
		Name: name,
		Start: func(context.Context) error {
			var ctx context.Context
			ctx, cancel = context.WithCancel(context.Background())
			go func() {
				defer close(done)
				if err := run(ctx); err != nil && ctx.Err() == nil {
					failed(fmt.Errorf("%s: %w", name, err))
				}
			}()
			return nil
		},
		Shutdown: func(ctx context.Context) error {
			cancel()
			select {
			case <-done:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})
}

// Start starts the components from the bottom up. If one fails, those that were
// started are shut down again and the error is returned.
func (s *Stack) Start(ctx context.Context) error {
	for ; s.started < len(s.parts); s.started++ {
		part := s.parts[s.started]
		if part.Start == nil {
			continue
		}
		begin := time.Now()
		if err := part.Start(ctx); err != nil {
			return errors.Join(fmt.Errorf("starting %s: %w", part.Name, err), s.Shutdown(ctx))
		}
		s.Logger.Debug("started", "component", part.Name, "took", time.Since(begin).String())
	}
	return nil
}

// Shutdown stops the started components from the top down. Every one of them is
// asked, whatever the others answer. Calling it again does nothing.
func (s *Stack) Shutdown(ctx context.Context) error {
	var errs []error
	for ; s.started > 0; s.started-- {
		part := s.parts[s.started-1]
		if part.Shutdown == nil {
			continue
		}
		begin := time.Now()
		if err := part.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", part.Name, err))
		}
		s.Logger.Debug("stopped", "component", part.Name, "took", time.Since(begin).String())
	}
	return errors.Join(errs...)
}
