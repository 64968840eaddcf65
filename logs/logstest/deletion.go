package logstest

import (
	"context"
	"testing"
	"time"

	"belfry/internal/deletion"
	"belfry/internal/fault"
	"belfry/logs"

	"github.com/stretchr/testify/require"
)

// settle bounds how long a store may take to carry out the deletions of the suite.
const settle = 30 * time.Second

// ended waits until a deletion has ended.
func ended(t *testing.T, s logs.Store, id string) deletion.Deletion {
	t.Helper()
	var d deletion.Deletion
	require.Eventually(t, func() bool {
		var err error
		d, err = s.Deletion(context.Background(), Tenant, id)
		return err == nil && !d.Ended.IsZero()
	}, settle, time.Millisecond)
	return d
}

func testDeletion(t *testing.T, s logs.Store) {
	sequence(t, s, 40)
	ctx := t.Context()
	find := func(text string) logs.SelectQuery {
		q := everything()
		q.Filter = logs.LineContains{Text: text}
		return forward(q)
	}
	r := logs.DeleteRequest{Query: query(t, `service_name="a"`), Label: "by hand"}
	r.Filter = logs.All(field(t, `n=~"[0-3]"`), logs.Not{Of: logs.LineContains{Text: "line 2"}})
	r.From, r.To = Epoch.UnixNano(), Epoch.Add(6*time.Second).UnixNano()
	doomed := lines(collect(t, s, forward(r.Query)))
	require.NotEmpty(t, doomed)
	before := collect(t, s, forward(everything()))
	d, err := s.Delete(ctx, r)
	require.NoError(t, err)
	require.Equal(t, "by hand", d.Label)
	require.Equal(t, r.From, d.From)
	require.Equal(t, r.To, d.To)
	check := func() {
		require.Empty(t, collect(t, s, forward(r.Query)))
		require.Len(t, collect(t, s, forward(everything())), len(before)-len(doomed))
		require.Empty(t, scan(t, s, logs.ScanQuery{Query: r.Query}))
		require.Len(t, collect(t, s, find("line 2")), 11, "its neighbors stay")
	}
	check()
	d = ended(t, s, d.ID)
	require.Equal(t, deletion.Done, d.State)
	require.EqualValues(t, len(doomed), d.Records)
	require.InDelta(t, 1, d.Progress, 0)
	check()
	_, err = s.Append(ctx, Tenant, Request([]logs.Label{{Name: "service_name", Value: "a"}},
		Line{Text: "again", Metadata: []logs.Label{{Name: "n", Value: "1"}}}))
	require.NoError(t, err)
	require.Equal(t, []string{"again"}, lines(collect(t, s, forward(r.Query))), "what comes later is not concerned")

	list, err := s.Deletions(ctx, Tenant)
	require.NoError(t, err)
	require.Equal(t, []deletion.Deletion{d}, list)
	_, err = s.CancelDeletion(ctx, Tenant, d.ID, true)
	require.Equal(t, fault.Conflict, fault.KindOf(err))
	for _, other := range []string{"12345", "nonsense"} {
		_, err = s.Deletion(ctx, Tenant, other)
		require.Equal(t, fault.NotFound, fault.KindOf(err))
		_, err = s.CancelDeletion(ctx, Tenant, other, false)
		require.Equal(t, fault.NotFound, fault.KindOf(err))
	}
	_, err = s.Deletion(ctx, "other", d.ID)
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	r.From = r.To
	_, err = s.Delete(ctx, r)
	require.Equal(t, fault.Invalid, fault.KindOf(err))
}

func testCanceledDeletion(t *testing.T, s logs.Store) {
	sequence(t, s, 10)
	ctx := t.Context()
	r := logs.DeleteRequest{Query: query(t, `service_name=~"a|x.*"`), Delay: time.Hour}
	d, err := s.Delete(ctx, r)
	require.NoError(t, err)
	require.Equal(t, deletion.Waiting, d.State)
	require.Equal(t, Now().Add(time.Hour), d.Due)
	require.Len(t, collect(t, s, forward(everything())), 5, "hidden while it waits")
	d, err = s.CancelDeletion(ctx, Tenant, d.ID, false)
	require.NoError(t, err)
	require.Equal(t, deletion.Canceled, d.State)
	require.Len(t, collect(t, s, forward(everything())), 10)
}
