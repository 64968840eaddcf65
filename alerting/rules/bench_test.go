package rules

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

type discardSender struct{}

func (discardSender) Send(context.Context, ...*alert.Alert) error { return nil }

// BenchmarkEvaluate10000Rules is one evaluation of 10,000 rules in 100 groups, a
// third on each signal, a tenth firing. The languages of logs and traces answer
// at once, so that what is measured is the engine and PromQL.
func BenchmarkEvaluate10000Rules(b *testing.B) {
	dir := b.TempDir()
	db, err := tsdb.Open(filepath.Join(dir, "tsdb"), promslog.NewNopLogger(), nil, tsdb.DefaultOptions(), nil)
	require.NoError(b, err)
	defer db.Close()
	fake := &fakeLanguage{}
	var file strings.Builder
	file.WriteString("groups:\n")
	app := db.Appender(context.Background())
	for g := range 100 {
		t := Types()[g%3]
		fmt.Fprintf(&file, "  - name: g%d\n    type: %s\n    rules:\n", g, t)
		for r := range 100 {
			expr := fmt.Sprintf("m%d_%d > 1", g, r)
			value := 0.0
			if r%10 == 0 {
				value = 5
				fake.answer(expr, sample(5, "service_name", "cart"))
			}
			if t == Metrics {
				_, err := app.Append(0, labels.FromStrings("__name__", fmt.Sprintf("m%d_%d", g, r), "job", "x"), time.Now().UnixMilli(), value)
				require.NoError(b, err)
			}
			fmt.Fprintf(&file, "      - {alert: A%d, expr: '%s', for: 1m, labels: {severity: page}, annotations: {summary: '{{ $labels.job }} at {{ $value }}'}}\n", r, expr)
		}
	}
	require.NoError(b, app.Commit())
	require.NoError(b, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(file.String()), 0o600))
	p := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: p})
	config := DefaultConfig()
	config.Files = []string{filepath.Join(dir, "r.yaml")}
	e, err := New(Options{
		Config: config, Languages: map[Type]Language{Metrics: PromQL(p, engine, db), Logs: fake, Traces: fake},
		Appendable: db, Queryable: db, Sender: discardSender{}, ExternalURL: &url.URL{Scheme: "http", Host: "x"},
		Dir: filepath.Join(dir, "state"),
	})
	require.NoError(b, err)
	require.NoError(b, e.Start(context.Background()))
	defer func() { require.NoError(b, e.Shutdown(context.Background())) }()
	groups := e.RuleGroups()
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Second)
		for _, g := range groups {
			e.iterate(context.Background(), g, at)
		}
	}
}
