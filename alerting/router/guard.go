package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/silence/silencepb"
	"github.com/prometheus/common/model"

	"belfry/internal/fault"
)

// Ways to say that a silence is meant to be as broad as it is: a parameter of the
// request, or a word in the comment, for clients that have no way to add one.
const (
	confirmParameter = "confirm"
	confirmWord      = "[confirm]"
)

// UntilResolved is the annotation, and the parameter of POST /api/v2/silences, of
// a silence that ends when what it silences is over; its value is "resolved".
const (
	UntilAnnotation = "until"
	UntilResolved   = "resolved"
)

// checkSilence looks at a silence that somebody posts before Alertmanager does.
// It returns the request with the body that Alertmanager shall see. Bodies that
// are none are Alertmanager's to refuse.
func (r *Router) checkSilence(req *http.Request) (*http.Request, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		kind := fault.Invalid
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			kind = fault.TooLarge
		}
		return nil, &fault.Error{Kind: kind, Err: err}
	}
	again := req.Clone(req.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	var s models.PostableSilence
	if json.Unmarshal(body, &s) != nil {
		return again, nil //nolint:nilerr // Alertmanager says what is wrong with it
	}
	if until := req.URL.Query().Get(UntilAnnotation); until != "" {
		if until != UntilResolved {
			return nil, fault.Invalidf("until: %q is not %q", until, UntilResolved)
		}
		if s.Annotations == nil {
			s.Annotations = models.LabelSet{}
		}
		s.Annotations[UntilAnnotation] = UntilResolved
		if body, err = json.Marshal(&s); err != nil {
			return nil, err
		}
		again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	confirmed := req.URL.Query().Get(confirmParameter) == "true" || s.Comment != nil && strings.Contains(*s.Comment, confirmWord)
	ms, invalid := matchersOf(s.Matchers)
	if confirmed || invalid != nil || r.knows(req, s.ID, ms) {
		return again, nil //nolint:nilerr // as above
	}
	return again, r.broad(ms)
}

func matchersOf(in models.Matchers) (labels.Matchers, error) {
	var out labels.Matchers
	for _, m := range in {
		if m == nil || m.Name == nil || m.Value == nil || m.IsRegex == nil {
			return nil, errors.New("incomplete")
		}
		equal := m.IsEqual == nil || *m.IsEqual
		t := map[[2]bool]labels.MatchType{
			{true, false}: labels.MatchEqual, {false, false}: labels.MatchNotEqual,
			{true, true}: labels.MatchRegexp, {false, true}: labels.MatchNotRegexp,
		}[[2]bool{equal, *m.IsRegex}]
		matcher, err := labels.NewMatcher(t, *m.Name, *m.Value)
		if err != nil {
			return nil, err
		}
		out = append(out, matcher)
	}
	return out, nil
}

// knows reports whether a silence only changes another's times or comment.
func (r *Router) knows(req *http.Request, id string, ms labels.Matchers) bool {
	if id == "" {
		return false
	}
	list, _, err := r.silences.Query(req.Context(), silence.QIDs(id))
	if err != nil || len(list) != 1 {
		return false
	}
	sets := matcherSets(list[0])
	return len(sets) == 1 && sorted(sets[0]) == sorted(ms)
}

func sorted(ms labels.Matchers) string {
	texts := make([]string, 0, len(ms))
	for _, m := range ms {
		texts = append(texts, m.String())
	}
	slices.Sort(texts)
	return strings.Join(texts, ",")
}

// broad says why matchers are too broad for a silence, if they are.
func (r *Router) broad(ms labels.Matchers) error {
	const how = "; narrow the matchers, or confirm that it is meant: add ?confirm=true to the request, or " + confirmWord + " to the comment"
	if everything(ms) {
		return fault.Invalidf("this silence matches every alert, or all but some%s", how)
	}
	limit := r.opts.Config.MaxSilencedAlerts
	if limit == 0 {
		return nil
	}
	matched, total := 0, 0
	r.eachFiring(time.Now(), func(ls model.LabelSet) {
		total++
		if ms.Matches(ls) {
			matched++
		}
	})
	if matched > limit {
		return fault.Invalidf("this silence matches %d of %d active alerts, more than the %d that routing.max_silenced_alerts lets pass%s", matched, total, limit, how)
	}
	return nil
}

// eachFiring calls f for the alerts that fire.
func (r *Router) eachFiring(now time.Time, f func(model.LabelSet)) {
	it := r.alerts.GetPending()
	defer it.Close()
	for a := range it.Next() {
		if !a.Data.ResolvedAt(now) {
			f(a.Data.Labels)
		}
	}
}

// probes are values that nothing but a pattern for everything matches.
var probes = []string{"a", "7f2c-Zq.81/_x", "über 9"} //nolint:gochecknoglobals // a constant

// everything reports whether no matcher picks alerts out: all of them are
// negative, or patterns that match any value.
func everything(ms labels.Matchers) bool {
	return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool {
		switch m.Type {
		case labels.MatchEqual:
			return m.Value != ""
		case labels.MatchRegexp:
			re, err := regexp.Compile("^(?:" + m.Value + ")$")
			return err == nil && slices.ContainsFunc(probes, func(p string) bool { return !re.MatchString(p) })
		}
		return false
	})
}

// matcherSets returns a silence's matchers: one of the sets must match.
func matcherSets(s *silencepb.Silence) []labels.Matchers {
	sets := s.MatcherSets
	if len(sets) == 0 {
		sets = []*silencepb.MatcherSet{{Matchers: s.Matchers}}
	}
	out := make([]labels.Matchers, 0, len(sets))
	for _, set := range sets {
		var ms labels.Matchers
		for _, m := range set.Matchers {
			t := map[silencepb.Matcher_Type]labels.MatchType{
				silencepb.Matcher_EQUAL: labels.MatchEqual, silencepb.Matcher_NOT_EQUAL: labels.MatchNotEqual,
				silencepb.Matcher_REGEXP: labels.MatchRegexp, silencepb.Matcher_NOT_REGEXP: labels.MatchNotRegexp,
			}[m.Type]
			if matcher, err := labels.NewMatcher(t, m.Name, m.Pattern); err == nil {
				ms = append(ms, matcher)
			}
		}
		out = append(out, ms)
	}
	return out
}

// refuse answers as Alertmanager's API does, with a JSON string, which amtool and
// Grafana show.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(fault.HTTPStatus(err))
	_ = json.NewEncoder(w).Encode(fmt.Sprint(err)) // the client went away
}
