package evidence

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/prometheus/common/model"
)

// Config is what messages contain beside the alert itself.
type Config struct {
	Off      bool           `yaml:"off"`
	LogLines int            `yaml:"log_lines"` // the newest that match; 0: none
	Timeout  model.Duration `yaml:"timeout"`   // how long a page may wait for it
	Redact   []Redaction    `yaml:"redact"`    // beside the built-in ones, in order
}

// Redaction hides parts of log lines before they are sent to anybody.
type Redaction struct {
	Pattern string `yaml:"pattern"` // RE2
	Replace string `yaml:"replace"` // with $1 for groups; empty: <redacted>
}

// DefaultConfig shows five lines and waits two seconds.
func DefaultConfig() Config { return Config{LogLines: 5, Timeout: model.Duration(2 * time.Second)} }

// The bounds of the configuration.
const (
	maxLogLines = 50
	maxTimeout  = 10 * time.Second
)

// Validate reports all faults.
func (c *Config) Validate() error {
	var errs []error
	if c.LogLines < 0 || c.LogLines > maxLogLines {
		errs = append(errs, fmt.Errorf("log_lines: must be between 0 and %d", maxLogLines))
	}
	if c.Timeout <= 0 || c.Timeout > model.Duration(maxTimeout) {
		errs = append(errs, fmt.Errorf("timeout: must be positive and at most %s", maxTimeout))
	}
	_, err := newRedactor(c.Redact)
	return errors.Join(append(errs, err)...)
}

type redactor []struct {
	pattern *regexp.Regexp
	replace string
}

const redacted = "<redacted>"

// builtIn hides what nobody wants in a chat: credentials.
var builtIn = []Redaction{
	{Pattern: `(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}`, Replace: "$1 " + redacted},
	{Pattern: `(?i)\b(password|passwd|secret|token|api[_-]?key|authorization)(["']?\s*[:=]\s*["']?)[^\s"',;&<]+`, Replace: "$1$2" + redacted},
	{Pattern: `://([^/\s:@]+):[^/\s@]+@`, Replace: "://$1:" + redacted + "@"},
}

func newRedactor(own []Redaction) (redactor, error) {
	var out redactor
	var errs []error
	add := func(at string, r Redaction) {
		re, err := regexp.Compile(r.Pattern)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s.pattern: %w", at, err))
			return
		case r.Pattern == "":
			errs = append(errs, fmt.Errorf("%s.pattern: is missing", at))
		case r.Replace == "":
			r.Replace = redacted
		}
		out = append(out, struct {
			pattern *regexp.Regexp
			replace string
		}{re, r.Replace})
	}
	for i, r := range builtIn {
		add(fmt.Sprintf("built-in[%d]", i), r)
	}
	for i, r := range own {
		add(fmt.Sprintf("redact[%d]", i), r)
	}
	return out, errors.Join(errs...)
}

func (r redactor) clean(text string) string {
	for _, rule := range r {
		text = rule.pattern.ReplaceAllString(text, rule.replace)
	}
	return text
}
