package rules

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func TestAlertsGoToAlertmanagersOutside(t *testing.T) {
	type received struct {
		path, user string
		alerts     []map[string]any
	}
	got := make(chan received, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var in received
		in.path = r.URL.Path
		in.user, _, _ = r.BasicAuth()
		_ = json.NewDecoder(r.Body).Decode(&in.alerts)
		got <- in
	}))
	defer server.Close()
	f, err := newForward([]string{strings.Replace(server.URL, "http://", "http://ana:pw@", 1) + "/am"}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { f.run(); close(done) }()
	// Targets are taken in the background: what comes before them is dropped.
	require.Eventually(t, func() bool { return len(f.manager.Alertmanagers()) == 1 }, 10*time.Second, time.Millisecond)
	f.send(&alert.Alert{Alert: model.Alert{
		Labels: model.LabelSet{"alertname": "A"}, Annotations: model.LabelSet{ValueAnnotation: "1"}, StartsAt: time.Unix(1, 0), EndsAt: time.Unix(2, 0),
	}}, labels.FromStrings("summary", "x"))
	in := <-got
	require.Equal(t, "/am/api/v2/alerts", in.path)
	require.Equal(t, "ana", in.user)
	require.Equal(t, map[string]any{"alertname": "A"}, in.alerts[0]["labels"])
	require.Equal(t, map[string]any{"summary": "x"}, in.alerts[0]["annotations"], "the rule's own")
	f.stop()
	<-done

	none, err := newForward(nil, nil, nil)
	require.NoError(t, err)
	none.run()
	none.send(&alert.Alert{}, labels.EmptyLabels())
	none.stop()
	c := DefaultConfig()
	c.Alertmanagers = []string{"am:9093"}
	require.ErrorContains(t, c.Validate(), "alertmanagers[0]: ")
}
