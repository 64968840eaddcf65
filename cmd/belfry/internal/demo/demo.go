package demo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"belfry/cmd/belfry/internal/shop"
)

// files are the demo's configuration, written to its folder.
//
//go:embed files
var files embed.FS

// Options says where the demo runs.
type Options struct {
	Program  string // the binary whose serve command is shown
	Dir      string // must not exist or be empty
	Listen   string // of the HTTP API and web app
	GRPC     string // of OTLP
	HTTP     string // of OTLP
	Shoppers int
	Out      io.Writer
}

// Run shows the demo until ctx ends.
func Run(ctx context.Context, o Options) (err error) {
	if err := freshDir(o.Dir); err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(o.Out, format+"\n", args...) }
	say("opening the shop: seven services")
	sh, err := shop.Open(ctx, shop.Options{Endpoint: o.GRPC})
	if err != nil {
		return err
	}
	var srv *server
	defer func() { err = errors.Join(err, shutdown(o, say, sh, srv)) }()
	if err := writeFiles(o, sh.ScrapeAddress()); err != nil {
		return err
	}
	begin := time.Now()
	say("starting belfry on %s", o.Dir)
	if srv, err = startServer(ctx, o.Program, o.Dir, "http://"+o.Listen); err != nil {
		return err
	}
	say("ready after %d ms, letting %d shoppers in\n\n%s", time.Since(begin).Milliseconds(), o.Shoppers, guide(srv.base, o))
	sh.Admit(o.Shoppers)
	return watch(ctx, o.Out, srv, sh)
}

// shutdown closes the shop first, so that its last telemetry has where to go.
func shutdown(o Options, say func(string, ...any), sh *shop.Shop, srv *server) error {
	say("\nclosing the shop")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := sh.Close(ctx)
	if srv == nil || srv.ended() {
		return nil // the last telemetry of an unwatched shop is no loss
	}
	say("stopping belfry; its data stays in %s", o.Dir)
	say("look at it again with: %s serve --config %s", o.Program, filepath.Join(o.Dir, "belfry.yaml"))
	return errors.Join(err, srv.stop())
}

func guide(base string, o Options) string {
	return fmt.Sprintf(`  web app       %[1]s/
  the inbox     %[1]s/inbox     what the person on call has received
  OTLP          %[2]s (gRPC), %[3]s (HTTP): send your own service's telemetry, too
  Grafana       Prometheus and Loki at %[1]s, Tempo at %[1]s/tempo,
                Jaeger at %[1]s/jaeger, Alertmanager at %[1]s/alertmanager
  log           %[4]s

Half a minute from now payments begin to fail, and Ada is paged; if she does not
acknowledge within a minute, Grace is. Later the catalog gets slow and an
article sells out. Ctrl-C stops everything.
`, base, o.GRPC, o.HTTP, filepath.Join(o.Dir, "belfry.log"))
}

func freshDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: the demo wants a fresh folder", dir)
	}
	return os.MkdirAll(filepath.Join(dir, "rules"), 0o750)
}

// writeFiles writes the configuration and the rule files.
func writeFiles(o Options, scrape string) error {
	tmpl, err := template.ParseFS(files, "files/belfry.yaml.tmpl")
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(o.Dir, "belfry.yaml"))
	if err != nil {
		return err
	}
	data, err := filepath.Abs(filepath.Join(o.Dir, "data"))
	if err != nil {
		return err
	}
	err = tmpl.Execute(f, map[string]string{
		"Listen": o.Listen, "GRPC": o.GRPC, "HTTP": o.HTTP, "DataDir": data, "Scrape": scrape,
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	rules, err := fs.Glob(files, "files/rules/*.yaml")
	if err != nil {
		return err
	}
	for _, name := range rules {
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(o.Dir, "rules", filepath.Base(name)), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
