package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const alertConfig = `
rules:
  files: [rules.yaml]
  evaluation_interval: 1s
alertmanager:
  route:
    receiver: everything
    group_by: [team]
    group_wait: 3s
    group_interval: 5s
  receivers:
    - name: everything
      webhook_configs: [{url: "%s"}]
oncall:
  people:
    - {id: ada, methods: [{type: inbox}]}
    - {id: grace, methods: [{type: inbox}]}
  schedules:
    - id: first
      layers: [{rotation: weekly, participants: [ada]}]
escalation:
  policies:
    - name: main
      receivers: [everything]
      repeat: 1
      steps:
        - {schedules: [first], wait: 4s}
        - {people: [grace], wait: 10m}
`

const alertRules = `
groups:
  - name: metrics
    rules:
      - {alert: TooMany, expr: 'count(e2e_value) >= 100', labels: {team: shop, severity: critical}}
  - name: logs
    type: logs
    rules:
      - {alert: Refused, expr: 'sum(count_over_time({service_name="e2e-grpc"} |= "record 7 of" [5m])) > 0', labels: {team: shop, severity: critical}}
  - name: traces
    type: traces
    rules:
      - {alert: Failing, expr: '{ status = error && span.via = "grpc" } | count_over_time() > 0', labels: {team: shop, severity: critical}}
`

// webhook keeps the notifications that Alertmanager's webhook receiver sends.
type webhook struct {
	mu   sync.Mutex
	seen []notification
}

type notification struct {
	Status      string
	Receiver    string
	GroupLabels map[string]string
	Alerts      []struct {
		Status string
		Labels map[string]string
	}
}

func (n notification) firing() []string {
	var names []string
	for _, a := range n.Alerts {
		if a.Status == "firing" {
			names = append(names, a.Labels["alertname"])
		}
	}
	return names
}

func (h *webhook) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var n notification
	if json.NewDecoder(r.Body).Decode(&n) == nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.seen = append(h.seen, n)
	}
}

func (h *webhook) notifications() []notification {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]notification(nil), h.seen...)
}

// about counts the notifications about a team's group.
func (h *webhook) about(team string) int {
	n := 0
	for _, seen := range h.notifications() {
		if seen.GroupLabels["team"] == team {
			n++
		}
	}
	return n
}

type incident struct {
	ID           string
	Number       int
	Status       string
	AlertsFiring int `json:"alerts_firing"`
}

func (s *server) incidents() ([]incident, error) {
	var answer struct{ Incidents []incident }
	err := s.get("/api/belfry/v1/incidents", &answer)
	return answer.Incidents, err
}

// received returns the titles that a person has received, the oldest first.
func (s *server) received(person string) ([]string, map[string]string, error) {
	var answer struct {
		Messages []struct {
			Recipient string
			Kind      string
			Links     map[string]string
		}
	}
	if err := s.get("/api/belfry/v1/inbox", &answer); err != nil {
		return nil, nil, err
	}
	var kinds []string
	links := map[string]string{}
	for i := len(answer.Messages) - 1; i >= 0; i-- {
		if m := answer.Messages[i]; m.Recipient == person {
			kinds = append(kinds, m.Kind)
			links = m.Links
		}
	}
	return kinds, links, nil
}

// failingSpan is what the trace rule waits for.
func (x *sender) failingSpan(t *testing.T, n int) {
	t.Helper()
	now := time.Now()
	require.NoError(t, x.spans.ExportSpans(t.Context(), tracetest.SpanStubs{{
		Name:        "charge card",
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: x.traceID(100_000 + n), SpanID: trace.SpanID{9, byte(n)}, TraceFlags: trace.FlagsSampled}),
		StartTime:   now.Add(-2 * time.Second),
		EndTime:     now.Add(-time.Second),
		Attributes:  []attribute.KeyValue{attribute.String("via", x.via)},
		Status:      sdktrace.Status{Code: codes.Error, Description: "declined"},
		Resource:    x.resource(),
	}}.Snapshots()))
}

