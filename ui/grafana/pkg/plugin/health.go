package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"

	"belfry/ui/grafana/pkg/belfry"
)

// CheckHealth asks each of the three signals something small and real.
func (d *Datasource) CheckHealth(ctx context.Context, _ *backend.CheckHealthRequest) (*backend.CheckHealthResult, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	now := d.now()
	ago := now.Add(-5 * time.Minute)
	checks := []struct {
		signal string
		ask    func() error
	}{
		{"metrics", func() error { _, err := d.client.MetricsInstant(ctx, "vector(1)", now); return err }},
		{"logs", func() error {
			_, err := d.client.LogsRange(ctx, belfry.LogRange{Query: "{}", Start: ago, End: now, Limit: 1})
			return err
		}},
		{"traces", func() error {
			_, err := d.client.SearchTraces(ctx, belfry.TraceSearch{Query: "{}", Start: ago, End: now, Limit: 1, SpansPerTrace: 1})
			return err
		}},
	}
	details := map[string]string{}
	var faults []string
	for _, c := range checks {
		details[c.signal] = "OK"
		if err := c.ask(); err != nil {
			details[c.signal] = err.Error()
			faults = append(faults, fmt.Sprintf("%s: %s", c.signal, err))
		}
	}
	body, err := json.Marshal(details)
	if err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		return &backend.CheckHealthResult{Status: backend.HealthStatusError, Message: strings.Join(faults, "; "), JSONDetails: body}, nil
	}
	return &backend.CheckHealthResult{Status: backend.HealthStatusOk, Message: "Belfry answers queries of metrics, logs and traces.", JSONDetails: body}, nil
}
