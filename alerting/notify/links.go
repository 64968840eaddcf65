package notify

import (
	"crypto/hmac"
	"crypto/sha256"
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

// Claim is what an acknowledge link allows: one person, one incident.
type Claim struct {
	Tenant   string `json:"t"`
	Incident string `json:"i"`
	Person   string `json:"p"`
	Expires  int64  `json:"e"` // Unix seconds
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
	return l.base + AckPath + l.Sign(Claim{tenant, incidentID, person, now.Add(l.expiry).Unix()})
}

var encoding = base64.RawURLEncoding.Strict()

// Sign returns the token of a claim.
func (l *Links) Sign(c Claim) string {
	body, _ := json.Marshal(c) // strings and a number: cannot fail
	return encoding.EncodeToString(body) + "." + encoding.EncodeToString(l.mac(body))
}

func (l *Links) mac(body []byte) []byte {
	h := hmac.New(sha256.New, l.key)
	h.Write([]byte("belfry acknowledge v1\n"))
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
	if err1 != nil || err2 != nil || !hmac.Equal(mac, l.mac(body)) {
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

func durationText(from, to time.Time) string {
	d := max(to.Sub(from).Round(time.Second), 0)
	if days := d / (24 * time.Hour); days > 0 {
		return fmt.Sprintf("%dd%s", days, d%(24*time.Hour))
	}
	return d.String()
}
