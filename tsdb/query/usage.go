package query

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"belfry/internal/tenant"
)

// Bounds of what is remembered of each tenant's queries.
const (
	maxUsedTexts    = 2000
	maxUsedText     = 2048 // bytes of a query that is remembered as a whole
	maxUsedNames    = 50_000
	maxUsedName     = 1024 // bytes
	maxUsedMatchers = 200
	maxUsedTenants  = 1000
)

// Usage remembers which metrics queries ask for, rules' among them, so that
// those that nobody ever looks at can be found. It is safe for concurrent use.
type Usage struct {
	parser parser.Parser
	now    func() time.Time
	since  time.Time

	mu      sync.Mutex
	tenants map[string]*tenantUsage
}

type tenantUsage struct {
	texts    map[string]time.Time // queries seen, and when last
	names    map[string]time.Time // metrics named by them
	matchers []usedMatcher        // selectors that name none
	full     bool                 // there was more than could be remembered
}

type usedMatcher struct {
	m  *labels.Matcher
	at time.Time
}

// NewUsage returns a record that begins now.
func NewUsage(now func() time.Time) *Usage {
	return &Usage{parser: NewParser(), now: now, since: now(), tenants: map[string]*tenantUsage{}}
}

// Since is when the record begins.
func (u *Usage) Since() time.Time { return u.since }

// Record remembers a query of the tenant in ctx.
func (u *Usage) Record(ctx context.Context, text string) {
	id, now := tenant.ID(ctx), u.now()
	u.mu.Lock()
	t := u.tenants[id]
	if t == nil && len(u.tenants) < maxUsedTenants {
		t = &tenantUsage{texts: map[string]time.Time{}, names: map[string]time.Time{}}
		u.tenants[id] = t
	}
	if t == nil {
		u.mu.Unlock()
		return
	}
	last, known := t.texts[text]
	u.mu.Unlock()
	if known && now.Sub(last) < time.Minute {
		return // repeated by a dashboard or a rule
	}
	expr, err := u.parser.ParseExpr(text)
	if err != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(t.texts) >= maxUsedTexts {
		clear(t.texts) // it saves parsing, no more
	}
	if len(text) <= maxUsedText {
		t.texts[text] = now
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			t.record(s, now)
		}
		return nil
	})
}

func (t *tenantUsage) record(s *parser.VectorSelector, now time.Time) {
	named := false
	for _, m := range s.LabelMatchers {
		if m.Name != model.MetricNameLabel || len(m.Value) > maxUsedName {
			continue
		}
		named = true
		if m.Type == labels.MatchEqual {
			if _, known := t.names[m.Value]; known || len(t.names) < maxUsedNames {
				t.names[m.Value] = now
			} else {
				t.full = true
			}
			continue
		}
		t.recordMatcher(m, now)
	}
	if !named { // any metric
		t.recordMatcher(labels.MustNewMatcher(labels.MatchNotEqual, model.MetricNameLabel, ""), now)
	}
}

func (t *tenantUsage) recordMatcher(m *labels.Matcher, now time.Time) {
	for i, known := range t.matchers {
		if known.m.Type == m.Type && known.m.Value == m.Value {
			t.matchers[i].at = now
			return
		}
	}
	if len(t.matchers) < maxUsedMatchers {
		t.matchers = append(t.matchers, usedMatcher{m, now})
	} else {
		t.full = true
	}
}

// LastUsed returns, for those of the names that a query has asked for, when that
// was last. It returns false if more was asked for than could be remembered, so
// that what is missing may have been used.
func (u *Usage) LastUsed(ctx context.Context, names []string) (map[string]time.Time, bool) {
	u.mu.Lock()
	t := u.tenants[tenant.ID(ctx)]
	if t == nil {
		u.mu.Unlock()
		return map[string]time.Time{}, true
	}
	used, matchers, complete := maps.Clone(t.names), slices.Clone(t.matchers), !t.full
	u.mu.Unlock()
	out := map[string]time.Time{}
	for _, name := range names {
		at := used[name]
		for _, m := range matchers {
			if m.at.After(at) && m.m.Matches(name) {
				at = m.at
			}
		}
		if !at.IsZero() {
			out[name] = at
		}
	}
	return out, complete
}
