package api

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"belfry/traces"
	"belfry/traces/tracestest"
)

// TestTraceJSON compares the JSON of traces with what protobuf makes of their messages.
func TestTraceJSON(t *testing.T) {
	for seed := range uint64(40) {
		spans := tracestest.NewRandom(seed).Spans(30)
		spans[0].Kind, spans[0].Status, spans[0].Flags, spans[0].DroppedLinks = 77, -1, 1<<31, 3
		spans[1].Resource = &traces.Resource{SchemaURL: "a\"b\n", ScopeSchemaURL: "ü", DroppedAttributes: 1, ScopeDroppedAttributes: 2}
		spans[2].Attributes = []traces.Attribute{
			{Key: "", Value: traces.Value{}}, {Key: "inf", Value: traces.Float(math.Inf(-1))}, {Key: "nan", Value: traces.Float(math.NaN())},
			{Key: "e", Value: traces.Float(1e300)}, {Key: "none", Value: traces.Array()}, {Key: "empty", Value: traces.Map()},
			{Key: "deep", Value: traces.Array(traces.Map(traces.Attribute{Key: "x", Value: traces.Bytes("\x00\xff")}), traces.Int(math.MinInt64))},
		}
		var data tracepb.TracesData
		require.NoError(t, proto.Unmarshal(traces.AppendTracesData(nil, spans), &data))
		var got []json.RawMessage
		require.NoError(t, json.Unmarshal(traces.AppendResourceSpansJSON(nil, spans), &got))
		require.Len(t, got, len(data.ResourceSpans))
		for i, rs := range data.ResourceSpans {
			want, err := protojson.Marshal(rs)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got[i]))
		}
	}
}
