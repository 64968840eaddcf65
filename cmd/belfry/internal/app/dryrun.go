package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"belfry/alerting/escalation"
	"belfry/alerting/oncall"
	"belfry/alerting/router"
)

// DryRun says what would become of an alert: which routes it takes, whom their
// receivers tell, and what keeps it back. Nobody is told.
type DryRun struct {
	*router.Explanation
	Windows  []string       `json:"maintenance_windows"` // of the configuration, that are open and match
	Policies []PolicyDryRun `json:"policies"`            // of the routes' receivers, in their order
}

// PolicyDryRun is what an escalation policy would do if nobody acknowledged.
type PolicyDryRun struct {
	Receiver string                  `json:"receiver"`
	Policy   string                  `json:"policy"`
	Repeat   int                     `json:"repeat"`
	Steps    []escalation.StepDryRun `json:"steps"`
}

// ExplainRoute makes a dry run by a configuration file. Where server is not empty
// it is the URL of a running Belfry, which knows silences and active alerts too.
func ExplainRoute(ctx context.Context, path, server string, labels model.LabelSet, at time.Time) (*DryRun, error) {
	cfg, err := LoadConfig(path)
	if err != nil {
		return nil, err
	}
	var d DryRun
	if server == "" {
		d.Explanation, err = router.ExplainConfig(cfg.alertmanager, labels, at)
	} else {
		d.Explanation, err = explainOn(ctx, server, labels, at)
	}
	if err != nil {
		return nil, err
	}
	for i := range cfg.Maintenance.Windows {
		w := &cfg.Maintenance.Windows[i]
		if w.Silences(d.Labels, at) {
			d.Windows = append(d.Windows, w.Name)
		}
	}
	directory, err := oncall.New(cfg.OnCall)
	if err != nil {
		return nil, err
	}
	for _, r := range d.Routes {
		for _, p := range cfg.Escalation.Policies {
			if slices.Contains(p.Receivers, r.Receiver) {
				run := PolicyDryRun{Receiver: r.Receiver, Policy: p.Name, Repeat: cfg.Escalation.Repeat}
				if p.Repeat != nil {
					run.Repeat = *p.Repeat
				}
				run.Steps = cfg.Escalation.DryRun(p, directory, string(d.Labels["severity"]), at)
				d.Policies = append(d.Policies, run)
			}
		}
	}
	return &d, nil
}

// explainOn asks a running Belfry.
func explainOn(ctx context.Context, server string, labels model.LabelSet, at time.Time) (*router.Explanation, error) {
	doc, err := json.Marshal(labels)
	if err != nil {
		return nil, err
	}
	query := url.Values{"labels": {string(doc)}, "at": {at.Format(time.RFC3339)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(server, "/")+"/api/belfry/v1/route?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	var ex router.Explanation
	return &ex, json.Unmarshal(body, &ex)
}

// WriteText writes the dry run for people to read.
func (d *DryRun) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "alert %s at %s\n", d.Labels, d.At.Format(time.RFC3339))
	for _, s := range d.SilencedBy {
		fmt.Fprintf(&b, "silenced by %s (%s, by %s) until %s\n", s.ID, s.Comment, s.CreatedBy, s.EndsAt.Format(time.RFC3339))
	}
	for _, name := range d.Windows {
		fmt.Fprintf(&b, "silenced by the maintenance window %s\n", name)
	}
	for _, id := range d.InhibitedBy {
		fmt.Fprintf(&b, "inhibited by the active alert %s\n", id)
	}
	for _, r := range d.Routes {
		fmt.Fprintf(&b, "receiver %s (group %s): ", r.Receiver, r.GroupLabels)
		if r.Notifies && len(d.Windows) == 0 {
			fmt.Fprintf(&b, "%s\n", r.Why)
		} else if r.Notifies {
			fmt.Fprintf(&b, "not told: maintenance window %s\n", d.Windows[0])
		} else {
			fmt.Fprintf(&b, "not told: %s\n", r.Why)
		}
		for _, i := range r.Integrations {
			fmt.Fprintf(&b, "  tells %s\n", i)
		}
		for _, p := range d.Policies {
			if p.Receiver != r.Receiver {
				continue
			}
			fmt.Fprintf(&b, "  policy %s, gone through %d time(s) if nobody acknowledges:\n", p.Policy, p.Repeat+1)
			for i, s := range p.Steps {
				switch {
				case s.Why != "":
					fmt.Fprintf(&b, "    step %d: left out, %s\n", i+1, s.Why)
				default:
					fmt.Fprintf(&b, "    step %d after %s: %s\n", i+1, s.After, strings.Join(s.Tells, ", "))
				}
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
