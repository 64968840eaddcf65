package tracestest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/grafana/regexp"
	"github.com/stretchr/testify/require"

	"belfry/internal/deletion"
	"belfry/internal/fault"
	"belfry/traces"
)

// settle bounds how long a store may take to carry out the deletions of the suite.
const settle = 30 * time.Second

// shop is two traces; the second span of the first is in error.
const shop = `trace 1
  span 1 service=front name="GET /cart" start=10m dur=100ms kind=server span.user=ada span.http.status_code=200 resource.env=prod
    span 2 service=cart name="GET /items" start=601s dur=50ms status=error span.user=bob span.tags=[ada,x] resource.env=prod
    span 3 service=cart name="GET /items" start=602s dur=10ms resource.user=ada resource.env=prod
trace 2
  span 4 service=front name="GET /pay" start=20m dur=2s kind=server span.http.status_code=500 resource.env=test`

// testDeletion deletes by many conditions, and looks at what is left.
func testDeletion(t *testing.T, open Opener) {
	attribute := func(name string) traces.Field { return traces.Field{Scope: traces.ScopeAny, Name: name} }
	const ns = int64(1)
	for name, tc := range map[string]struct {
		filter   traces.Filter
		from, to time.Duration
		left     []byte // last bytes of the spans' IDs
	}{
		"everything":            {filter: nil, left: nil},
		"by trace":              {filter: traces.Compare{Field: traces.Intrinsic(traces.TraceIDField), Value: traces.String("1")}, left: []byte{4}},
		"by span":               {filter: traces.Compare{Field: traces.Intrinsic(traces.SpanIDField), Value: traces.String("0000000000000002")}, left: []byte{1, 3, 4}},
		"by time":               {filter: nil, from: 15 * time.Minute, to: time.Hour, left: []byte{1, 2, 3}},
		"by name":               {filter: traces.Compare{Field: traces.Intrinsic(traces.Name), Value: traces.String("GET /items")}, left: []byte{1, 4}},
		"by status":             {filter: traces.Compare{Field: traces.Intrinsic(traces.StatusField), Value: traces.Int(int64(traces.StatusError))}, left: []byte{1, 3, 4}},
		"by duration":           {filter: traces.Compare{Field: traces.Intrinsic(traces.Duration), Op: traces.OpGreaterEqual, Value: traces.Int(100e6 * ns)}, left: []byte{2, 3}},
		"by either scope":       {filter: traces.Compare{Field: attribute("user"), Value: traces.String("ada")}, left: []byte{2, 4}},
		"by a scope":            {filter: traces.Compare{Field: traces.Field{Scope: traces.ScopeSpan, Name: "user"}, Value: traces.String("ada")}, left: []byte{2, 3, 4}},
		"by number":             {filter: traces.Compare{Field: attribute("http.status_code"), Op: traces.OpLess, Value: traces.Int(300)}, left: []byte{2, 3, 4}},
		"by text":               {filter: traces.Regexp{Field: traces.ServiceName(), Re: regexp.MustCompile("^(?:c.*)$")}, left: []byte{1, 4}},
		"by presence":           {filter: traces.Exists{Field: attribute("user")}, left: []byte{4}},
		"both":                  {filter: traces.And{traces.Exists{Field: attribute("user")}, traces.Compare{Field: traces.ServiceName(), Value: traces.String("cart")}}, left: []byte{1, 4}},
		"one of":                {filter: traces.Or{traces.Compare{Field: attribute("env"), Value: traces.String("test")}, traces.Compare{Field: attribute("user"), Value: traces.String("bob")}}, left: []byte{1, 3}},
		"an element of a list":  {filter: traces.Compare{Field: attribute("tags"), Value: traces.String("ada")}, left: []byte{1, 2, 3, 4}},
		"what no span has":      {filter: traces.Compare{Field: attribute("nosuch"), Value: traces.String("ada")}, left: []byte{1, 2, 3, 4}},
		"text against a number": {filter: traces.Compare{Field: attribute("user"), Op: traces.OpGreater, Value: traces.Int(0)}, left: []byte{1, 2, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			s, reopen := open(t)
			d := deleter(t, s)
			appendSpans(t, s, spansOf(t, shop))
			to := tc.to
			if to == 0 {
				to = 24 * time.Hour
			}
			accepted, err := d.Delete(t.Context(), traces.DeleteRequest{
				Tenant: tenantID, From: Epoch + int64(tc.from), To: Epoch + int64(to), Filter: tc.filter, Label: "by hand",
			})
			require.NoError(t, err)
			require.Equal(t, "by hand", accepted.Label)
			require.Equal(t, tc.left, lastBytes(t, s), "hidden at once")
			done := ended(t, d, accepted.ID)
			require.Equal(t, deletion.Done, done.State)
			require.EqualValues(t, 4-len(tc.left), done.Records)
			require.Equal(t, tc.left, lastBytes(t, s))
			if again := reopen(); again != nil {
				require.Equal(t, tc.left, lastBytes(t, again), "after a restart")
			}
		})
	}
}

