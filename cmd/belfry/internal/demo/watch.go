package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"belfry/cmd/belfry/internal/shop"
)

const (
	inboxInterval  = time.Second
	statusInterval = 30 * time.Second
)

// message is what a person received, as the inbox API tells it.
type message struct {
	ID        string    `json:"id"`
	Recipient string    `json:"recipient"`
	Kind      string    `json:"kind"`
	Title     string    `json:"title"`
	At        time.Time `json:"at"`
}

// watch prints every message that a person receives, and now and then how the
// shop is doing, until ctx ends or the server does.
func watch(ctx context.Context, out io.Writer, srv *server, sh *shop.Shop) error {
	inbox := time.NewTicker(inboxInterval)
	defer inbox.Stop()
	status := time.NewTicker(statusInterval)
	defer status.Stop()
	seen := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-srv.done:
			srv.done <- err
			return fmt.Errorf("belfry ended by itself (%w); its log is %s", err, srv.log)
		case <-status.C:
			total, failed := sh.Visits()
			fmt.Fprintf(out, "%s  %d requests so far, %d failed\n", time.Now().Format(time.TimeOnly), total, failed)
		case <-inbox.C:
			messages, err := srv.inbox(ctx)
			if err != nil {
				continue // asked again in a second
			}
			for i := len(messages) - 1; i >= 0; i-- {
				if m := messages[i]; !seen[m.ID] {
					seen[m.ID] = true
					fmt.Fprintf(out, "%s  %s received: [%s] %s\n", m.At.Local().Format(time.TimeOnly), m.Recipient, m.Kind, m.Title)
				}
			}
		}
	}
}

// inbox returns the newest messages, newest first.
func (s *server) inbox(ctx context.Context) ([]message, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/api/belfry/v1/inbox?limit=50", http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("inbox: %s", resp.Status)
	}
	var answer struct {
		Messages []message `json:"messages"`
	}
	err = json.NewDecoder(resp.Body).Decode(&answer)
	return answer.Messages, err
}
