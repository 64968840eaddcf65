package api

import (
	"context"
	"net/http"
	"net/url"
	"sync"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"belfry/internal/fault"
)

// adminHandlers are the handlers of the calls that Prometheus binds to one
// database when the server starts. They are made when a tenant first calls
// one, and the oldest go when there are many.
type adminHandlers struct {
	make func(tenant string) http.Handler

	mu       sync.Mutex
	handlers map[string]http.Handler
	order    []string
}

const maxAdminHandlers = 32

func newAdminHandlers(build func(string) http.Handler) *adminHandlers {
	return &adminHandlers{make: build, handlers: map[string]http.Handler{}}
}

func (h *adminHandlers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.get(tenantOf(r)).ServeHTTP(w, r)
}

func (h *adminHandlers) get(tenant string) http.Handler {
	h.mu.Lock()
	defer h.mu.Unlock()
	if handler, ok := h.handlers[tenant]; ok {
		return handler
	}
	if len(h.order) >= maxAdminHandlers {
		delete(h.handlers, h.order[0])
		h.order = h.order[1:]
	}
	handler := h.make(tenant)
	h.handlers[tenant] = handler
	h.order = append(h.order, tenant)
	return handler
}

// deleteOnly is the administration that takes the tenant from its context,
// which only Delete has; the other calls go to adminHandlers.
type deleteOnly struct{ store Store }

var errNotShared = fault.New(fault.Internal, "call needs a tenant's own database")

func (d deleteOnly) Delete(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) error {
	return d.store.Delete(ctx, mint, maxt, ms...)
}
func (deleteOnly) CleanTombstones() error                     { return errNotShared }
func (deleteOnly) Snapshot(string, bool) error                { return errNotShared }
func (deleteOnly) Stats(string, int) (*promtsdb.Stats, error) { return nil, errNotShared }
func (deleteOnly) BlockMetas() ([]promtsdb.BlockMeta, error)  { return nil, errNotShared }
func (deleteOnly) WALReplayStatus() (promtsdb.WALReplayStatus, error) {
	return promtsdb.WALReplayStatus{}, nil
}

// orNothing makes a function that may be nil, or return nil, safe to use.
func orNothing[T any](f func(context.Context) T) func(context.Context) T {
	none, _ := any(nothing{}).(T)
	return func(ctx context.Context) T {
		if f != nil {
			if v := f(ctx); any(v) != nil {
				return v
			}
		}
		return none
	}
}

// nothing answers for the parts that are not there.
type nothing struct{}

func (nothing) RuleGroups() []*rules.Group                  { return nil }
func (nothing) AlertingRules() []*rules.AlertingRule        { return nil }
func (nothing) ScrapePools() []string                       { return []string{} }
func (nothing) TargetsActive() map[string][]*scrape.Target  { return nil }
func (nothing) TargetsDropped() map[string][]*scrape.Target { return nil }
func (nothing) TargetsDroppedCounts() map[string]int        { return nil }
func (nothing) Alertmanagers() []*url.URL                   { return nil }
func (nothing) DroppedAlertmanagers() []*url.URL            { return nil }
func (nothing) ScrapePoolConfig(pool string) (*config.ScrapeConfig, error) {
	return nil, fault.NotFoundf("unknown scrape pool %q", pool)
}
