package api

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/internal/fault"
)

var ackPage = template.Must(template.New("ack").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ .Heading }}</title>
<style>
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1.25rem}
h1{font-size:1.25rem}
p.quiet{opacity:.7}
button{font:inherit;font-weight:600;padding:.7rem 1.4rem;border:0;border-radius:.4rem;background:#c92a2a;color:#fff;cursor:pointer}
input{font:inherit;padding:.55rem;margin-right:.5rem}
</style></head><body>
<h1>{{ .Heading }}</h1>
{{ with .Incident }}<p>#{{ .Number }} {{ .Title }}</p><p class="quiet">Severity {{ .Severity }}, {{ .Status }}{{ if and (eq .Status "acknowledged") .AcknowledgedBy }} by {{ .AcknowledgedBy }}{{ end }}, opened {{ .OpenedAt.Format "2006-01-02 15:04:05 MST" }}</p>{{ end }}
{{ if .Ask }}<form method="post">{{ if not .Person }}<label>Your name <input name="by" maxlength="100" required></label>{{ end }}<button type="submit">Acknowledge{{ with .Person }} as {{ . }}{{ end }}</button></form>
<p class="quiet">Until you press the button nothing has happened.</p>{{ end }}
</body></html>
`))

type ackView struct {
	Heading   string
	Incident  *incident.Incident // nil for a summary's
	Incidents int                // of a summary: to acknowledge, or acknowledged now
	Person    string
	Ask       bool
}

// askAcknowledge shows what would be acknowledged. It changes nothing, because
// chat programs and mail filters open links by themselves.
func (a *API) askAcknowledge(w http.ResponseWriter, r *http.Request) {
	c, err := a.engine.AcknowledgeLink(r.PathValue("token"))
	if err != nil {
		a.answerLink(w, r, ackView{}, err)
		return
	}
	if c.Summary != "" {
		ids, err := a.engine.Summarized(r.Context(), c.Tenant, c.Summary)
		v := ackView{Heading: "Acknowledge " + incidents(len(ids)) + "?", Person: c.Person, Ask: true, Incidents: len(ids)}
		if len(ids) == 0 {
			v = ackView{Heading: "Nothing is left to acknowledge"}
		}
		a.answerLink(w, r, v, err)
		return
	}
	i, err := a.engine.Incident(r.Context(), c.Tenant, c.Incident)
	if err != nil {
		a.answerLink(w, r, ackView{}, err)
		return
	}
	v := ackView{Heading: "Acknowledge this incident?", Incident: i, Person: c.Person, Ask: true}
	if i.Status != incident.Triggered {
		v.Heading, v.Ask = "This incident is "+string(i.Status), false
	}
	a.answerLink(w, r, v, nil)
}

func incidents(n int) string {
	if n == 1 {
		return "1 incident"
	}
	return strconv.Itoa(n) + " incidents"
}

func (a *API) doAcknowledge(w http.ResponseWriter, r *http.Request) {
	c, err := a.engine.AcknowledgeLink(r.PathValue("token"))
	if err != nil {
		a.answerLink(w, r, ackView{}, err)
		return
	}
	if c.Summary != "" {
		taken, err := a.engine.AcknowledgeSummary(r.Context(), c.Tenant, c.Summary, a.acknowledgement(w, r, c))
		a.answerLink(w, r, ackView{Heading: "Acknowledged " + incidents(taken), Incidents: taken}, err)
		return
	}
	i, err := a.engine.Incident(r.Context(), c.Tenant, c.Incident)
	if err != nil {
		a.answerLink(w, r, ackView{}, err)
		return
	}
	if i.Status != incident.Triggered { // twice, or too late: nothing to do
		a.answerLink(w, r, ackView{Heading: "This incident is " + string(i.Status), Incident: i}, nil)
		return
	}
	i, err = a.engine.Do(r.Context(), c.Tenant, i.ID, a.acknowledgement(w, r, c))
	a.answerLink(w, r, ackView{Heading: "Acknowledged", Incident: i}, err)
}

// acknowledgement is by whom the link was made for, else by the name that was given.
func (a *API) acknowledgement(w http.ResponseWriter, r *http.Request, c notify.Claim) escalation.Acknowledge {
	by := c.Person
	if by == "" {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		by = a.by(r, strings.TrimSpace(r.PostFormValue("by")))
	}
	return escalation.Acknowledge{By: by, Via: "link"}
}

func (a *API) answerLink(w http.ResponseWriter, r *http.Request, v ackView, err error) {
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if v.Incident == nil {
			writeJSON(w, http.StatusOK, map[string]int{"incidents": v.Incidents})
			return
		}
		writeJSON(w, http.StatusOK, v.Incident)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	status := http.StatusOK
	if err != nil {
		status, v = fault.HTTPStatus(err), ackView{Heading: "Something went wrong; please try again"}
		if kind := fault.KindOf(err); kind != fault.Internal && kind != fault.Unavailable {
			v.Heading = sentence(err.Error())
		} else {
			a.log.Error("acknowledge link failed", "error", err)
		}
	}
	w.WriteHeader(status)
	_ = ackPage.Execute(w, v) // the client is gone
}

func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
