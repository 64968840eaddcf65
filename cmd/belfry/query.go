package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func queryCommand() *cobra.Command {
	var server string
	var since time.Duration
	var limit int
	cmd := &cobra.Command{
		Use:   "query metrics|logs|traces EXPRESSION",
		Short: "Ask a running server in PromQL, LogQL or TraceQL and print its JSON answer",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := queryURL(args[0], args[1], time.Now(), since, limit)
			if err != nil {
				return err
			}
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, server+target, http.NoBody)
			if err != nil {
				return err
			}
			req.Header.Set("Accept", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if _, err := io.Copy(cmd.OutOrStdout(), resp.Body); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout())
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("the server answered %s", resp.Status)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&server, "server", "http://127.0.0.1:4321", "the server to ask")
	cmd.Flags().DurationVar(&since, "since", time.Hour, "how far back to look for logs and traces")
	cmd.Flags().IntVar(&limit, "limit", 100, "log lines or traces to return")
	return cmd
}

// queryURL returns the path and query of the API that answers an expression.
func queryURL(signal, expr string, now time.Time, since time.Duration, limit int) (string, error) {
	from := now.Add(-since)
	v := url.Values{"limit": {strconv.Itoa(limit)}}
	switch signal {
	case "metrics":
		return "/api/v1/query?" + url.Values{"query": {expr}}.Encode(), nil
	case "logs":
		v.Set("query", expr)
		v.Set("start", strconv.FormatInt(from.UnixNano(), 10))
		v.Set("end", strconv.FormatInt(now.UnixNano(), 10))
		return "/loki/api/v1/query_range?" + v.Encode(), nil
	case "traces":
		v.Set("q", expr)
		v.Set("start", strconv.FormatInt(from.Unix(), 10))
		v.Set("end", strconv.FormatInt(now.Unix(), 10))
		return "/tempo/api/search?" + v.Encode(), nil
	}
	return "", fmt.Errorf("%q is none of metrics, logs, traces", signal)
}
