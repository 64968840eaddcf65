package collector

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/zap/zapcore"
)

// core is a zapcore.Core over slog.
type core struct{ logger *slog.Logger }

// newCore returns a core that writes to logger. Of the same message it passes
// ten a second and then every hundredth: a component that fails on every batch
// must not become the loudest thing in the log, least of all when the batch is
// that log.
func newCore(logger *slog.Logger) zapcore.Core {
	return zapcore.NewSamplerWithOptions(core{logger}, time.Second, 10, 100)
}

func (c core) Enabled(level zapcore.Level) bool {
	return c.logger.Enabled(context.Background(), slogLevel(level))
}

func (c core) With(fields []zapcore.Field) zapcore.Core {
	return core{c.logger.With(attrs(fields)...)}
}

func (c core) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c core) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	record := slog.NewRecord(entry.Time, slogLevel(entry.Level), entry.Message, 0)
	record.Add(attrs(fields)...)
	return c.logger.Handler().Handle(context.Background(), record)
}

func (core) Sync() error { return nil }

// slogLevel maps a level. The Collector's info is about its own coming and
// going, which is detail inside a bigger program.
func slogLevel(level zapcore.Level) slog.Level {
	switch {
	case level < zapcore.WarnLevel:
		return slog.LevelDebug
	case level == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelError
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
