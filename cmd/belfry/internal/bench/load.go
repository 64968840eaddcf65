package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// senders is how many connections a load uses at the same time.
const senders = 4

// batchMaker returns the body of the n-th request, and how many records are in
// it. It is called from several goroutines.
type batchMaker func(n int) (body []byte, records int, err error)

// send posts the bodies of batches 0 to count-1, each to all of the addresses.
func send(ctx context.Context, urls []string, by protocol, count int, batch batchMaker) (records int, bytesSent int64, err error) {
	type sum struct {
		records int
		bytes   int64
	}
	sums := make([]sum, senders)
	group, ctx := errgroup.WithContext(ctx)
	for worker := range senders {
		group.Go(func() error {
			for n := worker; n < count; n += senders {
				body, records, err := batch(n)
				if err != nil {
					return err
				}
				for _, url := range urls {
					if err := post(ctx, url, by, body); err != nil {
						return fmt.Errorf("batch %d: %w", n, err)
					}
				}
				sums[worker].records += records
				sums[worker].bytes += int64(len(body))
			}
			return nil
		})
	}
	err = group.Wait()
	for _, s := range sums {
		records += s.records
		bytesSent += s.bytes
	}
	return records, bytesSent, err
}

// post sends one request, and again for as long as the server asks to wait.
func post(ctx context.Context, url string, by protocol, body []byte) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		by.setHeaders(req.Header)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		_ = resp.Body.Close()
		switch {
		case err != nil:
			return err
		case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusNoContent:
			return nil
		case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			return fmt.Errorf("%s answered %s: %s", url, resp.Status, bytes.TrimSpace(answer))
		}
	}
}
