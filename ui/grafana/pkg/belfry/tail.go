package belfry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coder/websocket"
	jsoniter "github.com/json-iterator/go"
)

// TailQuery follows the lines of a query from a time on.
type TailQuery struct {
	Query string
	Start time.Time
	Limit int
}

// maxMessage bounds one message of a tail.
const maxMessage = 32 << 20

// Tail calls send for what arrives, in the order of arrival, until ctx ends, the
// connection is lost or send fails.
func (c *Client) Tail(ctx context.Context, q TailQuery, send func([]Stream) error) error {
	target := *c.base
	target.Path += "/loki/api/v1/tail"
	target.RawQuery = url.Values{"query": {q.Query}, "start": {nanos(q.Start)}, "limit": {strconv.Itoa(q.Limit)}}.Encode()
	conn, resp, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{
		HTTPClient: c.stream, HTTPHeader: http.Header{categorized[0]: {categorized[1]}},
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			var body []byte
			if resp.Body != nil {
				body, _ = io.ReadAll(io.LimitReader(resp.Body, 4096))
			}
			return &Error{resp.StatusCode, message(resp.StatusCode, body), target.Path}
		}
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxMessage)
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		var frame struct {
			Streams json.RawMessage `json:"streams"`
		}
		if err := json.Unmarshal(text, &frame); err != nil {
			return fmt.Errorf("a message of the tail: %w", err)
		}
		var streams []Stream
		it := jsoniter.ParseBytes(jsoniter.ConfigDefault, frame.Streams)
		it.ReadArrayCB(func(it *jsoniter.Iterator) bool {
			streams = append(streams, readStream(it))
			return it.Error == nil
		})
		if it.Error != nil && it.Error != io.EOF {
			return fmt.Errorf("a message of the tail: %w", it.Error)
		}
		if err := send(streams); err != nil {
			return err
		}
	}
}
