package ingest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"belfry/internal/fault"
	"belfry/internal/tenant"
)

func logsConsumer(t *testing.T, f func(context.Context, plog.Logs) error) consumer.Logs {
	t.Helper()
	c, err := consumer.NewLogs(f)
	require.NoError(t, err)
	return c
}

func TestDirectRequestIsTheSendersBytes(t *testing.T) {
	body := samples(t)[Logs]
	sink := newTestSink(t)
	sink.direct[Logs] = true
	sink.next.Logs = logsConsumer(t, func(ctx context.Context, ld plog.Logs) error {
		require.Zero(t, ld.LogRecordCount())
		require.Equal(t, body, RequestOf(ctx))
		OutcomeOf(ctx).Add(1, 0, "")
		return nil
	})
	_, err := sink.Export(t.Context(), Logs, Protobuf, body)
	require.NoError(t, err)

	sink.next.Logs = logsConsumer(t, func(ctx context.Context, ld plog.Logs) error {
		require.Equal(t, 1, ld.LogRecordCount())
		require.Nil(t, RequestOf(ctx))
		return nil
	})
	_, err = sink.Export(t.Context(), Logs, JSON, []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}`))
	require.NoError(t, err, "JSON has to be decoded")
}

func TestPanicIsAnError(t *testing.T) {
	sink := newTestSink(t)
	sink.next.Logs = logsConsumer(t, func(context.Context, plog.Logs) error { panic("oh") })
	_, err := sink.Export(t.Context(), Logs, Protobuf, samples(t)[Logs])
	require.Equal(t, fault.Internal, fault.KindOf(err))
	require.NotContains(t, err.Error(), "oh")
}

func TestNoPipeline(t *testing.T) {
	sink := newTestSink(t)
	sink.next.Traces = nil
	_, err := sink.Export(t.Context(), Traces, Protobuf, nil)
	require.Equal(t, fault.NotFound, fault.KindOf(err))
}

func TestAsFault(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		kind  fault.Kind
		delay time.Duration
	}{
		"limited":             {fault.Limitedf(0, "x"), fault.Limited, time.Second},
		"limited with delay":  {consumererror.NewDownstream(fault.Limitedf(time.Minute, "x")), fault.Limited, time.Minute},
		"permanent and known": {consumererror.NewPermanent(fault.Invalidf("x")), fault.Invalid, 0},
		"permanent":           {consumererror.NewPermanent(errors.New("x")), fault.Internal, 0},
		"any other":           {errors.New("data refused"), fault.Unavailable, time.Second},
		"hung up":             {context.Canceled, fault.Canceled, 0},
		"too late":            {context.DeadlineExceeded, fault.Timeout, 0},
	} {
		require.Equal(t, tt.kind, fault.KindOf(AsFault(tt.err)), name)
		require.Equal(t, tt.delay, fault.RetryAfter(AsFault(tt.err)), name)
	}
	require.NoError(t, AsFault(nil))
}

func TestReasonIsBoundedAndValid(t *testing.T) {
	body, err := response(Logs, Protobuf, 1, strings.Repeat("ä", maxReason)+"\xff")
	require.NoError(t, err)
	r := plogotlp.NewExportResponse()
	require.NoError(t, r.UnmarshalProto(body))
	require.LessOrEqual(t, len(r.PartialSuccess().ErrorMessage()), maxReason+3)
	require.True(t, strings.HasPrefix(r.PartialSuccess().ErrorMessage(), "ää"))
}

func TestOutcomeJoinsReasons(t *testing.T) {
	ctx, o := WithOutcome(t.Context())
	OutcomeOf(ctx).Add(1, 1, "late")
	OutcomeOf(ctx).Add(1, 1, "late")
	OutcomeOf(ctx).Add(0, 2, "long")
	accepted, rejected, reason := o.Get()
	require.Equal(t, 2, accepted)
	require.Equal(t, 4, rejected)
	require.Equal(t, "late; long", reason)
	require.Nil(t, OutcomeOf(t.Context()))
}

func TestTenant(t *testing.T) {
	ctx, err := WithTenant(t.Context(), "acme")
	require.NoError(t, err)
	id, err := TenantOf(ctx)
	require.NoError(t, err)
	require.Equal(t, "acme", id)

	// What a batch processor keeps is the client metadata alone.
	batched := client.NewContext(t.Context(), client.FromContext(ctx))
	id, err = TenantOf(batched)
	require.NoError(t, err)
	require.Equal(t, "acme", id)

	id, err = TenantOf(t.Context())
	require.NoError(t, err)
	require.Equal(t, tenant.Default, id)

	_, err = WithTenant(t.Context(), "a/b")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
}

// TestBodiesShareNoMemory: the memory of a body is another one's when it was released, not before.
func TestBodiesShareNoMemory(t *testing.T) {
	b := NewBudget(1 << 30)
	var bodies [][]byte
	for round := range 3 {
		var releases []func()
		for i := range 8 {
			want := strings.Repeat(string(rune('a'+i)), (round+1)*90_000+i)
			body, release, err := b.ReadBody(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(want)))
			require.NoError(t, err)
			bodies, releases = append(bodies, body), append(releases, release)
		}
		for i, body := range bodies {
			require.Equal(t, strings.Repeat(string(rune('a'+i)), (round+1)*90_000+i), string(body))
		}
		for _, release := range releases {
			release()
			release() // a second call does nothing
		}
		bodies = bodies[:0]
	}
	require.Zero(t, b.used.Load())
}

func TestBudget(t *testing.T) {
	b := NewBudget(1<<20 - 1)
	post := func(body string) *http.Request {
		return httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	}
	large := strings.Repeat("x", 500_000)
	got, release, err := b.ReadBody(post(large))
	require.NoError(t, err)
	require.Equal(t, large, string(got))

	_, none, err := b.ReadBody(post(large))
	none()
	require.Equal(t, fault.Limited, fault.KindOf(err))
	require.Equal(t, time.Second, fault.RetryAfter(err))

	small, releaseSmall, err := b.ReadBody(post("small"))
	require.NoError(t, err, "what fits goes on")
	require.Equal(t, "small", string(small))
	releaseSmall()
	release()
	require.Zero(t, b.used.Load())
	_, release, err = b.ReadBody(post(large))
	require.NoError(t, err)
	release()

	var unbounded *Budget
	got, release, err = unbounded.ReadBody(post(large))
	require.NoError(t, err)
	require.Len(t, got, len(large))
	release()

	empty, release, err := b.ReadBody(post(""))
	require.NoError(t, err)
	require.Empty(t, empty)
	release()
}
