package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// killRounds is how often a test kills the process; BELFRY_KILL_ROUNDS says
// another number.
const killRounds = 3

func killRoundsWanted(t *testing.T) int {
	t.Helper()
	text := os.Getenv("BELFRY_KILL_ROUNDS")
	if text == "" {
		return killRounds
	}
	rounds, err := strconv.Atoi(text)
	require.NoError(t, err)
	return rounds
}

// TestLogsSurviveKills loads logs with large requests on several connections into small
// memtables, so that flushes and merges go on all the time, and kills the process at
// random moments, again and again on the same folder. No acknowledged record may
// be missing afterwards, and none may be there twice.
func TestLogsSurviveKills(t *testing.T) {
	rounds := killRoundsWanted(t)
	s := newServer(t, "logs: {flush: {size: 1MiB, age: 1s}}\n")
	begin := time.Now().Add(-time.Minute).Truncate(time.Second)
	total := 0
	kept := map[string]int{} // by service
	for round := range rounds {
		s.start()
		acks, services := s.loadUntilKilled(round, begin, 1+rand.IntN(60_000))
		s.start()
		for i, set := range acks {
			numbers, lines := s.lokiRecords(services[i], begin)
			require.Empty(t, missing(set, numbers), "round %d: acknowledged records of %s", round, services[i])
			require.Equal(t, len(numbers), lines, "round %d: records of %s that are there twice", round, services[i])
			kept[services[i]] = lines
			total += len(set)
		}
		s.kill()
	}
	t.Logf("%d kills, %d acknowledged records", rounds, total)
	s.start()
	for service, want := range kept {
		_, lines := s.lokiRecords(service, begin)
		require.Equal(t, want, lines, "records of %s after all rounds", service)
	}
	s.stop()
}

// loadUntilKilled sends records until so many are acknowledged, and kills the
// process meanwhile. It returns what each sender was told is stored.
func (s *server) loadUntilKilled(round int, at time.Time, target int) (acks []map[int]bool, services []string) {
	const senders, step = 4, 200
	a := &acknowledged{}
	var wg sync.WaitGroup
	for i := range senders {
		x := s.httpSender()
		x.via = fmt.Sprintf("kill-%d-%d", round, i)
		set := map[int]bool{}
		acks, services = append(acks, set), append(services, "e2e-"+x.via)
		wg.Go(func() {
			for from := 0; x.sendRecords(s.t.Context(), from, from+step, at) == nil; from += step {
				a.add(set, from, from+step)
			}
		})
	}
	s.eventually("acknowledgements", func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		n := 0
		for _, set := range acks {
			n += len(set)
		}
		if n < target {
			return context.DeadlineExceeded
		}
		return nil
	})
	s.kill()
	wg.Wait()
	return acks, services
}

// lokiRecords returns the numbers in the lines of a service, and how many lines there are.
func (s *server) lokiRecords(service string, at time.Time) (numbers map[int]bool, lines int) {
	s.t.Helper()
	from, to := at.Add(-time.Minute), at.Add(10*time.Minute)
	numbers, err := s.lokiNumbers(service, from, to)
	require.NoError(s.t, err)
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	query := fmt.Sprintf(`sum(count_over_time({service_name=%q}[%ds]))`, service, int(to.Sub(from).Seconds()))
	require.NoError(s.t, s.get("/loki/api/v1/query", &answer, "query", query, "time", strconv.FormatInt(to.UnixNano(), 10)))
	if len(answer.Data.Result) == 0 {
		return numbers, 0
	}
	lines, err = strconv.Atoi(fmt.Sprint(answer.Data.Result[0].Value[1]))
	require.NoError(s.t, err)
	return numbers, lines
}
