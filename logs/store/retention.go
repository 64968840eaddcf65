package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"belfry/internal/columnar"
	"belfry/logs"
	"belfry/logs/logql/pushdown"

	"github.com/prometheus/common/model"
)

// RuleConfig gives some records a retention time of their own.
type RuleConfig struct {
	Selector Selector       `yaml:"selector"`
	Time     model.Duration `yaml:"time"` // 0: they are kept for ever
}

// Selector is a log query of stream matchers, line filters and label filters on text.
type Selector string

func (s Selector) check() error {
	ms, filter, err := pushdown.Selection(string(s))
	if err == nil && len(ms) == 0 && filter == nil {
		err = fmt.Errorf("%q selects everything", string(s))
	}
	return err
}

func (r *RetentionConfig) validate(check func(ok bool, field, problem string)) {
	check(r.Time >= 0, "retention.time", "must not be negative")
	for i := range r.Rules {
		field := fmt.Sprintf("retention.rules[%d]", i)
		check(r.Rules[i].Time >= 0, field+".time", "must not be negative")
		if err := r.Rules[i].Selector.check(); err != nil {
			check(false, field+".selector", err.Error())
		}
	}
}

// engine translates the rules for the engine.
func (r *RetentionConfig) engine() (columnar.Retention, error) {
	out := columnar.Retention{MaxAge: time.Duration(r.Time), MaxBytes: uint64(r.Size)}
	for i := range r.Rules {
		ms, filter, err := pushdown.Selection(string(r.Rules[i].Selector))
		if err != nil {
			return out, err
		}
		q, err := anyNames().query(context.Background(), &logs.Query{Streams: ms, Filter: filter})
		if err != nil {
			return out, err
		}
		out.Rules = append(out.Rules, columnar.RetentionRule{Filter: q.Filter, MaxAge: time.Duration(r.Rules[i].Time)})
	}
	return out, nil
}

// maxGuessed is how many underscores of a name may each have been a dot.
const maxGuessed = 4

// anyNames finds what may hold the metadata of a name where no store can be
// asked, now and in future: an underscore stands for itself or for a dot.
func anyNames() *names {
	return &names{guess: func(name string) []columnar.Ref {
		columns := originals(name)
		if slices.ContainsFunc(fixedColumns(), func(c columnar.ColumnDef) bool { return c.Name == fixedPrefix+name }) {
			columns = append(columns, fixedPrefix+name)
		}
		slices.SortFunc(columns, comparePrecedence)
		var refs []columnar.Ref
		for _, c := range columns {
			refs = append(refs, columnar.RowRef(c))
		}
		for _, prefix := range [...]string{prefixName, prefixResource, prefixScope} {
			for _, original := range originals(name) {
				refs = append(refs, columnar.StreamRef(prefix+original))
			}
		}
		return refs
	}}
}

// originals returns the attribute names that a label name may stand for.
func originals(name string) []string {
	n := strings.Count(name, "_")
	if n > maxGuessed {
		return []string{name, strings.ReplaceAll(name, "_", ".")}
	}
	var out []string
	for set := range 1 << n {
		b, at := []byte(name), 0
		for i := range b {
			if b[i] == '_' {
				if set>>at&1 == 1 {
					b[i] = '.'
				}
				at++
			}
		}
		out = append(out, string(b))
	}
	return out
}
