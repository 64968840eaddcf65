package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logql/syntax"
	"belfry/logs/patterns"
)

func formatNanos(t int64) string { return strconv.FormatInt(t, 10) }

// Bounds of pattern finding.
const (
	patternLines   = 20_000 // entries looked at
	maxPatterns    = 300
	patternTokens  = 60  // of a line
	patternSimilar = 0.6 // of tokens that two lines of one pattern share
)

// pattern is a cluster of lines: tokens that all share, "<_>" where they differ.
type pattern struct {
	tokens []string
	counts map[int64]int64
	total  int64
	level  string
}

const wildcard = "<_>"

// Patterns are those that were found as lines came: patterns.Miner.
type Patterns interface {
	Find(ctx context.Context, q patterns.Query) ([]patterns.Found, error)
	Forget(ctx context.Context, r logs.DeleteRequest) error
}

// patterns answers with the patterns of a selector's lines and their counts. What a query
// with stages selects, or what nothing is stored of, is clustered here: the newest
// of its lines.
func (a *API) patterns(w http.ResponseWriter, r *http.Request) error {
	start, end, err := a.bounds(r)
	if err != nil {
		return err
	}
	step := defaultStep(start, end)
	if s := r.Form.Get("step"); s != "" {
		if step, err = parseStep("step", s); err != nil {
			return err
		}
	}
	step = max(step, time.Second)
	query := cmp.Or(r.Form.Get("query"), "{}")
	e, err := syntax.Parse(query)
	if err != nil {
		return err
	}
	le, ok := e.(*syntax.LogExpr)
	if !ok {
		return fault.Invalidf("only log selectors are supported here")
	}
	if a.o.Patterns != nil && len(le.Stages) == 0 {
		found, err := a.o.Patterns.Find(r.Context(), patterns.Query{
			Tenant: tenant.ID(r.Context()), Streams: le.Matchers, From: start.UnixNano(), To: end.UnixNano() + 1,
			Step: int64(step), Limit: maxPatterns,
		})
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return writeData(w, storedPatterns(found))
		}
	}
	return a.clusterNow(w, r, query, start, end, step)
}

func storedPatterns(found []patterns.Found) []patternResult {
	out := make([]patternResult, len(found))
	for i, f := range found {
		out[i] = patternResult{Pattern: f.Pattern, Level: f.Level, Samples: samplesOf(f.Counts)}
	}
	return out
}

// samplesOf turns counts by nanoseconds into samples by seconds, in order.
func samplesOf(counts map[int64]int64) [][2]int64 {
	out := make([][2]int64, 0, len(counts))
	for at, n := range counts {
		out = append(out, [2]int64{at / int64(time.Second), n})
	}
	slices.SortFunc(out, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	return out
}

// clusterNow clusters the newest entries of a query by the shape of their lines, as Drain
// does: lines of equal length in words whose first word is the same belong to
// the cluster that they share most words with.
func (a *API) clusterNow(w http.ResponseWriter, r *http.Request, query string, start, end time.Time, step time.Duration) error {
	c := clusters{byShape: map[string][]*pattern{}}
	n := 0
	_, err := a.engine.Stream(r.Context(), logql.Params{
		Tenant: tenant.ID(r.Context()), Query: query, Start: start, End: end,
	}, nil, func(e logql.Entry, _ logs.Cursor) bool {
		at := e.Time - e.Time%int64(step)
		c.add(e.Line, logs.Lookup(e.Metadata, logs.FieldDetectedLevel), at)
		n++
		return n < patternLines
	})
	if err != nil {
		return err
	}
	return writeData(w, c.result())
}

type clusters struct {
	byShape map[string][]*pattern
	all     []*pattern
}

func (c *clusters) add(line, level string, at int64) {
	tokens := tokenize(line)
	if len(tokens) == 0 {
		return
	}
	shape := strconv.Itoa(len(tokens)) + " " + tokens[0]
	var best *pattern
	bestShare := 0.0
	for _, p := range c.byShape[shape] {
		if s := share(p.tokens, tokens); s > bestShare {
			best, bestShare = p, s
		}
	}
	if best == nil || bestShare < patternSimilar {
		if len(c.all) >= 10*maxPatterns {
			return
		}
		best = &pattern{tokens: tokens, counts: map[int64]int64{}, level: level}
		c.byShape[shape] = append(c.byShape[shape], best)
		c.all = append(c.all, best)
	}
	for i, t := range tokens {
		if best.tokens[i] != t {
			best.tokens[i] = wildcard
		}
	}
	best.counts[at]++
	best.total++
}

// tokenize splits a line into words; words with a digit count as variable.
func tokenize(line string) []string {
	words := strings.Fields(line[:min(len(line), 4096)])
	words = words[:min(len(words), patternTokens)]
	for i, word := range words {
		if strings.ContainsAny(word, "0123456789") {
			if key, _, ok := strings.Cut(word, "="); ok && !strings.ContainsAny(key, "0123456789") {
				words[i] = key + "=" + wildcard
			} else {
				words[i] = wildcard
			}
		}
	}
	return words
}

func share(a, b []string) float64 {
	same := 0
	for i := range a {
		if a[i] == b[i] || a[i] == wildcard {
			same++
		}
	}
	return float64(same) / float64(len(a))
}

type patternResult struct {
	Pattern string     `json:"pattern"`
	Level   string     `json:"level,omitempty"`
	Samples [][2]int64 `json:"samples"` // seconds, count
}

func (c *clusters) result() []patternResult {
	slices.SortStableFunc(c.all, func(a, b *pattern) int { return cmp.Compare(b.total, a.total) })
	out := []patternResult{}
	for _, p := range c.all[:min(maxPatterns, len(c.all))] {
		out = append(out, patternResult{Pattern: strings.Join(p.tokens, " "), Level: p.level, Samples: samplesOf(p.counts)})
	}
	return out
}
