package rules

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/client_golang/prometheus"
	httpconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/notifier"
)

// forward sends alerts to Alertmanagers outside, beside the one within, as
// Prometheus does and with its own notifier: in batches, from a bounded queue for
// each of them. What does not get through comes again, as firing alerts do. A nil
// forward sends nothing.
type forward struct {
	manager *notifier.Manager
	targets chan map[string][]*targetgroup.Group
}

const (
	forwardQueue   = 10_000
	forwardTimeout = 10 * time.Second
)

// newForward returns nil where there are no URLs.
func newForward(urls []string, logger *slog.Logger, reg prometheus.Registerer) (*forward, error) {
	if len(urls) == 0 {
		return nil, nil
	}
	c := config.Config{GlobalConfig: config.DefaultGlobalConfig}
	groups := map[string][]*targetgroup.Group{}
	for i, text := range urls {
		u, err := parseAlertmanager(text)
		if err != nil {
			return nil, err
		}
		client := httpconfig.DefaultHTTPClientConfig
		if password, ok := u.User.Password(); ok {
			client.BasicAuth = &httpconfig.BasicAuth{Username: u.User.Username(), Password: httpconfig.Secret(password)}
		}
		c.AlertingConfig.AlertmanagerConfigs = append(c.AlertingConfig.AlertmanagerConfigs, &config.AlertmanagerConfig{
			Scheme: u.Scheme, PathPrefix: u.Path, Timeout: model.Duration(forwardTimeout), APIVersion: config.AlertmanagerAPIVersionV2, HTTPClientConfig: client,
		})
		groups[fmt.Sprintf("config-%d", i)] = []*targetgroup.Group{{
			Source: u.Host, Targets: []model.LabelSet{{model.AddressLabel: model.LabelValue(u.Host)}},
		}}
	}
	f := &forward{targets: make(chan map[string][]*targetgroup.Group, 1)}
	f.manager = notifier.NewManager(&notifier.Options{QueueCapacity: forwardQueue, DrainOnShutdown: true, Registerer: reg}, model.UTF8Validation, logger)
	if err := f.manager.ApplyConfig(&c); err != nil {
		return nil, err
	}
	f.targets <- groups
	return f, nil
}

func parseAlertmanager(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("want an http or https URL")
	}
	return u, nil
}

func (f *forward) run() {
	if f != nil {
		f.manager.Run(f.targets)
	}
}

func (f *forward) stop() {
	if f != nil {
		f.manager.Stop()
	}
}

// send queues an alert; annotations are the rule's own.
func (f *forward) send(a *alert.Alert, annotations labels.Labels) {
	if f == nil {
		return
	}
	ls := labels.NewBuilder(labels.EmptyLabels())
	for name, value := range a.Labels {
		ls.Set(string(name), string(value))
	}
	f.manager.Send(&notifier.Alert{
		Labels: ls.Labels(), Annotations: annotations, StartsAt: a.StartsAt, EndsAt: a.EndsAt, GeneratorURL: a.GeneratorURL,
	})
}
