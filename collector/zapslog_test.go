package collector

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func TestZapIntoSlog(t *testing.T) {
	var out bytes.Buffer
	logger := zap.New(newCore(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))))
	logger.Debug("whole record", zap.String("body", "secret"))
	logger.Info("starting")
	logger.Named("n").With(zap.String("otelcol.component.id", "statsd")).Warn("late", zap.Int("seconds", 3), zap.Strings("ports", []string{"a", "b"}))
	logger.With(zap.String("otelcol.component.id", "debug/verbose")).Info("ResourceLog #0")
	require.NotContains(t, out.String(), "secret")
	require.NotContains(t, out.String(), "starting")
	require.Contains(t, out.String(), `level=WARN msg=late otelcol.component.id=statsd seconds=3 ports="[a b]"`)
	require.Contains(t, out.String(), `level=INFO msg="ResourceLog #0"`)
}

// TestRepetitionIsCut: a failure on every batch must not flood the log.
func TestRepetitionIsCut(t *testing.T) {
	spy := newLogSpy()
	logger := zap.New(newCore(slog.New(spy)))
	for range 1000 {
		logger.Error("failed")
	}
	require.Less(t, len(spy.records), 60)
	require.NotEmpty(t, spy.records)
}