func TestRulesOnAllSignalsPagePeopleUntilSomebodyAcknowledges(t *testing.T) {
	hook := &webhook{}
	receiver := httptest.NewServer(hook)
	defer receiver.Close()
	s := newServer(t, fmt.Sprintf(alertConfig, receiver.URL))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "rules.yaml"), []byte(alertRules), 0o600))
	s.start()
	x := s.grpcSender()
	x.failingSpan(t, 1)
	x.sendAll(t, 100, time.Now())

	s.eventually("one grouped notification at the webhook", func() error {
		for _, n := range hook.notifications() {
			if len(n.firing()) == 3 {
				return nil
			}
		}
		return fmt.Errorf("notifications so far: %+v", hook.notifications())
	})
	for _, n := range hook.notifications() {
		require.Equal(t, map[string]string{"team": "shop"}, n.GroupLabels, "all three rules are one group")
	}
	var incidents []incident
	s.eventually("one incident with three alerts", func() (err error) {
		if incidents, err = s.incidents(); err == nil && (len(incidents) != 1 || incidents[0].AlertsFiring != 3) {
			err = fmt.Errorf("incidents: %+v", incidents)
		}
		return err
	})

	s.eventually("the first step: who is on call", func() error {
		kinds, _, err := s.received("ada")
		if err == nil && len(kinds) == 0 {
			err = errors.New("ada has received nothing")
		}
		return err
	})
	s.eventually("the second step, after the wait", func() error {
		kinds, _, err := s.received("grace")
		if err == nil && len(kinds) == 0 {
			err = errors.New("grace has received nothing")
		}
		return err
	})

	t.Run("who acknowledges by the link stops the escalation", func(t *testing.T) {
		_, links, err := s.received("grace")
		require.NoError(t, err)
		require.NoError(t, s.get(links["acknowledge"], nil), "the link asks before it acts")
		still, err := s.incidents()
		require.NoError(t, err)
		require.Equal(t, "triggered", still[0].Status, "opening the link has acknowledged nothing")
		require.NoError(t, s.submit(links["acknowledge"]))
		acked, err := s.incidents()
		require.NoError(t, err)
		require.Equal(t, "acknowledged", acked[0].Status)

		var history struct {
			Timeline []struct{ Kind, Actor string }
		}
		require.NoError(t, s.get("/api/belfry/v1/incidents/"+acked[0].ID, &history))
		require.Contains(t, history.Timeline, struct{ Kind, Actor string }{"acknowledged", "grace"}, "the timeline says who")
	})

	t.Run("an acknowledgement and the alerts survive a crash", func(t *testing.T) {
		before := hook.about("shop")
		s.kill()
		s.start()
		after, err := s.incidents()
		require.NoError(t, err)
		require.Equal(t, "acknowledged", after[0].Status)
		s.eventually("the alerts fire again without waiting", func() error {
			var answer struct {
				Data struct{ Alerts []struct{ State string } }
			}
			if err := s.get("/api/v1/alerts", &answer); err != nil {
				return err
			}
			if len(answer.Data.Alerts) != 3 {
				return fmt.Errorf("alerts: %+v", answer.Data.Alerts)
			}
			return nil
		})
		// Another group's first notification comes after the old group was
		// looked at again.
		require.NoError(t, s.post("/alertmanager/api/v2/alerts", `[{"labels":{"alertname":"Other","team":"other"}}]`, nil))
		s.eventually("a notification about another group", func() error {
			if hook.about("other") == 0 {
				return errors.New("none yet")
			}
			return nil
		})
		require.Equal(t, before, hook.about("shop"), "nobody is told the same again")
	})
	s.stop()
}

func TestNoSecondStepAfterAnAcknowledgement(t *testing.T) {
	receiver := httptest.NewServer(&webhook{})
	defer receiver.Close()
	s := newServer(t, strings.Replace(fmt.Sprintf(alertConfig, receiver.URL), "wait: 4s", "wait: 8s", 1))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "rules.yaml"), []byte(alertRules), 0o600))
	s.start()
	s.grpcSender().sendAll(t, 100, time.Now())
	var incidents []incident
	s.eventually("ada is paged", func() (err error) {
		kinds, _, err := s.received("ada")
		if err == nil && len(kinds) == 0 {
			err = errors.New("ada has received nothing")
		}
		return err
	})
	incidents, err := s.incidents()
	require.NoError(t, err)
	require.NoError(t, s.post("/api/belfry/v1/incidents/"+incidents[0].ID+"/acknowledge", `{"by":"ada"}`, nil))
	var acked struct {
		NextAction string `json:"next_action"`
		Status     string
	}
	require.NoError(t, s.get("/api/belfry/v1/incidents/"+incidents[0].ID, &acked))
	require.Equal(t, "acknowledged", acked.Status)
	require.Empty(t, acked.NextAction, "nothing more is due")

	// The second step was due 8 s after the first. An incident that is opened
	// now and escalates by itself shows that this time has passed.
	require.NoError(t, s.post("/alertmanager/api/v2/alerts", `[{"labels":{"alertname":"Other","team":"other","severity":"critical"}}]`, nil))
	s.eventually("grace is paged for the other incident", func() error {
		kinds, _, err := s.received("grace")
		if err == nil && len(kinds) == 0 {
			err = errors.New("grace has received nothing")
		}
		return err
	})
	kinds, _, err := s.received("grace")
	require.NoError(t, err)
	require.Equal(t, []string{"page"}, kinds, "only for the other incident")
	s.stop()
}
