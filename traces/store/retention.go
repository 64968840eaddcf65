package store

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"belfry/internal/columnar"
	"belfry/traces/traceql"
)

// RuleConfig gives some spans a retention time of their own.
type RuleConfig struct {
	Selector Selector       `yaml:"selector"`
	Time     model.Duration `yaml:"time"` // 0: they are kept for ever
}

// Selector is TraceQL: one {…} of comparisons that a single span can be held
// against.
type Selector string

func (s Selector) filter() (columnar.Filter, error) {
	f, err := traceql.ExactFilter(string(s))
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, fmt.Errorf("%q selects everything", string(s))
	}
	return exactFilter(f)
}

func (r *RetentionConfig) validate(check func(ok bool, field, problem string)) {
	check(r.Time >= 0, "retention.time", "must not be negative")
	for i := range r.Rules {
		field := fmt.Sprintf("retention.rules[%d]", i)
		check(r.Rules[i].Time >= 0, field+".time", "must not be negative")
		if _, err := r.Rules[i].Selector.filter(); err != nil {
			check(false, field+".selector", err.Error())
		}
	}
}

// engine translates the rules for the engine.
func (r *RetentionConfig) engine() (columnar.Retention, error) {
	out := columnar.Retention{MaxAge: time.Duration(r.Time), MaxBytes: uint64(r.Size)}
	for i := range r.Rules {
		f, err := r.Rules[i].Selector.filter()
		if err != nil {
			return out, err
		}
		out.Rules = append(out.Rules, columnar.RetentionRule{Filter: f, MaxAge: time.Duration(r.Rules[i].Time)})
	}
	return out, nil
}
