package collector

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
)

// core is a zapcore.Core over slog.
type core struct {
	logger  *slog.Logger
	printer bool // of a debug exporter
}

// newCore returns a core that writes to logger. Of the same message it passes
// ten a second and then every hundredth: a component that fails on every batch
// must not become the loudest thing in the log, least of all when the batch is
// that log.
func newCore(logger *slog.Logger) zapcore.Core {
	return zapcore.NewSamplerWithOptions(core{logger: logger}, time.Second, 10, 100)
}

func (c core) Enabled(level zapcore.Level) bool {
	mapped, ok := c.level(level)
	return ok && c.logger.Enabled(context.Background(), mapped)
}

func (c core) With(fields []zapcore.Field) zapcore.Core {
	printer := c.printer
	for _, f := range fields {
		printer = printer || f.Key == "otelcol.component.id" && strings.HasPrefix(f.String, "debug")
	}
	return core{logger: c.logger.With(attrs(fields)...), printer: printer}
}

func (c core) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c core) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	level, _ := c.level(entry.Level)
	record := slog.NewRecord(entry.Time, level, entry.Message, 0)
	record.Add(attrs(fields)...)
	return c.logger.Handler().Handle(context.Background(), record)
}

func (core) Sync() error { return nil }

// level maps a level. The Collector's info is about its own coming and going,
// which is detail inside a bigger program, unless it is what the debug exporter
// was added for. Its debug is left out: components print whole records there,
// and where the record is a line of this very log, each would breed more.
func (c core) level(level zapcore.Level) (slog.Level, bool) {
	switch {
	case level < zapcore.InfoLevel:
		return 0, false
	case level == zapcore.InfoLevel && !c.printer:
		return slog.LevelDebug, true
	case level == zapcore.InfoLevel:
		return slog.LevelInfo, true
	case level == zapcore.WarnLevel:
		return slog.LevelWarn, true
	}
	return slog.LevelError, true
}

// omitted are fields that say the same on every line of the process.
func omitted(key string) bool { return key == "resource" || key == "caller" }

func attrs(fields []zapcore.Field) []any {
	out := make([]any, 0, len(fields))
	for _, f := range fields {
		if omitted(f.Key) || f.Type == zapcore.SkipType {
			continue
		}
		enc := zapcore.NewMapObjectEncoder()
		f.AddTo(enc)
		for _, key := range sortedKeys(enc.Fields) {
			out = append(out, slog.Any(key, enc.Fields[key]))
		}
	}
	return out
}
