package tsdb

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/storage"
)

// Reason says why a sample was refused. It is the value of the label "reason"
// in metrics and part of the text that senders see.
type Reason string

// The reasons.
const (
	OutOfOrder       Reason = "out_of_order"
	TooOld           Reason = "too_old"
	TooFarInFuture   Reason = "too_far_in_future"
	Duplicate        Reason = "duplicate_timestamp"
	InvalidLabels    Reason = "invalid_labels"
	InvalidHistogram Reason = "invalid_histogram"
	TooManyLabels    Reason = "too_many_labels"
	LabelTooLong     Reason = "label_too_long"
	SeriesLimit      Reason = "series_limit"
	Untranslatable   Reason = "untranslatable"
	ExemplarLost     Reason = "exemplar_lost"
)

// Rejection is the error of one sample that a store refuses by its own rules.
type Rejection struct { //nolint:errname // what it says, not that it failed
	Reason Reason
	Err    error
}

// Rejectf returns a Rejection.
func Rejectf(reason Reason, format string, args ...any) error {
	return &Rejection{Reason: reason, Err: fmt.Errorf(format, args...)}
}

func (r *Rejection) Error() string { return r.Err.Error() }

// Is makes a Rejection look like an out-of-bounds sample to Prometheus' scrape
// loop and rule manager, which then skip the sample and go on; any other error
// would cost the whole scrape.
func (r *Rejection) Is(target error) bool { return target == storage.ErrOutOfBounds }

// Unwrap returns the cause.
func (r *Rejection) Unwrap() error { return r.Err }

// Rejected returns why err refuses a single sample, and false for an error that
// says something about the whole append.
func Rejected(err error) (Reason, bool) {
	var rejection *Rejection
	var bad histogram.Error
	switch {
	case err == nil:
		return "", false
	case errors.As(err, &rejection):
		return rejection.Reason, true
	case errors.Is(err, storage.ErrOutOfOrderSample):
		return OutOfOrder, true
	case errors.Is(err, storage.ErrTooOldSample), errors.Is(err, storage.ErrOutOfBounds):
		return TooOld, true
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return Duplicate, true
	case errors.As(err, &bad):
		return InvalidHistogram, true
	}
	return "", false
}

// maxExamples bounds how many distinct causes Tally describes in words.
const maxExamples = 3

// Tally counts rejected samples by reason and keeps one example of each. The
// zero value is ready for use; it is not safe for concurrent use.
type Tally struct {
	counts   map[Reason]int
	examples map[Reason]string
	total    int
}

// Add counts n samples that were refused with err.
func (t *Tally) Add(reason Reason, n int, err error) {
	if t.counts == nil {
		t.counts, t.examples = map[Reason]int{}, map[Reason]string{}
	}
	if _, seen := t.counts[reason]; !seen && err != nil {
		t.examples[reason] = err.Error()
	}
	t.counts[reason] += n
	t.total += n
}

// Total returns the number of refused samples.
func (t *Tally) Total() int { return t.total }

// Count returns the number of samples refused for reason.
func (t *Tally) Count(reason Reason) int { return t.counts[reason] }

// String describes the most common reasons, each with its number and the first
// error: "2 out_of_order (out of order sample), 1 too_old (too old sample)".
func (t *Tally) String() string {
	reasons := make([]Reason, 0, len(t.counts))
	for r := range t.counts {
		reasons = append(reasons, r)
	}
	slices.SortFunc(reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(t.counts[b], t.counts[a]), cmp.Compare(a, b))
	})
	var b strings.Builder
	for i, r := range reasons {
		if i == maxExamples {
			fmt.Fprintf(&b, " and %d more reasons", len(reasons)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d %s", t.counts[r], r)
		if ex := t.examples[r]; ex != "" {
			fmt.Fprintf(&b, " (%s)", ex)
		}
	}
	return b.String()
}

// All iterates over the reasons and their numbers, in no order.
func (t *Tally) All() iter.Seq2[Reason, int] { return maps.All(t.counts) }
