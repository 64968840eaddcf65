package api

import (
	"net/http"
	"slices"
	"time"

	"belfry/alerting/escalation"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
	"belfry/internal/tenant"
)

type swap struct {
	escalation.Swap
	Person  *personRef `json:"person"`
	TakenBy *personRef `json:"taken_by,omitempty"`
}

func swapOf(d *oncall.Directory, s escalation.Swap) swap {
	return swap{s, ref(d, s.Person), ref(d, s.TakenBy)}
}

func (a *API) listSwaps(r *http.Request) (any, error) {
	d := a.engine.Directory()
	if _, ok := d.Schedule(r.PathValue("id")); !ok {
		return nil, fault.NotFoundf("there is no schedule %q", r.PathValue("id"))
	}
	found, err := a.engine.Swaps(r.Context(), tenant.ID(r.Context()), r.PathValue("id"))
	out := []swap{}
	for _, s := range found {
		out = append(out, swapOf(d, s))
	}
	return map[string]any{"swaps": out}, err
}

func (a *API) offerSwap(r *http.Request) (any, error) {
	var b struct {
		Person string    `json:"person"`
		Start  time.Time `json:"start"`
		End    time.Time `json:"end"`
		Reason string    `json:"reason"`
	}
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	s, err := a.engine.OfferSwap(r.Context(), tenant.ID(r.Context()), escalation.Swap{Schedule: r.PathValue("id"), Person: b.Person,
		Start: b.Start, End: b.End, Reason: b.Reason})
	if err != nil {
		return nil, err
	}
	return swapOf(a.engine.Directory(), s), nil
}

func (a *API) takeSwap(r *http.Request) (any, error) {
	var b struct {
		Person string `json:"person"`
	}
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	s, err := a.engine.TakeSwap(r.Context(), tenant.ID(r.Context()), r.PathValue("id"), r.PathValue("swap"), b.Person)
	if err != nil {
		return nil, err
	}
	return swapOf(a.engine.Directory(), s), nil
}

func (a *API) withdrawSwap(r *http.Request) (any, error) {
	s, err := a.engine.WithdrawSwap(r.Context(), tenant.ID(r.Context()), r.PathValue("id"), r.PathValue("swap"))
	if err != nil {
		return nil, err
	}
	return swapOf(a.engine.Directory(), s), nil
}

// importCalendar takes an iCal file as the body. Another import of the same calendar
// replaces it.
func (a *API) importCalendar(r *http.Request) (any, error) {
	if kind := r.Header.Get("Content-Type"); kind == "" || kind == "application/x-www-form-urlencoded" {
		return nil, fault.Invalidf("the Content-Type must be text/calendar")
	}
	name := r.URL.Query().Get("calendar")
	if name == "" {
		name = "import"
	}
	return a.engine.Import(r.Context(), tenant.ID(r.Context()), r.PathValue("id"), name, r.Body)
}

// coverage lists the times ahead in which nobody is on call.
func (a *API) coverage(r *http.Request) (any, error) {
	from, to, err := a.span(r)
	if err != nil {
		return nil, err
	}
	if !to.After(from) || to.Sub(from) > maxShifts {
		return nil, fault.Invalidf("to must be after from, by at most %d days", int(maxShifts.Hours()/24))
	}
	type schedule struct {
		ID      string  `json:"id"`
		Name    string  `json:"name"`
		Gaps    []shift `json:"gaps"`
		Seconds float64 `json:"gap_seconds"`
		Watched bool    `json:"watched"` // a gap opens an incident
	}
	d := a.engine.Directory()
	out := []schedule{}
	for _, s := range d.Schedules() {
		overrides, err := a.engine.Overrides(r.Context(), tenant.ID(r.Context()), s.ID, from, to)
		if err != nil {
			return nil, err
		}
		v := schedule{ID: s.ID, Name: s.Name, Gaps: []shift{}, Watched: slices.Contains(a.engine.Covered(), s.ID)}
		for _, g := range s.Gaps(from, to, overrides) {
			v.Gaps = append(v.Gaps, shiftOf(d, g))
			v.Seconds += g.End.Sub(g.Start).Seconds()
		}
		out = append(out, v)
	}
	return map[string]any{"from": from, "to": to, "schedules": out}, nil
}

// personCalendar is the feed of everything that a person is on call for.
func (a *API) personCalendar(w http.ResponseWriter, r *http.Request) {
	d := a.engine.Directory()
	person, ok := d.Person(r.PathValue("id"))
	if !ok {
		a.fail(w, r, fault.NotFoundf("there is no person %q", r.PathValue("id")))
		return
	}
	now := a.engine.Now()
	today := now.Truncate(24 * time.Hour)
	feed := oncall.NewFeed(person.Name+": on call", "UTC", now)
	for _, s := range d.Schedules() {
		from, to := today.Add(-feedBack), today.Add(feedForward)
		overrides, err := a.engine.Overrides(r.Context(), tenant.ID(r.Context()), s.ID, from, to)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		for _, sh := range s.Shifts(from, to, overrides) {
			if sh.Person == person.ID {
				feed.Add(s, sh, person.Name)
			}
		}
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Content-Disposition", `inline; filename="oncall.ics"`)
	_ = feed.Write(w) // the client is gone
}