func testRefusedDeletion(t *testing.T, open Opener) {
	s, _ := open(t)
	d := deleter(t, s)
	user := traces.Field{Scope: traces.ScopeAny, Name: "user"}
	for _, f := range []traces.Filter{
		traces.Compare{Field: user, Op: traces.OpNotEqual, Value: traces.String("ada")},
		traces.Regexp{Field: user, Re: regexp.MustCompile("x"), Negate: true},
		traces.Exists{Field: user, Negate: true},
		traces.Compare{Field: traces.Field{Scope: traces.ScopeEvent, Name: "x"}, Value: traces.String("y")},
		traces.Compare{Field: traces.Intrinsic(traces.TraceIDField), Value: traces.String("xyz")},
		traces.And{traces.Exists{Field: traces.Field{Scope: traces.ScopeLink, Name: "x"}}},
	} {
		_, err := d.Delete(t.Context(), traces.DeleteRequest{Tenant: tenantID, From: Epoch, To: Epoch + 1, Filter: f})
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%v", f)
	}
	_, err := d.Delete(t.Context(), traces.DeleteRequest{Tenant: tenantID, From: Epoch, To: Epoch})
	require.Equal(t, fault.Invalid, fault.KindOf(err), "an empty range")
}

func testCanceledDeletion(t *testing.T, open Opener) {
	s, _ := open(t)
	d := deleter(t, s)
	appendSpans(t, s, spansOf(t, shop))
	accepted, err := d.Delete(t.Context(), traces.DeleteRequest{Tenant: tenantID, From: Epoch, To: Epoch + day, Delay: time.Hour})
	require.NoError(t, err)
	require.Equal(t, deletion.Waiting, accepted.State)
	require.Empty(t, lastBytes(t, s), "hidden while it waits")
	_, err = d.CancelDeletion(t.Context(), "other", accepted.ID, false)
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	canceled, err := d.CancelDeletion(t.Context(), tenantID, accepted.ID, false)
	require.NoError(t, err)
	require.Equal(t, deletion.Canceled, canceled.State)
	require.Equal(t, []byte{1, 2, 3, 4}, lastBytes(t, s))
	list, err := d.Deletions(t.Context(), tenantID)
	require.NoError(t, err)
	require.Equal(t, []deletion.Deletion{canceled}, list)
}

func deleter(t *testing.T, s Store) traces.Deleter {
	t.Helper()
	d, ok := s.(traces.Deleter)
	if !ok {
		t.Skip("the store does not delete")
	}
	return d
}

func spansOf(t *testing.T, script string) []traces.Span {
	t.Helper()
	spans, err := ParseSpans(strings.Split(script, "\n"))
	require.NoError(t, err)
	return spans
}

// lastBytes returns the last bytes of the IDs of all spans, in order, as scans
// and lookups of both traces find them.
func lastBytes(t *testing.T, s Store) []byte {
	t.Helper()
	var scanned, fetched []byte
	for _, span := range scan(t, s, traces.SpanQuery{From: Epoch, To: Epoch + day}) {
		scanned = append(scanned, span.ID[7])
	}
	for _, id := range []traces.TraceID{{15: 1}, {15: 2}} {
		trace, err := s.Trace(t.Context(), tenantID, traces.TraceQuery{ID: id})
		require.NoError(t, err)
		for _, span := range trace.Spans {
			fetched = append(fetched, span.ID[7])
		}
	}
	require.ElementsMatch(t, scanned, fetched)
	return scanned
}

// ended waits until a deletion has ended.
func ended(t *testing.T, d traces.Deleter, id string) (out deletion.Deletion) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		out, err = d.Deletion(context.Background(), tenantID, id)
		return err == nil && !out.Ended.IsZero()
	}, settle, time.Millisecond)
	return out
}
