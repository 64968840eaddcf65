package columnar

import (
	"fmt"
	"math"
	"time"
)

// RetentionRule gives some rows an age of their own.
type RetentionRule struct {
	Filter Filter
	MaxAge time.Duration // 0: they are kept for ever
}

// maxRetentionRules fits the rules and the rest into a word of bits.
const maxRetentionRules = 63

// longest returns the age at which every row is gone, 0 if there is none.
func (r *Retention) longest() time.Duration {
	age := r.MaxAge
	for _, rule := range r.Rules {
		if rule.MaxAge <= 0 || age <= 0 {
			return 0
		}
		age = max(age, rule.MaxAge)
	}
	return max(age, 0)
}

// expiryClass is the rows that one rule, or none of the rules, decides about.
type expiryClass struct {
	cond And
	age  int64
}

// expiryClasses splits all rows by the rule that counts for them, the first that
// they meet. What is kept for ever is left out; nil without rules.
func (r *Retention) expiryClasses() ([]expiryClass, error) {
	if len(r.Rules) == 0 {
		return nil, nil
	}
	if len(r.Rules) > maxRetentionRules {
		return nil, fmt.Errorf("columnar: %d retention rules, over the limit of %d", len(r.Rules), maxRetentionRules)
	}
	var out []expiryClass
	var earlier And
	add := func(cond Filter, age time.Duration) {
		if age > 0 {
			out = append(out, expiryClass{append(earlier[:len(earlier):len(earlier)], cond), int64(age)})
		}
	}
	for i, rule := range r.Rules {
		if _, err := compile(rule.Filter); err != nil {
			return nil, fmt.Errorf("columnar: retention rule %d: %w", i+1, err)
		}
		add(rule.Filter, rule.MaxAge)
		earlier = append(earlier, Not{rule.Filter})
	}
	add(nil, r.MaxAge)
	return out, nil
}

// expiry is the classes at a moment. A nil one has none.
type expiry struct {
	of  []expiryClass
	now int64
}

func (db *DB) expiryNow() *expiry {
	if len(db.expiries) == 0 {
		return nil
	}
	return &expiry{db.expiries, db.now().UnixNano()}
}

// before returns the classes whose rows are too old if they are of the time: as
// of a part's first row, those of which some may be; as of its last, those of
// which all are.
func (x *expiry) before(t int64) uint64 {
	if x == nil {
		return 0
	}
	set := uint64(0)
	for i := range x.of {
		if t < x.now-x.of[i].age {
			set |= 1 << i
		}
	}
	return set
}

// condition holds for the rows of a set of classes that are too old.
func (x *expiry) condition(set uint64) Filter {
	var any Or
	for i := range x.of {
		if set>>i&1 != 0 {
			c := And{TimeRange{math.MinInt64, x.now - x.of[i].age}}
			any = append(any, append(c, x.of[i].cond...))
		}
	}
	if len(any) == 1 {
		return any[0]
	}
	return any
}
