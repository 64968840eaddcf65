package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type deletion struct {
	ID      string
	State   string
	Entries int
}

// TestDeletionsSurviveKills: what an accepted deletion named is not seen again,
// whatever happens to the process, and leaves the disk.
func TestDeletionsSurviveKills(t *testing.T) {
	s := newServer(t, "")
	s.start()
	const secret = "thecardnumberofbob"
	values := make([]string, 200)
	for i := range values {
		text := fmt.Sprintf("line %d", i)
		if i%4 == 0 {
			text += " " + secret
		}
		values[i] = fmt.Sprintf(`["%d","%s"]`, time.Now().Add(-time.Minute).UnixNano()+int64(i), text)
	}
	push := `{"streams":[{"stream":{"service_name":"shop"},"values":[` + strings.Join(values, ",") + `]}]}`
	require.NoError(t, s.post("/loki/api/v1/push", push, nil))
	lines := func() int {
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		require.NoError(t, s.get("/loki/api/v1/query", &answer, "query", `sum(count_over_time({service_name="shop"}[1h]))`))
		require.Len(t, answer.Data.Result, 1)
		n, err := strconv.Atoi(fmt.Sprint(answer.Data.Result[0].Value[1]))
		require.NoError(t, err)
		return n
	}
	request := func(window string) deletion {
		var d deletion
		require.NoError(t, s.post("/api/belfry/v1/logs/deletions",
			`{"query":"{} |= \"`+secret+`\"","from":"2020-01-01T00:00:00Z","cancel_window":"`+window+`"}`, &d))
		return d
	}
	require.Equal(t, 200, lines())
	d := request("1h")
	require.Equal(t, 150, lines())
	s.kill()
	s.start()
	require.Equal(t, 150, lines(), "hidden over a restart")
	require.NoError(t, s.do(http.MethodDelete, "/api/belfry/v1/logs/deletions/"+d.ID, nil, &d))
	require.Equal(t, "canceled", d.State)
	require.Equal(t, 200, lines())
	d = request("0s")
	s.kill()
	s.start()
	require.Equal(t, 150, lines())
	s.eventually("the end of the deletion", func() error {
		if err := s.get("/api/belfry/v1/logs/deletions/"+d.ID, &d); err != nil {
			return err
		}
		if d.State != "done" {
			return errors.New(d.State)
		}
		return nil
	})
	require.Equal(t, 150, lines())
	require.NoError(t, filepath.WalkDir(filepath.Join(s.dir, "data", "logs", "wal"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		require.NotContains(t, string(b), secret, path)
		return err
	}))
	var audit struct{ Entries []struct{ Action string } }
	require.NoError(t, s.get("/api/belfry/v1/audit", &audit, "action", "logs"))
	require.Len(t, audit.Entries, 3)
	s.stop()
}
