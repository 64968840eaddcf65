package inbound

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"belfry/alerting/escalation"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
)

// telegramUpdate is one of Telegram's updates, as far as buttons go.
type telegramUpdate struct {
	ID       int64 `json:"update_id"`
	Callback *struct {
		ID   string `json:"id"`
		From struct {
			ID       int64  `json:"id"`
			Username string `json:"username"`
			First    string `json:"first_name"`
			Last     string `json:"last_name"`
		} `json:"from"`
		Data string `json:"data"`
	} `json:"callback_query"`
}

// Telegram takes an update that Telegram has posted.
func Telegram(ctx context.Context, e *escalation.Engine, log *slog.Logger, header http.Header, body []byte) error {
	n := e.Notifier()
	if n.TelegramUpdates() != notify.UpdatesWebhook {
		return fault.NotFoundf("Telegram is not set up: notify.telegram.updates is not webhook")
	}
	said := header.Get("X-Telegram-Bot-Api-Secret-Token")
	if subtle.ConstantTimeCompare([]byte(said), []byte(n.TelegramSecret())) != 1 {
		return fault.New(fault.Unauthorized, "X-Telegram-Bot-Api-Secret-Token is wrong")
	}
	var u telegramUpdate
	if err := json.Unmarshal(body, &u); err != nil {
		return fault.Invalidf("the body is not an update: %w", err)
	}
	takeUpdate(ctx, e, log, u)
	return nil
}

func takeUpdate(ctx context.Context, e *escalation.Engine, log *slog.Logger, u telegramUpdate) {
	c := u.Callback
	if c == nil {
		return
	}
	id := strconv.FormatInt(c.From.ID, 10)
	name := c.From.Username
	if name == "" {
		name = strings.TrimSpace(c.From.First + " " + c.From.Last)
	}
	who := whoHas(e, func(m oncall.Method) bool { return m.Type == oncall.MethodTelegram && m.ChatID == id }, name, "Telegram")
	action, incidentID, _ := strings.Cut(c.Data, ":")
	answer, err := perform(ctx, e, press{action: action, incident: incidentID, who: who, via: "telegram"})
	if err != nil {
		answer = faultText(err)
		log.Warn("a button in Telegram could not be obeyed", "action", action, "incident", incidentID, "who", who, "error", err)
	}
	if err := e.Notifier().TelegramAnswer(ctx, c.ID, answer); err != nil {
		log.Warn("who pressed a button in Telegram could not be answered", "error", err)
	}
}

// The waits of the poller.
const (
	pollWait  = 25 * time.Second // how long Telegram holds a question
	pollIdle  = 15 * time.Second // between looks at the configuration
	pollAgain = 5 * time.Second  // after a failure; another process may be asking
)

// Poll asks Telegram for presses of buttons while notify.telegram.updates is poll,
// until ctx is done. Several processes may: each press comes to one of them.
func Poll(ctx context.Context, e *escalation.Engine, log *slog.Logger) error {
	var next int64
	for ctx.Err() == nil {
		wait := pollIdle
		if n := e.Notifier(); n.TelegramUpdates() == notify.UpdatesPoll {
			var err error
			if next, err = pollOnce(ctx, e, log, next); err == nil {
				continue
			} else if ctx.Err() == nil {
				log.Warn("Telegram cannot be asked for presses of buttons", "error", err)
			}
			wait = pollAgain
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return nil
}

// pollOnce takes the updates from a number on and returns the next number. Asking
// for that is what tells Telegram that these were taken.
func pollOnce(ctx context.Context, e *escalation.Engine, log *slog.Logger, from int64) (next int64, err error) {
	raw, err := e.Notifier().TelegramPoll(ctx, from, pollWait)
	if err != nil {
		return from, err
	}
	next = from
	for _, text := range raw {
		var u telegramUpdate
		if err := json.Unmarshal(text, &u); err != nil {
			log.Warn("an update of Telegram cannot be read", "error", err)
			continue
		}
		takeUpdate(ctx, e, log, u)
		next = max(next, u.ID+1)
	}
	return next, nil
}
