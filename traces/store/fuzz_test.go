package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"belfry/internal/fault"
	"belfry/internal/vfs"
	"belfry/traces"
	"belfry/traces/store"
	"belfry/traces/tracestest"
)

// comparable writes a span so that what the two decoders may see differently is
// left out: arrays and maps are compared by their JSON, and what is not UTF-8 as
// the store keeps it.
func comparable(s traces.Span) string {
	valid := func(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
	values := func(list []traces.Attribute) string { return valid(string(traces.Map(list...).AppendJSON(nil))) }
	out := fmt.Sprintf("%s %s %s %d %d %q %d %d %q %q %d %d %d %d %s", s.TraceID, s.ID, s.ParentID, s.Start, s.Duration, valid(s.Name), s.Kind,
		s.Status, valid(s.StatusMessage), valid(s.TraceState), s.Flags, s.DroppedAttributes, s.DroppedEvents, s.DroppedLinks, values(s.Attributes))
	var parts strings.Builder
	for _, e := range s.Events {
		parts.WriteString(fmt.Sprintf(" event %d %q %d %s", e.Time, valid(e.Name), e.DroppedAttributes, values(e.Attributes)))
	}
	for _, l := range s.Links {
		parts.WriteString(fmt.Sprintf(" link %s %s %q %d %d %s", l.TraceID, l.SpanID, valid(l.TraceState), l.Flags, l.DroppedAttributes, values(l.Attributes)))
	}
	out += parts.String()
	r := s.Resource
	return out + fmt.Sprintf(" resource %s %d %q scope %q %q %s %d %q", values(r.Attributes), r.DroppedAttributes, valid(r.SchemaURL),
		valid(r.ScopeName), valid(r.ScopeVersion), values(r.ScopeAttributes), r.ScopeDroppedAttributes, valid(r.ScopeSchemaURL))
}

func comparables(spans []traces.Span) []string {
	out := make([]string, 0, len(spans))
	for _, s := range spans {
		out = append(out, comparable(s))
	}
	slices.Sort(out)
	return out
}

// FuzzDecode compares the store's decoder with the Collector's.
func FuzzDecode(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(traces.AppendTracesData(nil, tracestest.NewRandom(seed).Spans(3)))
	}
	odd := tracestest.NewRandom(1).Spans(1)
	odd[0].Name, odd[0].StatusMessage = "not \xc0 UTF-8", "\xff\xfe"
	f.Add(traces.AppendTracesData(nil, odd))
	config := store.DefaultConfig()
	config.Retention.Time = 0
	s, err := store.Open(store.Options{
		Dir: "d", FS: vfs.NewMem(), Config: config,
		Now: func() time.Time { return time.Unix(0, tracestest.Epoch).Add(time.Hour) },
	})
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, s.Close()) })
	var runs atomic.Int64
	f.Fuzz(func(t *testing.T, request []byte) {
		tenant := fmt.Sprintf("t%d", runs.Add(1)) // one store for all, because opening one takes longer than all the rest
		want, _, oracleErr := tracestest.Decode(request)
		result, err := s.Append(context.Background(), tenant, request)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.KindOf(err), "%v", err)
			if oracleErr == nil { // the Collector does not look into groups, which OTLP does not have
				oracleErr = proto.Unmarshal(request, &tracepb.TracesData{})
			}
			require.Error(t, oracleErr, "only the store refuses: %v", err)
			return
		}
		var got []traces.Span
		_, err = s.Scan(context.Background(), tenant, traces.SpanQuery{From: -1 << 62, To: 1<<63 - 1, ByStart: true}, func() traces.Visitor {
			return func(spans []traces.Span) error { got = append(got, spans...); return nil }
		})
		require.NoError(t, err)
		require.Len(t, got, result.Accepted)
		if oracleErr != nil || len(want) != len(got) {
			return // the store rejects single spans where the Collector refuses all, and those of the far future
		}
		require.Equal(t, comparables(want), comparables(got))
	})
}
