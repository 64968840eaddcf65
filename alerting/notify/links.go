package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"belfry/internal/fault"
)

// Links makes and checks the links in messages.
type Links struct {
	base   string // without a slash at the end; may be empty: no links
	key    []byte
	expiry time.Duration
}

// AckPath is the path under which the API takes acknowledge links.
const AckPath = "/api/belfry/v1/ack/"

// IncidentPath is the path of the web app's page about an incident.
const IncidentPath = "/incidents/"

// NewLinks returns links below the external URL, signed with key.
func NewLinks(externalURL string, key []byte, expiry time.Duration) *Links {
	return &Links{base: strings.TrimRight(externalURL, "/"), key: key, expiry: expiry}
}

// ChartPath is the path under which the API serves charts of incidents.
const ChartPath = "/api/belfry/v1/chart/"

// purposes keep a token for one thing from being good for another.
const (
	purposeAcknowledge = "belfry acknowledge v1\n"
	purposeChart       = "belfry chart v1\n"
	purposeReply       = "belfry reply v1\n"
)

// Claim is what an acknowledge link allows: one person, one incident, or those of
// one summary.
type Claim struct {
	Tenant   string `json:"t"`
	Incident string `json:"i"`
	Person   string `json:"p"`
	Expires  int64  `json:"e"` // Unix seconds
	Summary  string `json:"s,omitempty"`
}

// Incident returns the link to an incident's page, "" without an external URL.
func (l *Links) Incident(id string) string {
	if l.base == "" {
		return ""
	}
	return l.base + IncidentPath + url.PathEscape(id)
}

// Acknowledge returns the link with which a person acknowledges an incident, ""
// without an external URL.
func (l *Links) Acknowledge(tenant, incidentID, person string, now time.Time) string {
	if l.base == "" {
		return ""
	}
	return l.base + AckPath + l.Sign(Claim{Tenant: tenant, Incident: incidentID, Person: person, Expires: now.Add(l.expiry).Unix()})
}

// AcknowledgeSummary returns the link with which a person acknowledges the incidents
// that a summary told, "" without an external URL.
func (l *Links) AcknowledgeSummary(tenant, summary, person string, now time.Time) string {
	if l.base == "" {
		return ""
	}
	return l.base + AckPath + l.Sign(Claim{Tenant: tenant, Summary: summary, Person: person, Expires: now.Add(l.expiry).Unix()})
}

var encoding = base64.RawURLEncoding.Strict()

// Sign returns the token of a claim.
func (l *Links) Sign(c Claim) string {
	body, _ := json.Marshal(c) // strings and a number: cannot fail
	return encoding.EncodeToString(body) + "." + encoding.EncodeToString(l.mac(purposeAcknowledge, body))
}

func (l *Links) mac(purpose string, body []byte) []byte {
	h := hmac.New(sha256.New, l.key)
	h.Write([]byte(purpose))
	h.Write(body)
	return h.Sum(nil)
}

// Verify returns the claim of a token, or a Forbidden fault when its signature
// is wrong or it has expired.
func (l *Links) Verify(token string, now time.Time) (Claim, error) {
	var c Claim
	text, sig, _ := strings.Cut(token, ".")
	body, err1 := encoding.DecodeString(text)
	mac, err2 := encoding.DecodeString(sig)
	if err1 != nil || err2 != nil || !hmac.Equal(mac, l.mac(purposeAcknowledge, body)) {
		return c, fault.New(fault.Forbidden, "this link is not valid")
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return c, fault.New(fault.Forbidden, "this link is not valid")
	}
	if now.Unix() >= c.Expires {
		return c, fault.New(fault.Forbidden, "this link has expired")
	}
	return c, nil
}

// Chart returns the link to the picture of an incident's evidence, "" without an
// external URL. It does not expire: chats keep showing it.
func (l *Links) Chart(incidentID string) string {
	if l.base == "" {
		return ""
	}
	return l.base + ChartPath + l.chartToken(incidentID) + ".png"
}

func (l *Links) chartToken(incidentID string) string {
	return incidentID + "." + encoding.EncodeToString(l.mac(purposeChart, []byte(incidentID))[:16])
}

// VerifyChart returns the incident that a token of a chart's link is about, or a
// Forbidden fault.
func (l *Links) VerifyChart(token string) (incidentID string, err error) {
	incidentID, _, _ = strings.Cut(token, ".")
	if !hmac.Equal([]byte(token), []byte(l.chartToken(incidentID))) {
		return "", fault.New(fault.Forbidden, "this link is not valid")
	}
	return incidentID, nil
}

// lowercase, because mail servers may fold the case of an address.
var mailEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Reply returns the local part of the address at which somebody's answer to a page
// arrives. Who holds it is the recipient of that address.
func (l *Links) Reply(incidentID, address string) string {
	mac := l.mac(purposeReply, []byte(incidentID+"\n"+strings.ToLower(address)))
	return replyPrefix + strings.ToLower(incidentID) + mailEncoding.EncodeToString(mac[:10])
}

const (
	replyPrefix = "reply-"
	ulidLength  = 26
)

// VerifyReply returns the incident that a local part is about, and which of the
// addresses it was given to; false for one that is not a reply's or not genuine.
func (l *Links) VerifyReply(local string, addresses []string) (incidentID, address string, ok bool) {
	rest, is := strings.CutPrefix(strings.ToLower(local), replyPrefix)
	if !is || len(rest) <= ulidLength {
		return "", "", false
	}
	incidentID = strings.ToUpper(rest[:ulidLength])
	for _, a := range addresses {
		if hmac.Equal([]byte(l.Reply(incidentID, a)), []byte(replyPrefix+rest)) {
			return incidentID, a, true
		}
	}
	return "", "", false
}

// Page returns the link to a page of the web app with a query, "" without an
// external URL.
func (l *Links) Page(path string, query url.Values) string {
	if l.base == "" {
		return ""
	}
	if len(query) == 0 {
		return l.base + path
	}
	return l.base + path + "?" + query.Encode()
}

func durationText(from, to time.Time) string {
	d := max(to.Sub(from).Round(time.Second), 0)
	if days := d / (24 * time.Hour); days > 0 {
		return fmt.Sprintf("%dd%s", days, d%(24*time.Hour))
	}
	return d.String()
}
