package api

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql"
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

// patterns clusters the newest entries of a query by the shape of their lines, as Drain
// does: lines of equal length in words whose first word is the same belong to
// the cluster that they share most words with.
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
	query := r.Form.Get("query")
	if query == "" {
		query = "{}"
	}
	c := clusters{byShape: map[string][]*pattern{}}
	n := 0
	_, err = a.engine.Stream(r.Context(), logql.Params{
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
		res := patternResult{Pattern: strings.Join(p.tokens, " "), Level: p.level}
		for at, n := range p.counts {
			res.Samples = append(res.Samples, [2]int64{at / int64(time.Second), n})
		}
		slices.SortFunc(res.Samples, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
		out = append(out, res)
	}
	return out
}
