package escalation_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/internal/state/statetest"
)

// randomLife is a list of scenario commands that anything may follow on anything.
func randomLife(seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // replayable
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var out []string
	now := time.Duration(0)
	out = append(out, "fire oncall First critical")
	for range 40 {
		switch r.IntN(12) {
		case 0, 1:
			out = append(out, pick("fire", "repeat", "more")+" "+pick("oncall", "timeout", "office", "severe")+" "+pick("A", "B")+" "+pick("critical", "warning"))
		case 2:
			out = append(out, "clear "+pick("oncall", "timeout", "office", "severe")+" "+pick("A", "B", "First"))
		case 3:
			out = append(out, pick("ack ana", "unack bo", "resolve cem", "snooze dia 20m", "reassign ana dia", "reassign ana policy:severe"))
		case 4:
			out = append(out, pick("down ana 503", "down cem 404", "down bo 500", "up ana", "up bo", "up cem"))
		case 5:
			out = append(out, pick("beat backup", "silence alertname=A 20m", "silence alertname=First 1h", "silence off", "silence error"))
		default:
			now += time.Duration(r.IntN(900)) * time.Second
			out = append(out, "to "+now.String())
		}
	}
	return append(out, "to "+(now+24*time.Hour).String(), "timeline")
}

// TestRestartsChangeNothing lives the same random life twice, once in one process
// and once in a new process after every command: everybody receives the same at
// the same times.
func TestRestartsChangeNothing(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			life := randomLife(seed)
			live := func(restart bool) string {
				s := &scenario{world: newWorld(t, statetest.SQLite(t))}
				var out strings.Builder
				for _, command := range life {
					fmt.Fprintf(&out, "> %s\n", command)
					result := s.do(command)
					for _, m := range s.phones.take() {
						out.WriteString(m.String() + "\n")
					}
					for _, line := range result {
						out.WriteString(line + "\n")
					}
					if restart {
						s.restart()
					}
				}
				return out.String()
			}
			require.Equal(t, live(false), live(true))
		})
	}
}
