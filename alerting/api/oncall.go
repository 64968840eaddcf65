package api

import (
	"net/http"
	"time"

	"belfry/alerting/oncall"
	"belfry/internal/fault"
	"belfry/internal/tenant"
)

type personRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func ref(d *oncall.Directory, id string) *personRef {
	if id == "" {
		return nil
	}
	name := id
	if p, ok := d.Person(id); ok {
		name = p.Name
	}
	return &personRef{ID: id, Name: name}
}

type scheduleNow struct {
	Schedule string      `json:"schedule"`
	Name     string      `json:"name"`
	TimeZone string      `json:"time_zone"`
	People   []personRef `json:"people"`
	Until    time.Time   `json:"until,omitzero"` // of the shift
	Next     *shift      `json:"next,omitempty"`
}

// lookAhead is how far the end of the present shift is looked for.
const lookAhead = 15 * 24 * time.Hour

func (a *API) onCallNow(r *http.Request) (any, error) {
	at, err := moment(r.URL.Query(), "at", a.engine.Now())
	if err != nil {
		return nil, err
	}
	d := a.engine.Directory()
	out := []scheduleNow{}
	for _, s := range d.Schedules() {
		overrides, err := a.engine.Overrides(r.Context(), tenant.ID(r.Context()), s.ID, at, at.Add(lookAhead))
		if err != nil {
			return nil, err
		}
		now := scheduleNow{Schedule: s.ID, Name: s.Name, TimeZone: s.Location.String(), People: []personRef{}}
		shifts := s.Shifts(at, at.Add(lookAhead), overrides)
		if p := ref(d, shifts[0].Person); p != nil {
			now.People = append(now.People, *p)
		}
		if len(shifts) > 1 {
			next := shiftOf(d, shifts[1])
			now.Until, now.Next = next.Start, &next
		}
		out = append(out, now)
	}
	return map[string]any{"at": at, "schedules": out}, nil
}

type contactMethod struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// methods leaves out addresses: whoever may read the API need not know them.
func methods(in []oncall.Method) []contactMethod {
	out := []contactMethod{}
	for _, m := range in {
		out = append(out, contactMethod{m.Label(), m.Type})
	}
	return out
}

func (a *API) listPeople(*http.Request) (any, error) {
	type rule struct {
		Methods    []string `json:"methods"`
		After      string   `json:"after"`
		Severities []string `json:"severities,omitempty"`
	}
	type person struct {
		personRef
		TimeZone string          `json:"time_zone,omitempty"`
		Methods  []contactMethod `json:"methods"`
		Rules    []rule          `json:"rules"`
	}
	out := []person{}
	for _, p := range a.engine.Directory().People() {
		v := person{personRef{p.ID, p.Name}, p.TimeZone, methods(p.Methods), []rule{}}
		for _, r := range p.Rules {
			v.Rules = append(v.Rules, rule{r.Methods, r.After.String(), r.Severities})
		}
		out = append(out, v)
	}
	return map[string]any{"people": out}, nil
}

func (a *API) listTeams(*http.Request) (any, error) {
	type team struct {
		ID      string       `json:"id"`
		Name    string       `json:"name"`
		Members []*personRef `json:"members"`
	}
	d := a.engine.Directory()
	out := []team{}
	for _, t := range d.Teams() {
		v := team{ID: t.ID, Name: t.Name}
		for _, m := range t.Members {
			v.Members = append(v.Members, ref(d, m))
		}
		out = append(out, v)
	}
	return map[string]any{"teams": out}, nil
}

