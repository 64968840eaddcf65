package alerting_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"belfry/alerting/router"
	"belfry/alerting/rules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

// belfry is the way of an alert from rule files to the escalator, on a data
// folder that outlives it.
type belfry struct {
	t      *testing.T
	dir    string
	db     *tsdb.DB
	rules  *rules.Engine
	router *router.Router

	mu   sync.Mutex
	told []string
}

const ruleFile = `
groups:
  - name: shop
    rules:
      - alert: Errors
        expr: errors > 10
        for: 30s
        labels: {severity: page}
      - alert: Slow
        expr: latency > 1
        labels: {severity: warning}
`

const routes = `
route: {receiver: team, group_by: [severity], group_wait: 5s, group_interval: 30s, repeat_interval: 4h}
receivers: [{name: team}]
inhibit_rules: [{source_matchers: [severity=page], target_matchers: [severity=warning]}]
`

func newBelfry(t *testing.T) *belfry {
	t.Helper()
	b := &belfry{t: t, dir: t.TempDir()}
	t.Chdir(b.dir) // a group's evaluation times follow from its file's name
	require.NoError(t, os.WriteFile("rules.yaml", []byte(ruleFile), 0o600))
	db, err := tsdb.Open(filepath.Join(b.dir, "tsdb"), promslog.NewNopLogger(), nil, tsdb.DefaultOptions(), nil)
	require.NoError(t, err)
	db.DisableCompactions()
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	b.db = db
	return b
}

func (b *belfry) start() {
	b.t.Helper()
	am, err := amconfig.Load(routes)
	require.NoError(b.t, err)
	external := &url.URL{Scheme: "http", Host: "belfry.test"}
	b.router, err = router.New(router.Options{
		Config: router.DefaultConfig(), Alertmanager: am, Escalator: router.EscalatorFunc(b.notify),
		ExternalURL: external, Dir: filepath.Join(b.dir, "router"),
	})
	require.NoError(b.t, err)
	config := rules.DefaultConfig()
	config.EvaluationInterval = model.Duration(5 * time.Second)
	config.RestartGrace = model.Duration(20 * time.Second)
	config.Files = []string{"rules.yaml"}
	p := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: p})
	b.rules, err = rules.New(rules.Options{
		Config: config, Languages: map[rules.Type]rules.Language{rules.Metrics: rules.PromQL(p, engine, b.db)},
		Appendable: b.db, Queryable: b.db, Sender: b.router, ExternalURL: external, Dir: filepath.Join(b.dir, "rules"),
	})
	require.NoError(b.t, err)
	require.NoError(b.t, b.router.Start(context.Background()))
	require.NoError(b.t, b.rules.Start(context.Background()))
	b.t.Cleanup(b.stop)
}

func (b *belfry) stop() {
	b.t.Helper()
	require.NoError(b.t, b.rules.Shutdown(context.Background()))
	require.NoError(b.t, b.router.Shutdown(context.Background()))
}

func (b *belfry) notify(_ context.Context, n router.GroupNotification) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, fmt.Sprintf("%s %d firing %d resolved", n.GroupLabels["severity"], len(n.Firing()), len(n.Resolved())))
	return false, nil
}

func (b *belfry) want(lines ...string) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Equal(b.t, lines, b.told)
	b.told = nil
}

// feed writes values every 5 s for a while.
func (b *belfry) feed(d time.Duration, errs, latency float64) {
	b.t.Helper()
	for range d / (5 * time.Second) {
		app := b.db.Appender(context.Background())
		for name, v := range map[string]float64{"errors": errs, "latency": latency} {
			_, err := app.Append(0, labels.FromStrings(model.MetricNameLabel, name), time.Now().UnixMilli(), v)
			require.NoError(b.t, err)
		}
		require.NoError(b.t, app.Commit())
		pass(5 * time.Second)
	}
}

func TestAlertGoesItsWayOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBelfry(t)
		b.start()
		b.feed(time.Minute, 50, 0)
		b.want("page 1 firing 0 resolved")
		b.feed(time.Minute, 50, 5)
		b.want() // the warning is inhibited by the page

		b.stop()
		pass(10 * time.Second)
		b.start()
		b.feed(3*time.Minute, 50, 5)
		b.want() // neither told twice, nor is the warning let through while alerts come back

		b.stop()
		b.start()
		b.feed(20*time.Second, 0, 5) // the errors ended while nobody looked
		b.feed(time.Minute, 0, 5)
		b.mu.Lock()
		require.ElementsMatch(t, []string{"page 0 firing 1 resolved", "warning 1 firing 0 resolved"}, b.told)
		b.told = nil
		b.mu.Unlock()

		b.feed(2*time.Minute, 0, 0)
		b.want("warning 0 firing 1 resolved")
		b.stop()
	})
}
