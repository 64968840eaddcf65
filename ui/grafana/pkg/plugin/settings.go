package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/gtime"
)

// Defaults of what the settings leave open. src/settings.ts has the same.
const (
	defaultScrape    = 15 * time.Second
	defaultLines     = 100
	maxLines         = 5000
	defaultTraces    = 20
	maxTraces        = 1000
	defaultTimeShift = 5 * time.Minute
)

// Settings are the options of a data source beyond those of HTTP. All are
// optional and settable by provisioning.
type Settings struct {
	Tenant         string         `json:"tenant"`
	ScrapeInterval string         `json:"scrapeInterval"`
	MaxLines       int            `json:"maxLines"`
	TraceLimit     int            `json:"traceLimit"`
	Exemplars      *bool          `json:"exemplars"`
	NodeGraph      *bool          `json:"nodeGraph"`
	TimeShift      string         `json:"timeShift"`
	ExternalURL    string         `json:"externalUrl"`
	Targets        Targets        `json:"targets"`
	DerivedFields  []DerivedField `json:"derivedFields"`

	scrape, shift time.Duration
}

// Targets are the data sources that links lead to instead of this one.
type Targets struct {
	Metrics Target `json:"metrics"`
	Logs    Target `json:"logs"`
	Traces  Target `json:"traces"`
}

// Target is another data source. Its type decides the shape of a link's query.
type Target struct {
	UID  string `json:"uid"`
	Type string `json:"type"`
}

// DerivedField is a field that lines get, with a link.
type DerivedField struct {
	Name           string `json:"name"`
	MatcherType    string `json:"matcherType"` // label or regex
	Matcher        string `json:"matcher"`
	Title          string `json:"title"`
	URL            string `json:"url"`
	DatasourceUID  string `json:"datasourceUid"`
	DatasourceType string `json:"datasourceType"`

	pattern *regexp.Regexp
}

// readSettings fills defaults and reports every fault at once.
func readSettings(in backend.DataSourceInstanceSettings) (*Settings, error) {
	s := &Settings{}
	if len(in.JSONData) > 0 {
		if err := json.Unmarshal(in.JSONData, s); err != nil {
			return nil, fmt.Errorf("jsonData: %w", err)
		}
	}
	var faults []error
	s.scrape = duration(&faults, "scrapeInterval", s.ScrapeInterval, defaultScrape)
	s.shift = duration(&faults, "timeShift", s.TimeShift, defaultTimeShift)
	s.MaxLines = bounded(&faults, "maxLines", s.MaxLines, defaultLines, maxLines)
	s.TraceLimit = bounded(&faults, "traceLimit", s.TraceLimit, defaultTraces, maxTraces)
	if s.ExternalURL == "" {
		s.ExternalURL = in.URL
	}
	for i := range s.DerivedFields {
		if err := s.DerivedFields[i].compile(); err != nil {
			faults = append(faults, fmt.Errorf("derivedFields[%d]: %w", i, err))
		}
	}
	return s, errors.Join(faults...)
}

func (d *DerivedField) compile() error {
	if d.Name == "" || d.Matcher == "" {
		return errors.New("name and matcher are needed")
	}
	if d.Title == "" {
		d.Title = d.Name
	}
	if d.MatcherType == "label" {
		return nil
	}
	var err error
	d.pattern, err = regexp.Compile(d.Matcher)
	return err
}

func duration(faults *[]error, name, s string, otherwise time.Duration) time.Duration {
	if s == "" {
		return otherwise
	}
	d, err := gtime.ParseDuration(s)
	if err != nil || d <= 0 {
		*faults = append(*faults, fmt.Errorf("%s: %q is not a duration such as 15s", name, s))
		return otherwise
	}
	return d
}

func bounded(faults *[]error, name string, n, otherwise, limit int) int {
	switch {
	case n == 0:
		return otherwise
	case n < 0 || n > limit:
		*faults = append(*faults, fmt.Errorf("%s: %d is not between 1 and %d", name, n, limit))
		return otherwise
	}
	return n
}

// on reads an option that is on unless it is said otherwise.
func on(option *bool) bool { return option == nil || *option }