func (a *API) listSchedules(*http.Request) (any, error) {
	type layer struct {
		Name         string       `json:"name"`
		Participants []*personRef `json:"participants"`
		ShiftLength  string       `json:"shift_length"`
	}
	type schedule struct {
		ID       string  `json:"id"`
		Name     string  `json:"name"`
		TimeZone string  `json:"time_zone"`
		Layers   []layer `json:"layers"`
		// HandoverNotice is how long before a shift people are told, empty where not.
		HandoverNotice string `json:"handover_notice,omitempty"`
		Calendars      int    `json:"calendars,omitempty"` // feeds that are followed
	}
	d := a.engine.Directory()
	out := []schedule{}
	for _, s := range d.Schedules() {
		v := schedule{ID: s.ID, Name: s.Name, TimeZone: s.Location.String(), Layers: []layer{}, Calendars: len(s.Calendars)}
		if s.HandoverNotice > 0 {
			v.HandoverNotice = s.HandoverNotice.String()
		}
		for _, l := range s.Layers {
			lv := layer{Name: l.Name, ShiftLength: l.Length.String()}
			for _, p := range l.Participants {
				lv.Participants = append(lv.Participants, ref(d, p))
			}
			v.Layers = append(v.Layers, lv)
		}
		out = append(out, v)
	}
	return map[string]any{"schedules": out}, nil
}

type shift struct {
	Start    time.Time  `json:"start"`
	End      time.Time  `json:"end"`
	Person   *personRef `json:"person"` // null: a gap
	Layer    string     `json:"layer,omitempty"`
	Override string     `json:"override,omitempty"`
}

func shiftOf(d *oncall.Directory, s oncall.Shift) shift {
	return shift{s.Start.UTC(), s.End.UTC(), ref(d, s.Person), s.Source.Layer, s.Source.Override}
}

// The range of shifts that is shown, and at most.
const (
	defaultShifts = 14 * 24 * time.Hour
	maxShifts     = 400 * 24 * time.Hour
)

func (a *API) shifts(r *http.Request, from, to time.Time) (*oncall.Schedule, []oncall.Shift, error) {
	s, ok := a.engine.Directory().Schedule(r.PathValue("id"))
	if !ok {
		return nil, nil, fault.NotFoundf("there is no schedule %q", r.PathValue("id"))
	}
	if !to.After(from) || to.Sub(from) > maxShifts {
		return nil, nil, fault.Invalidf("to must be after from, by at most %d days", int(maxShifts.Hours()/24))
	}
	overrides, err := a.engine.Overrides(r.Context(), tenant.ID(r.Context()), s.ID, from, to)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Shifts(from, to, overrides), nil
}

func (a *API) span(r *http.Request) (from, to time.Time, err error) {
	q := r.URL.Query()
	if from, err = moment(q, "from", a.engine.Now()); err != nil {
		return from, to, err
	}
	to, err = moment(q, "to", from.Add(defaultShifts))
	return from, to, err
}

func (a *API) listShifts(r *http.Request) (any, error) {
	from, to, err := a.span(r)
	if err != nil {
		return nil, err
	}
	_, found, err := a.shifts(r, from, to)
	if err != nil {
		return nil, err
	}
	d := a.engine.Directory()
	out := []shift{}
	gaps := 0
	for _, s := range found {
		if s.Person == "" {
			gaps++
		}
		out = append(out, shiftOf(d, s))
	}
	return map[string]any{"from": from, "to": to, "shifts": out, "gaps": gaps}, nil
}

// The feed reaches back and forth by this much.
const (
	feedBack    = 30 * 24 * time.Hour
	feedForward = 180 * 24 * time.Hour
)

func (a *API) calendar(w http.ResponseWriter, r *http.Request) {
	now := a.engine.Now()
	today := now.Truncate(24 * time.Hour) // the cut shifts at the ends change once a day only
	s, found, err := a.shifts(r, today.Add(-feedBack), today.Add(feedForward))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	d := a.engine.Directory()
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Content-Disposition", `inline; filename="oncall.ics"`)
	_ = s.WriteICal(w, found, func(id string) string { return ref(d, id).Name }, now) // the client is gone
}

