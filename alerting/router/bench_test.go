package router

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// BenchmarkRoute50000Alerts is 50,000 alerts in 100 groups, from Send to the
// last group's notification.
func BenchmarkRoute50000Alerts(b *testing.B) {
	c, err := amconfig.Load("route: {receiver: x, group_by: [service], group_wait: 0s}\nreceivers: [{name: x}]")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		config := DefaultConfig()
		config.StartDelay = model.Duration(500 * time.Millisecond)
		seen := make(chan int, 1<<16)
		r, err := New(Options{
			Config: config, Alertmanager: c, Dir: b.TempDir(), ExternalURL: &url.URL{Scheme: "http", Host: "x"},
			Escalator: EscalatorFunc(func(_ context.Context, n GroupNotification) (bool, error) {
				seen <- len(n.Alerts)
				return false, nil
			}),
		})
		require.NoError(b, err)
		require.NoError(b, r.Start(context.Background()))
		alerts := make([]*alert.Alert, 50_000)
		for i := range alerts {
			alerts[i] = &alert.Alert{Alert: model.Alert{
				StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour),
				Labels: model.LabelSet{
					"alertname": "A", "severity": "page", "service": model.LabelValue(fmt.Sprintf("s%d", i%100)), "instance": model.LabelValue(fmt.Sprintf("i%d", i)),
				},
				Annotations: model.LabelSet{"summary": "something is wrong with this instance"},
			}}
		}
		require.NoError(b, r.Send(context.Background(), alerts...))
		for groups := map[int]bool{}; len(groups) < 100; groups[len(groups)] = true {
			<-seen
		}
		require.NoError(b, r.Shutdown(context.Background()))
	}
}
