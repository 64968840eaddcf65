package api

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logql/extract"
	"belfry/logs/logql/syntax"
)

const (
	defaultLimit = 100
	defaultSince = time.Hour
)

// parseTime reads a time: seconds since the epoch with or without fraction,
// nanoseconds if there are more than ten digits, or RFC 3339.
func parseTime(s string) (time.Time, error) {
	if strings.Contains(s, ".") {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			whole, frac := math.Modf(f)
			return time.Unix(int64(whole), int64(math.Round(frac*1000))*int64(time.Millisecond)).UTC(), nil
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if len(strings.TrimPrefix(s, "-")) <= 10 {
			return time.Unix(n, 0).UTC(), nil
		}
		return time.Unix(0, n).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	return time.Time{}, fault.Invalidf("could not parse %q as a time: want seconds or nanoseconds since the epoch, or RFC 3339", s)
}

// parseStep reads a duration: 30s, 1h, or seconds.
func parseStep(name, s string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if f > math.MaxInt64/float64(time.Second) || f < 0 || math.IsNaN(f) {
			return 0, fault.Invalidf("cannot parse %q to a valid duration. It overflows int64", s)
		}
		return time.Duration(f * float64(time.Second)), nil
	}
	d, err := extract.ParseDuration(s)
	if err != nil {
		return 0, fault.Invalidf("%s: cannot parse %q to a valid duration", name, s)
	}
	return d, nil
}

// bounds reads start, end and since.
func (a *API) bounds(r *http.Request) (start, end time.Time, err error) {
	now := a.o.Now()
	end = now
	if s := r.Form.Get("end"); s != "" {
		if end, err = parseTime(s); err != nil {
			return start, end, err
		}
	}
	since := defaultSince
	if s := r.Form.Get("since"); s != "" {
		if since, err = parseStep("since", s); err != nil {
			return start, end, err
		}
	}
	start = end
	if end.After(now) {
		start = now
	}
	start = start.Add(-since)
	if s := r.Form.Get("start"); s != "" {
		if start, err = parseTime(s); err != nil {
			return start, end, err
		}
	}
	if end.Before(start) {
		return start, end, fault.Invalidf("end timestamp must not be before or equal to start time")
	}
	return start, end, nil
}

func intParam(r *http.Request, name string, def int) (int, error) {
	s := r.Form.Get(name)
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fault.Invalidf("%s: %q is not a number", name, s)
	}
	if n <= 0 {
		return 0, fault.Invalidf("%s must be a positive value", name)
	}
	return n, nil
}

func direction(r *http.Request) (logs.Direction, error) {
	switch s := r.Form.Get("direction"); strings.ToLower(s) {
	case "", "backward":
		return logs.Backward, nil
	case "forward":
		return logs.Forward, nil
	default:
		return 0, fault.Invalidf("invalid direction '%s'", s)
	}
}

// defaultStep makes about 250 points.
func defaultStep(start, end time.Time) time.Duration {
	seconds := math.Floor(end.Sub(start).Seconds() / 250)
	return time.Duration(max(seconds, 1)) * time.Second
}

func (a *API) rangeParams(r *http.Request) (p logql.Params, err error) {
	p.Tenant, p.Query = tenant.ID(r.Context()), r.Form.Get("query")
	if p.Start, p.End, err = a.bounds(r); err != nil {
		return p, err
	}
	if p.Limit, err = intParam(r, "limit", defaultLimit); err != nil {
		return p, err
	}
	if p.Direction, err = direction(r); err != nil {
		return p, err
	}
	p.Step = defaultStep(p.Start, p.End)
	if s := r.Form.Get("step"); s != "" {
		if p.Step, err = parseStep("step", s); err != nil {
			return p, err
		}
	}
	if s := r.Form.Get("interval"); s != "" {
		if p.Interval, err = parseStep("interval", s); err != nil {
			return p, err
		}
	}
	return p, nil
}

// selector reads a log query of which the stream matchers and what can be pushed
// to the store count; an empty one selects everything.
func selector(query string) ([]*logs.Matcher, error) {
	if query == "" {
		return nil, nil
	}
	e, err := syntax.Parse(query)
	if err != nil {
		return nil, err
	}
	if le, ok := e.(*syntax.LogExpr); ok {
		return le.Matchers, nil
	}
	return nil, fault.Invalidf("only log selectors are supported here")
}
