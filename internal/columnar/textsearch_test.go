package columnar

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"belfry/internal/vfs"

	"github.com/grafana/regexp"
	"github.com/stretchr/testify/require"
)

// textRows are rows whose bodies are printed from a few templates, with what
// programs put in their logs; some are in no template, some rows have no body.
func textRows(rnd *rand.Rand, n int) []toyRow {
	rows := make([]toyRow, n)
	for i := range rows {
		r := &rows[i]
		r.Time = toyNow - int64(n-i)
		r.Stream = map[string]string{"service": fmt.Sprint("s", rnd.IntN(3))}
		r.Fields = append(r.Fields, field("user", String(fmt.Sprintf("u%06d", rnd.IntN(1e6)))))
		body := ""
		switch rnd.IntN(8) {
		case 0:
			body = fmt.Sprintf("user %d logged in from 10.0.%d.%d", rnd.IntN(1e5), rnd.IntN(256), rnd.IntN(256))
		case 1:
			body = fmt.Sprintf("GET /api/v2/items/%d took %dms status=%d", rnd.IntN(1e4), rnd.IntN(3000), 200+100*rnd.IntN(4))
		case 2:
			body = fmt.Sprintf("Timeout after %d.%03d s, trace %016x", rnd.IntN(30), rnd.IntN(1000), rnd.Uint64())
		case 3:
			body = fmt.Sprintf("zeitüberschreitung für größe %d \u212aelvin", rnd.IntN(500))
		case 4:
			body = fmt.Sprintf("order %s-%04d shipped", strings.Repeat("x", 1+rnd.IntN(3)), rnd.IntN(1e4))
		case 5:
			words := []string{"disk", "full", "ERROR", "retry", "later", "42", "node-7", "Warning"}
			rnd.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
			body = strings.Join(words[:1+rnd.IntN(5)], " ")
		case 6:
			body = fmt.Sprintf("session %x closed", rnd.Uint64())
		}
		if body != "" {
			r.Fields = append(r.Fields, field("body", String(body)))
		}
	}
	return rows
}

// textNeedles are pieces of the rows' bodies and texts that are nowhere.
func textNeedles(rnd *rand.Rand, rows []toyRow) []string {
	needles := []string{"nosuchneedleword", "10.0.999", "9ms", "u0", "TIMEOUT", "e"}
	for range 25 {
		body := rows[rnd.IntN(len(rows))].text()
		at := strings.Index(body, "body")
		if at < 0 {
			continue
		}
		body = body[at:]
		from := rnd.IntN(len(body))
		if piece := body[from : from+1+rnd.IntN(min(20, len(body)-from))]; strings.ToValidUTF8(piece, "") == piece {
			needles = append(needles, piece, strings.ToUpper(piece))
		}
	}
	return needles
}

func countRows(t *testing.T, db *DB, f Filter) (int, Stats) {
	t.Helper()
	var n atomic.Int64
	st, err := db.Scan(context.Background(), Query{Tenant: "t", From: 0, To: 1 << 62, Filter: f}, func() Worker {
		return WorkerFunc(func(b *Block) error {
			n.Add(int64(b.Len()))
			return nil
		})
	})
	require.NoError(t, err)
	return int(n.Load()), st
}

// TestTextSearch compares searches in memory, in parts and in merged parts with
// a look at every row.
func TestTextSearch(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 11))
	o := toyOptions(vfs.NewMem())
	o.BlockRows = 700
	db := openToy(t, o)
	var rows []toyRow
	check := func(when string) {
		body := RowRef("body")
		for _, n := range textNeedles(rnd, rows) {
			quoted := regexp.QuoteMeta(n)
			for _, f := range []Filter{
				Contains{Ref: body, Text: n},
				Contains{Ref: body, Text: n, Fold: true},
				Contains{Ref: EveryColumn(), Text: n},
				Not{Of: Contains{Ref: body, Text: n}},
				HasPrefix{Ref: body, Text: n},
				Regexp{Ref: body, Re: regexp.MustCompile(quoted)},
				Regexp{Ref: body, Re: regexp.MustCompile("(?i)" + quoted + ".*[0-9]+")},
				Regexp{Ref: body, Re: regexp.MustCompile(`(user|took|` + quoted + `) ?[0-9]+`)},
				Regexp{Ref: body, Re: regexp.MustCompile(`^(user|GET|` + quoted + `).*[0-9a-f]7`)},
				Regexp{Ref: body, Re: regexp.MustCompile(`=[45]00$|10\.0\.[0-9]+\.1|x-0+[1-9]| 4[0-9]\.0|` + quoted + `.`)},
				Regexp{Ref: RowRef("user"), Re: regexp.MustCompile(`^u0*[1-4]|7$`)}, // of one template
				And{Contains{Ref: RowRef("user"), Text: "7"}, Contains{Ref: body, Text: n}},
			} {
				want := 0
				for i := range rows {
					if modelMatch(f, &rows[i]) {
						want++
					}
				}
				got, _ := countRows(t, db, f)
				require.Equal(t, want, got, "%s: %T %+v", when, f, f)
			}
		}
		for _, n := range []string{"nosuchneedleword", "imeouts", "GET /apisixserver"} {
			_, st := countRows(t, db, Contains{Ref: body, Text: n})
			if when != "in memory" {
				require.Zero(t, st.BlocksRead, "%s: blocks read for %q", when, n)
			}
		}
	}
	for range 3 {
		more := textRows(rnd, 500)
		_, err := db.Append(context.Background(), "t", toyPayload(t, more...))
		require.NoError(t, err)
		rows = append(rows, more...)
		if len(rows) == 500 {
			check("in memory")
		}
		require.NoError(t, db.Flush(context.Background()))
	}
	check("in parts")
	mergeAll(t, db)
	check("merged")
}
