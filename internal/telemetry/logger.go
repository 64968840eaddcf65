package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
)

// Logger is the process' slog handler: it writes to the console and, once the
// export is attached, to the log store too.
type Logger struct {
	*slog.Logger

	level  *slog.LevelVar
	export *atomic.Pointer[slog.Handler]
}

// NewLogger returns a logger that writes to w in the configured form.
func NewLogger(w io.Writer, cfg Config) *Logger {
	level := new(slog.LevelVar)
	opts := &slog.HandlerOptions{Level: level}
	var console slog.Handler = slog.NewTextHandler(w, opts)
	if cfg.LogFormat == "json" {
		console = slog.NewJSONHandler(w, opts)
	}
	l := &Logger{level: level, export: new(atomic.Pointer[slog.Handler])}
	l.SetLevel(cfg.LogLevel)
	l.Logger = slog.New(&teeHandler{console: console, export: l.export})
	return l
}

// SetLevel changes the level; a name that is none keeps the current one.
func (l *Logger) SetLevel(name string) {
	var level slog.Level
	if level.UnmarshalText([]byte(name)) == nil {
		l.level.Set(level)
	}
}

// attach sends every further record to h as well; nil ends that.
func (l *Logger) attach(h slog.Handler) {
	if h == nil {
		l.export.Store(nil)
		return
	}
	l.export.Store(&h)
}

// teeHandler writes records to the console and to an export handler that may
// come and go. What With and WithGroup added is replayed on the export handler,
// since it may have been attached later than they were called.
type teeHandler struct {
	console slog.Handler
	export  *atomic.Pointer[slog.Handler]
	derive  []func(slog.Handler) slog.Handler
}

func (h *teeHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.console.Enabled(ctx, level)
}

func (h *teeHandler) Handle(ctx context.Context, r slog.Record) error {
	err := h.console.Handle(ctx, r)
	export := h.export.Load()
	if export == nil || Marked(ctx) {
		return err
	}
	handler := *export
	for _, derive := range h.derive {
		handler = derive(handler)
	}
	return errors.Join(err, handler.Handle(ctx, r.Clone()))
}

func (h *teeHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(h.console.WithAttrs(attrs), func(e slog.Handler) slog.Handler { return e.WithAttrs(attrs) })
}

func (h *teeHandler) WithGroup(name string) slog.Handler {
	return h.with(h.console.WithGroup(name), func(e slog.Handler) slog.Handler { return e.WithGroup(name) })
}

func (h *teeHandler) with(console slog.Handler, derive func(slog.Handler) slog.Handler) slog.Handler {
	derived := append(append([]func(slog.Handler) slog.Handler(nil), h.derive...), derive)
	return &teeHandler{console: console, export: h.export, derive: derived}
}
