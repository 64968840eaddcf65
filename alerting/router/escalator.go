package router

import (
	"context"
	"net/url"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
)

// Escalator receives what every receiver's integrations receive: one call for
// each notification of an alert group that passed inhibition, silences, mute
// times and deduplication. It decides itself whether anything is bound to the
// receiver's name; nothing bound is (false, nil).
//
// Notify is called with the semantics of an Alertmanager integration:
//
//   - Returning nil is the acknowledgement: the notification is recorded and not
//     repeated until the group changes or its repeat interval has passed. Return
//     nil only after the decision is durable.
//   - An error with retry true is tried again with exponential backoff until ctx
//     is done (the group's interval, at least 10 s); then, and for retry false,
//     it is tried again at the group's next interval.
//   - At least once: after a crash between Notify's return and the next write of
//     the notification log the same notification comes again, so Notify must be
//     idempotent. (Receiver, GroupKey) names the group across restarts.
//   - Calls for different groups run concurrently; calls for one group do not,
//     and come in order.
//
// The application's ctx carries no tenant other than the router's own.
type Escalator interface {
	Notify(ctx context.Context, n GroupNotification) (retry bool, err error)
}

// EscalatorFunc makes a function an Escalator.
type EscalatorFunc func(ctx context.Context, n GroupNotification) (retry bool, err error)

// Notify calls f.
func (f EscalatorFunc) Notify(ctx context.Context, n GroupNotification) (bool, error) {
	return f(ctx, n)
}

// Status of a group or an alert, in Alertmanager's words.
const (
	StatusFiring   = "firing"
	StatusResolved = "resolved"
)

// GroupNotification is one notification about one group of alerts. The Escalator
// must not change what it refers to.
type GroupNotification struct {
	Receiver string // name in the Alertmanager configuration
	GroupKey string // identifies route and group labels; stable across restarts
	RouteID  string // the route's place in the routing tree
	Status   string // StatusFiring while at least one alert fires

	GroupLabels       model.LabelSet // what the route groups by
	CommonLabels      model.LabelSet // equal in all of Alerts
	CommonAnnotations model.LabelSet

	// Alerts are the group's alerts that are not muted, firing ones first, each
	// part in Alertmanager's order. At least one. alert.Alert's Resolved and
	// StatusAt with Time tell which is which; types.Alert is an alias of it.
	Alerts []*alert.Alert

	Reason         string        // why now: "first notification", "new alerts added", "repeat interval elapsed", …
	Time           time.Time     // when the group was flushed: the "now" of this notification
	RepeatInterval time.Duration // of the route
	ExternalURL    *url.URL      // base of links to Alertmanager's pages; a copy
}

// Firing returns the alerts that fire at n.Time.
func (n *GroupNotification) Firing() []*alert.Alert { return n.withResolved(false) }

// Resolved returns the alerts that are resolved at n.Time.
func (n *GroupNotification) Resolved() []*alert.Alert { return n.withResolved(true) }

func (n *GroupNotification) withResolved(resolved bool) []*alert.Alert {
	var out []*alert.Alert
	for _, a := range n.Alerts {
		if a.ResolvedAt(n.Time) == resolved {
			out = append(out, a)
		}
	}
	return out
}
