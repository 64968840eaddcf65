package e2e

import (
	"fmt"
	"strconv"
	"time"
)

// promNumbers returns the "number" labels of the series of e2e_value that a
// service sent, as an instant query sees them.
func (s *server) promNumbers(service string, at time.Time) (map[int]bool, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	err := s.get("/api/v1/query", &answer, "query", fmt.Sprintf(`e2e_value{service_name=%q}`, service), "time", strconv.FormatInt(at.Unix()+1, 10))
	numbers := map[int]bool{}
	for _, r := range answer.Data.Result {
		n, convErr := strconv.Atoi(r.Metric["number"])
		if convErr != nil || fmt.Sprint(r.Value[1]) != r.Metric["number"] {
			return nil, fmt.Errorf("series %v has value %v", r.Metric, r.Value)
		}
		numbers[n] = true
	}
	return numbers, err
}

// lokiNumbers returns the numbers in the lines that a service logged, paging as
// Grafana does.
func (s *server) lokiNumbers(service string, from, to time.Time) (map[int]bool, error) {
	numbers := map[int]bool{}
	end := to
	for {
		var answer struct {
			Data struct {
				Result []struct {
					Stream map[string]string
					Values [][2]string
				}
			}
		}
		err := s.get("/loki/api/v1/query_range", &answer, "query", fmt.Sprintf(`{service_name=%q}`, service),
			"start", strconv.FormatInt(from.UnixNano(), 10), "end", strconv.FormatInt(end.UnixNano(), 10), "limit", "700", "direction", "backward")
		if err != nil {
			return nil, err
		}
		got, oldest := 0, end.UnixNano()
		for _, stream := range answer.Data.Result {
			for _, v := range stream.Values {
				var n int
				if _, err := fmt.Sscanf(v[1], "record %d of e2e", &n); err != nil {
					return nil, fmt.Errorf("line %q: %w", v[1], err)
				}
				ts, err := strconv.ParseInt(v[0], 10, 64)
				if err != nil {
					return nil, err
				}
				numbers[n] = true
				oldest = min(oldest, ts)
				got++
			}
		}
		if got == 0 {
			return numbers, nil
		}
		end = time.Unix(0, oldest)
	}
}

// tempoHas reports whether the trace of a number is found by its ID.
func (s *server) tempoHas(x *sender, number int) error {
	var answer struct {
		Batches []struct {
			ScopeSpans []struct {
				Spans []struct {
					Attributes []struct {
						Key   string
						Value struct{ IntValue any }
					}
				}
			}
		}
	}
	if err := s.get("/tempo/api/traces/"+x.traceID(number).String(), &answer); err != nil {
		return err
	}
	for _, b := range answer.Batches {
		for _, scope := range b.ScopeSpans {
			for _, span := range scope.Spans {
				for _, a := range span.Attributes {
					if a.Key == "e2e.number" && fmt.Sprint(a.Value.IntValue) == strconv.Itoa(number) {
						return nil
					}
				}
			}
		}
	}
	return fmt.Errorf("trace %s has no span number %d", x.traceID(number), number)
}

// jaegerNumbers returns the numbers of the spans that a search for a service
// finds.
func (s *server) jaegerNumbers(service string, from, to time.Time) (map[int]bool, error) {
	var answer struct {
		Data []struct {
			Spans []struct {
				Tags []struct {
					Key   string
					Value any
				}
			}
		}
	}
	err := s.get("/jaeger/api/traces", &answer, "service", service, "limit", "5000",
		"start", strconv.FormatInt(from.UnixMicro(), 10), "end", strconv.FormatInt(to.UnixMicro(), 10))
	numbers := map[int]bool{}
	for _, t := range answer.Data {
		for _, span := range t.Spans {
			for _, tag := range span.Tags {
				if n, ok := tag.Value.(float64); ok && tag.Key == "e2e.number" {
					numbers[int(n)] = true
				}
			}
		}
	}
	return numbers, err
}
