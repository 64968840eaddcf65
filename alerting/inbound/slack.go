package inbound

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"belfry/alerting/escalation"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
)

// maxSkew is how old a request of Slack may be, so that one that was overheard
// cannot be played again later.
const maxSkew = 5 * time.Minute

// answerTimeout leaves time within the three seconds after which Slack tells the
// person that the button failed.
const answerTimeout = 1500 * time.Millisecond

// slackPayload is what Slack posts when a button is pressed ("block_actions").
type slackPayload struct {
	Type string `json:"type"`
	User struct {
		ID       string `json:"id"`
		Name     string `json:"name"`
		Username string `json:"username"`
	} `json:"user"`
	Actions []struct {
		ID    string `json:"action_id"`
		Value string `json:"value"`
	} `json:"actions"`
	ResponseURL string `json:"response_url"`
}

// Slack takes the body of a request that Slack has signed. A nil error is answered
// with 200. The message itself changes by the incident's update.
func Slack(ctx context.Context, e *escalation.Engine, log *slog.Logger, header http.Header, body []byte) error {
	if err := verifySlack(e.Notifier().SlackSecret(), header, body, e.Now()); err != nil {
		return err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return fault.Invalidf("the body is not a form: %w", err)
	}
	var p slackPayload
	if err := json.Unmarshal([]byte(form.Get("payload")), &p); err != nil {
		return fault.Invalidf("the payload is not JSON: %w", err)
	}
	if p.Type != "block_actions" {
		return nil
	}
	name := p.User.Username
	if name == "" {
		name = p.User.Name
	}
	who := whoHas(e, func(m oncall.Method) bool {
		return m.Type == oncall.MethodSlack && p.User.ID != "" && m.Channel == p.User.ID
	}, name, "Slack")
	for _, a := range p.Actions {
		if a.Value == "" { // a button that is a link
			continue
		}
		answer, err := perform(ctx, e, press{action: a.ID, incident: a.Value, who: who, via: "slack"})
		if err != nil {
			answer = faultText(err)
			log.Warn("a button in Slack could not be obeyed", "action", a.ID, "incident", a.Value, "who", who, "error", err)
		}
		if p.ResponseURL == "" {
			continue
		}
		answerCtx, cancel := context.WithTimeout(ctx, answerTimeout)
		err = e.Notifier().SlackAnswer(answerCtx, p.ResponseURL, answer)
		cancel()
		if err != nil {
			log.Warn("who pressed a button in Slack could not be answered", "error", err)
		}
	}
	return nil
}

// verifySlack checks a request's signature (version 0, as Slack documents it).
func verifySlack(secret string, header http.Header, body []byte, now time.Time) error {
	if secret == "" {
		return fault.NotFoundf("Slack is not set up: notify.slack.signing_secret is not set")
	}
	stamp := header.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fault.New(fault.Unauthorized, "X-Slack-Request-Timestamp is missing")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > maxSkew || age < -maxSkew {
		return fault.New(fault.Unauthorized, "the request is too old")
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":"))
	mac.Write(body)
	want := "v0=" + hex.EncodeToString(mac.Sum(nil))
	if !hmac.Equal([]byte(want), []byte(strings.ToLower(header.Get("X-Slack-Signature")))) {
		return fault.New(fault.Unauthorized, "X-Slack-Signature is wrong")
	}
	return nil
}