type override struct {
	ID        string     `json:"id"`
	Person    *personRef `json:"person"`
	Replaces  *personRef `json:"replaces,omitempty"`
	Start     time.Time  `json:"start"`
	End       time.Time  `json:"end"`
	Reason    string     `json:"reason,omitempty"`
	CreatedBy string     `json:"created_by,omitempty"`
	CreatedAt time.Time  `json:"created_at,omitzero"`
	Calendar  string     `json:"calendar,omitempty"` // that it was imported from
}

func overrideOf(d *oncall.Directory, o oncall.Override) override {
	return override{o.ID, ref(d, o.Person), ref(d, o.Replaces), o.Start, o.End, o.Reason, o.CreatedBy, o.CreatedAt, o.Calendar}
}

func (a *API) listOverrides(r *http.Request) (any, error) {
	from, to, err := a.span(r)
	if err != nil {
		return nil, err
	}
	d := a.engine.Directory()
	s, ok := d.Schedule(r.PathValue("id"))
	if !ok {
		return nil, fault.NotFoundf("there is no schedule %q", r.PathValue("id"))
	}
	found, err := a.engine.Overrides(r.Context(), tenant.ID(r.Context()), s.ID, from, to)
	out := []override{}
	for _, o := range found {
		out = append(out, overrideOf(d, o))
	}
	return map[string]any{"overrides": out}, err
}

func (a *API) addOverride(r *http.Request) (any, error) {
	var b struct {
		By       string    `json:"by"`
		Person   string    `json:"person"`
		Replaces string    `json:"replaces"`
		Start    time.Time `json:"start"`
		End      time.Time `json:"end"`
		Reason   string    `json:"reason"`
	}
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	o, err := a.engine.AddOverride(r.Context(), tenant.ID(r.Context()), oncall.Override{Schedule: r.PathValue("id"), Person: b.Person,
		Replaces: b.Replaces, Start: b.Start, End: b.End, Reason: b.Reason, CreatedBy: a.by(r, b.By)})
	if err != nil {
		return nil, err
	}
	return overrideOf(a.engine.Directory(), o), nil
}

func (a *API) removeOverride(r *http.Request) (any, error) {
	err := a.engine.RemoveOverride(r.Context(), tenant.ID(r.Context()), r.PathValue("id"), r.PathValue("override"))
	return struct{}{}, err
}

func (a *API) listPolicies(*http.Request) (any, error) {
	type step struct {
		Schedules  []string `json:"schedules,omitempty"`
		People     []string `json:"people,omitempty"`
		Teams      []string `json:"teams,omitempty"`
		Channels   []string `json:"channels,omitempty"`
		Webhooks   []string `json:"webhooks,omitempty"`
		RoundRobin bool     `json:"round_robin,omitempty"`
		Severities []string `json:"severities,omitempty"`
		Hours      string   `json:"hours,omitempty"` // in words
		Wait       string   `json:"wait"`
	}
	type policy struct {
		Name       string   `json:"name"`
		Receivers  []string `json:"receivers"`
		Repeat     int      `json:"repeat"`
		AckTimeout string   `json:"ack_timeout,omitempty"`
		Steps      []step   `json:"steps"`
	}
	out := []policy{}
	for _, p := range a.engine.Policies() {
		v := policy{Name: p.Name, Receivers: append([]string{}, p.Receivers...), Repeat: p.Repeat, Steps: []step{}}
		if p.AckTimeout > 0 {
			v.AckTimeout = p.AckTimeout.String()
		}
		for _, s := range p.Steps {
			one := step{s.Schedules, s.People, s.Teams, s.Channels, s.Webhooks, s.RoundRobin, s.Severities, s.Hours.String(), s.Wait.String()}
			if one.Hours == "always" {
				one.Hours = ""
			}
			v.Steps = append(v.Steps, one)
		}
		out = append(out, v)
	}
	return map[string]any{"policies": out, "channels": methods(a.engine.Channels())}, nil
}
