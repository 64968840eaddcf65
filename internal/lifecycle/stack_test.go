package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func recorder(log *[]string, name string, startErr, stopErr error) Component {
	return Component{
		Name:     name,
		Start:    func(context.Context) error { *log = append(*log, "start "+name); return startErr },
		Shutdown: func(context.Context) error { *log = append(*log, "stop "+name); return stopErr },
	}
}

func TestStackStopsInReverseAndAsksEveryone(t *testing.T) {
	var log []string
	boom := errors.New("boom")
	s := Stack{Logger: slog.New(slog.DiscardHandler)}
	s.Add(recorder(&log, "store", nil, nil))
	s.Add(recorder(&log, "collector", nil, boom))
	require.NoError(t, s.Start(t.Context()))
	require.ErrorIs(t, s.Shutdown(t.Context()), boom)
	require.NoError(t, s.Shutdown(t.Context()), "a second shutdown has nothing to do")
	require.Equal(t, []string{"start store", "start collector", "stop collector", "stop store"}, log)
}

func TestStackUndoesAFailedStart(t *testing.T) {
	var log []string
	boom := errors.New("boom")
	s := Stack{Logger: slog.New(slog.DiscardHandler)}
	s.Add(recorder(&log, "store", nil, nil))
	s.Add(recorder(&log, "collector", boom, nil))
	s.Add(recorder(&log, "ui", nil, nil))
	require.ErrorIs(t, s.Start(t.Context()), boom)
	require.Equal(t, []string{"start store", "start collector", "stop store"}, log)
}

func TestAddRunWaitsForTheLoop(t *testing.T) {
	s := Stack{Logger: slog.New(slog.DiscardHandler)}
	ended := false
	s.AddRun("loop", func(ctx context.Context) error { <-ctx.Done(); ended = true; return ctx.Err() }, func(err error) { t.Error(err) })
	failed := make(chan error, 1)
	s.AddRun("broken", func(context.Context) error { return errors.New("broke") }, func(err error) { failed <- err })
	require.NoError(t, s.Start(t.Context()))
	require.ErrorContains(t, <-failed, "broken: broke")
	require.NoError(t, s.Shutdown(t.Context()))
	require.True(t, ended)
}
