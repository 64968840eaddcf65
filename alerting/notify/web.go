package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"belfry/alerting/evidence"
	"belfry/alerting/incident"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
)

// maxReply is how much of a service's answer is read.
const maxReply = 64 << 10

// post sends JSON and returns what the service said. hidden is cut from errors:
// URLs of chat services are secrets.
func (n *Notifier) post(ctx context.Context, target string, header http.Header, body any) ([]byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fault.Invalidf("encode the message: %w", err)
	}
	return n.postBytes(ctx, target, header, data)
}

func (n *Notifier) postBytes(ctx context.Context, target string, header http.Header, data []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(data))
	if err != nil {
		return nil, fault.Invalidf("the URL is not valid")
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "Belfry")
	resp, err := n.http.Do(req)
	if err != nil {
		var ue *url.Error // says the whole URL, which may be a secret
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fault.Unavailablef(0, "%s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	reply, _ := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	return reply, statusError(resp, reply)
}

// statusError says what an HTTP status means for trying again.
func statusError(resp *http.Response, reply []byte) error {
	code := resp.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	err := fmt.Errorf("%s answered %d", resp.Request.URL.Host, code)
	if said := strings.TrimSpace(string(reply)); said != "" {
		err = fmt.Errorf("%w: %s", err, incident.Clip(said, 200))
	}
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		after := min(time.Duration(max(seconds, 0))*time.Second, 5*time.Minute)
		return &fault.Error{Kind: fault.Unavailable, RetryAfter: after, Err: err}
	}
	return &fault.Error{Kind: fault.Invalid, Err: err}
}

// webhookMessage is Alertmanager's webhook payload, version 4, and more.
type webhookMessage struct {
	Version            string            `json:"version"`
	GroupKey           string            `json:"groupKey"`
	TruncatedAlerts    int               `json:"truncatedAlerts"`
	Status             string            `json:"status"`
	Receiver           string            `json:"receiver"`
	GroupLabels        map[string]string `json:"groupLabels"`
	CommonLabels       map[string]string `json:"commonLabels"`
	CommonAnnotations  map[string]string `json:"commonAnnotations"`
	ExternalURL        string            `json:"externalURL"`
	NotificationReason string            `json:"notification_reason"`
	Alerts             []webhookAlert    `json:"alerts"`

	NotificationKey string          `json:"notification_key"`
	Title           string          `json:"title"`
	Message         string          `json:"message"`
	Recipient       string          `json:"recipient"`
	Step            int             `json:"step"`
	Round           int             `json:"round"`
	Incident        webhookIncident `json:"incident"`

	Value     string             `json:"value,omitempty"`
	Threshold string             `json:"threshold,omitempty"`
	Evidence  *evidence.Evidence `json:"evidence,omitempty"`
	Links     map[string]string  `json:"links,omitempty"` // by what they lead to; chart is a picture
}

type webhookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

type webhookIncident struct {
	incident.Incident
	URL            string `json:"url,omitempty"`
	AcknowledgeURL string `json:"acknowledge_url,omitempty"`
}

func (n *Notifier) webhook(ctx context.Context, to oncall.Method, m *Message, text Text) error {
	status := incident.AlertFiring
	if m.Kind == KindResolved || m.Kind == KindSummary && m.Over() {
		status = incident.AlertResolved
	}
	body := webhookMessage{
		Version: "4", GroupKey: m.Incident.GroupKey, TruncatedAlerts: m.MoreAlerts, Status: status,
		Receiver: m.Incident.Receiver, GroupLabels: orEmpty(m.Incident.GroupLabels), CommonLabels: orEmpty(m.Incident.Labels),
		CommonAnnotations: orEmpty(m.Incident.Annotations), ExternalURL: m.ExternalURL, NotificationReason: string(m.Kind),
		Alerts: make([]webhookAlert, 0, len(m.Alerts)), NotificationKey: m.Key, Title: text.Title, Message: text.Body,
		Recipient: m.Recipient, Step: m.Step, Round: m.Round,
		Incident: webhookIncident{m.Incident, m.IncidentURL, m.AcknowledgeURL},
		Value:    m.Value(), Threshold: m.Threshold(), Evidence: m.Evidence, Links: map[string]string{},
	}
	for name, link := range map[string]string{"runbook": m.RunbookURL(), "dashboard": m.DashboardURL(), "explore": m.ExploreURL,
		"logs": m.LogsURL, "trace": m.TraceURL, "silence": m.SilenceURL, "chart": m.ChartURL} {
		if link != "" {
			body.Links[name] = link
		}
	}
	for _, a := range m.Alerts {
		body.Alerts = append(body.Alerts, webhookAlert{a.Status, orEmpty(a.Labels), orEmpty(a.Annotations),
			a.StartsAt, a.EndsAt, a.GeneratorURL, a.Fingerprint})
	}
	data, err := json.Marshal(body)
	if err != nil {
		return fault.Invalidf("encode the message: %w", err)
	}
	header := http.Header{"Idempotency-Key": {m.Key}}
	if to.Secret != "" {
		mac := hmac.New(sha256.New, []byte(to.Secret.Reveal()))
		mac.Write(data)
		header.Set("X-Belfry-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	_, err = n.postBytes(ctx, to.URL.Reveal(), header, data)
	return err
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// cut shortens text to a number of characters; chat services count those.
func cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}

// webLink returns link if it is one that a chat service would take.
func webLink(link string) string {
	if u, err := url.Parse(link); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return ""
	}
	return link
}
