package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql"

	"github.com/prometheus/prometheus/model/labels"
)

// categorizeFlag asks for each entry's metadata and parsed labels apart from its
// stream's labels.
const (
	encodingFlagsHeader = "X-Loki-Response-Encoding-Flags"
	categorizeFlag      = "categorize-labels"
)

func categorize(r *http.Request) bool {
	for flag := range strings.SplitSeq(r.Header.Get(encodingFlagsHeader), ",") {
		if strings.TrimSpace(flag) == categorizeFlag {
			return true
		}
	}
	return false
}

func (a *API) instantQuery(w http.ResponseWriter, r *http.Request) error {
	at := a.o.Now()
	if s := r.Form.Get("time"); s != "" {
		var err error
		if at, err = parseTime(s); err != nil {
			return err
		}
	}
	started := time.Now()
	res, err := a.engine.Instant(r.Context(), tenant.ID(r.Context()), r.Form.Get("query"), at)
	if err != nil {
		return err
	}
	return writeResult(w, res, false, time.Since(started))
}

func (a *API) rangeQuery(w http.ResponseWriter, r *http.Request) error {
	p, err := a.rangeParams(r)
	if err != nil {
		return err
	}
	started := time.Now()
	res, err := a.engine.Range(r.Context(), p)
	if err != nil {
		return err
	}
	return writeResult(w, res, categorize(r), time.Since(started))
}

type queryData struct {
	ResultType    logql.ResultKind `json:"resultType"`
	EncodingFlags []string         `json:"encodingFlags,omitempty"`
	Result        any              `json:"result"`
	Stats         any              `json:"stats"`
}

type querySuccess struct {
	Status   string    `json:"status"`
	Warnings []string  `json:"warnings,omitempty"`
	Data     queryData `json:"data"`
}

func writeResult(w http.ResponseWriter, res *logql.Result, categorized bool, took time.Duration) error {
	out := querySuccess{Status: "success", Data: queryData{ResultType: res.Kind}}
	returned := 0
	switch res.Kind {
	case logql.KindStreams:
		out.Data.Result = streams(res.Entries, categorized)
		returned = len(res.Entries)
		if categorized {
			out.Data.EncodingFlags = []string{categorizeFlag}
		}
	case logql.KindMatrix:
		m := make([]matrixSeries, len(res.Matrix))
		for i, s := range res.Matrix {
			m[i] = matrixSeries{Metric: metric(s.Metric), Values: make([]sample, len(s.Floats))}
			for j, p := range s.Floats {
				m[i].Values[j] = sample{p.T, p.F}
			}
		}
		out.Data.Result = m
	case logql.KindVector:
		v := make([]vectorSample, len(res.Vector))
		for i, s := range res.Vector {
			v[i] = vectorSample{Metric: metric(s.Metric), Value: sample{s.T, s.F}}
		}
		out.Data.Result = v
	case logql.KindScalar:
		out.Data.Result = sample{res.Scalar.T, res.Scalar.V}
	}
	if res.Stats.Cut != "" {
		out.Warnings = []string{"the result is incomplete: the query was cut short by its bound on " + res.Stats.Cut}
	}
	out.Data.Stats = statsOf(res.Stats, returned, took)
	return writeJSON(w, out)
}

// metric writes labels as an object, {} if there are none.
func metric(l labels.Labels) map[string]string { return l.Map() }

type matrixSeries struct {
	Metric map[string]string `json:"metric"`
	Values []sample          `json:"values"`
}

type vectorSample struct {
	Metric map[string]string `json:"metric"`
	Value  sample            `json:"value"`
}

// sample is written as [seconds, "value"].
type sample struct {
	ms int64
	v  float64
}

// MarshalJSON implements json.Marshaler.
func (s sample) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 40), '[')
	b = strconv.AppendInt(b, s.ms/1000, 10)
	if frac := s.ms % 1000; frac != 0 {
		b = append(b, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
	}
	b = append(b, ',', '"')
	b = append(b, formatValue(s.v)...)
	return append(b, '"', ']'), nil
}

func formatValue(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

type stream struct {
	Stream map[string]string `json:"stream"`
	Values []entry           `json:"values"`
}

// entry is written as ["ns", "line"], and with categories as ["ns", "line", {…}].
type entry struct {
	t           int64
	line        string
	categorized bool
	metadata    []logs.Label
	parsed      []logs.Label
}

type categories struct {
	StructuredMetadata map[string]string `json:"structuredMetadata,omitempty"`
	Parsed             map[string]string `json:"parsed,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (e entry) MarshalJSON() ([]byte, error) {
	row := []any{strconv.FormatInt(e.t, 10), e.line}
	if e.categorized {
		row = append(row, categories{labelMap(e.metadata), labelMap(e.parsed)})
	}
	return json.Marshal(row)
}

func labelMap(lists ...[]logs.Label) map[string]string {
	m := map[string]string{}
	for _, list := range lists {
		for _, l := range list {
			m[l.Name] = l.Value
		}
	}
	return m
}

// streams groups entries by labels: by those of the stream if they are
// categorized, by all otherwise. Streams come in the order of their first entry.
func streams(entries []logql.Entry, categorized bool) []stream {
	out := []stream{}
	index := map[string]int{}
	var key []byte
	for i := range entries {
		e := &entries[i]
		key = key[:0]
		lists := [][]logs.Label{e.Stream}
		if !categorized {
			lists = append(lists, e.Metadata, e.Parsed)
		}
		for _, list := range lists {
			for _, l := range list {
				key = append(append(append(append(key, l.Name...), 0xfe), l.Value...), 0xff)
			}
		}
		at, ok := index[string(key)]
		if !ok {
			at = len(out)
			index[string(key)] = at
			out = append(out, stream{Stream: labelMap(lists...)})
		}
		out[at].Values = append(out[at].Values, entry{e.Time, e.Line, categorized, e.Metadata, e.Parsed})
	}
	return out
}

// statsOf fills the part of Loki's statistics that clients show.
func statsOf(s logs.Stats, returned int, took time.Duration) any {
	seconds := max(took.Seconds(), 1e-9)
	return map[string]any{
		"summary": map[string]any{
			"bytesProcessedPerSecond":               int64(float64(s.BytesScanned) / seconds),
			"linesProcessedPerSecond":               int64(float64(s.RowsScanned) / seconds),
			"totalBytesProcessed":                   s.BytesScanned,
			"totalLinesProcessed":                   s.RowsScanned,
			"totalPostFilterLines":                  s.Entries,
			"totalEntriesReturned":                  returned,
			"execTime":                              took.Seconds(),
			"queueTime":                             0,
			"subqueries":                            0,
			"splits":                                0,
			"shards":                                0,
			"totalStructuredMetadataBytesProcessed": 0,
		},
		"querier": map[string]any{"store": map[string]any{
			"totalChunksRef": s.Blocks, "totalChunksDownloaded": s.Blocks - s.BlocksPruned, "chunksDownloadTime": 0,
			"chunk": map[string]any{
				"headChunkBytes": 0, "headChunkLines": 0, "decompressedBytes": s.BytesScanned,
				"decompressedLines": s.RowsScanned, "compressedBytes": 0, "totalDuplicates": 0,
			},
		}},
		"ingester": map[string]any{
			"totalReached": 0, "totalChunksMatched": 0, "totalBatches": 0, "totalLinesSent": 0,
			"store": map[string]any{
				"totalChunksRef": 0, "totalChunksDownloaded": 0, "chunksDownloadTime": 0,
				"chunk": map[string]any{
					"headChunkBytes": 0, "headChunkLines": 0, "decompressedBytes": 0,
					"decompressedLines": 0, "compressedBytes": 0, "totalDuplicates": 0,
				},
			},
		},
	}
}

// infos returns the streams that the request's matchers select in its time range.
func (a *API) infos(r *http.Request, sets ...[]*logs.Matcher) ([]logs.StreamInfo, error) {
	start, end, err := a.bounds(r)
	if err != nil {
		return nil, err
	}
	return a.o.Store.Streams(r.Context(), logs.StreamsQuery{
		Tenant: tenant.ID(r.Context()), From: start.UnixNano(), To: end.UnixNano() + 1, Matchers: sets,
	})
}

func (a *API) queryInfos(r *http.Request) ([]logs.StreamInfo, error) {
	ms, err := selector(r.Form.Get("query"))
	if err != nil {
		return nil, err
	}
	if len(ms) == 0 {
		return a.infos(r)
	}
	return a.infos(r, ms)
}

func (a *API) labels(w http.ResponseWriter, r *http.Request) error {
	infos, err := a.queryInfos(r)
	if err != nil {
		return err
	}
	return writeData(w, distinct(infos, func(s *logs.Stream, add func(string)) {
		for _, l := range s.Labels {
			add(l.Name)
		}
	}))
}

func (a *API) labelValues(w http.ResponseWriter, r *http.Request) error {
	infos, err := a.queryInfos(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	return writeData(w, distinct(infos, func(s *logs.Stream, add func(string)) {
		if v := s.Label(name); v != "" {
			add(v)
		}
	}))
}

func distinct(infos []logs.StreamInfo, each func(*logs.Stream, func(string))) []string {
	set := map[string]struct{}{}
	for _, info := range infos {
		each(info.Stream, func(s string) { set[s] = struct{}{} })
	}
	out := make([]string, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func (a *API) series(w http.ResponseWriter, r *http.Request) error {
	var sets [][]*logs.Matcher
	for _, m := range slices.Concat(r.Form["match[]"], r.Form["match"]) {
		ms, err := selector(m)
		if err != nil {
			return err
		}
		if len(ms) == 0 { // selects everything
			sets = nil
			break
		}
		sets = append(sets, ms)
	}
	infos, err := a.infos(r, sets...)
	if err != nil {
		return err
	}
	out := []map[string]string{}
	for _, s := range streams(entriesOf(infos), true) {
		out = append(out, s.Stream)
	}
	return writeData(w, out)
}

// entriesOf makes streams look like entries, so that equal label sets are joined.
func entriesOf(infos []logs.StreamInfo) []logql.Entry {
	out := make([]logql.Entry, len(infos))
	for i, info := range infos {
		out[i].Stream = info.Labels
	}
	return out
}

func (a *API) formatQuery(w http.ResponseWriter, r *http.Request) error {
	text, err := format(r.Form.Get("query"))
	if err != nil {
		return err
	}
	return writeData(w, text)
}

func (a *API) buildInfo(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, map[string]string{
		// Clients choose features by Loki's version: this is the one whose API is served.
		"version": lokiVersion, "revision": a.o.Version, "branch": "belfry", "buildUser": "", "buildDate": "", "goVersion": "",
	})
}

const lokiVersion = "3.5.0"

func (a *API) drilldownLimits(w http.ResponseWriter, _ *http.Request) error {
	d := logql.DefaultLimits()
	pick := func(v, def int) int {
		if v > 0 {
			return v
		}
		return def
	}
	return writeJSON(w, map[string]any{
		"version":                  lokiVersion,
		"pattern_ingester_enabled": true,
		"limits": map[string]any{
			"discover_log_levels": true, "discover_service_name": []string{"service_name"},
			"log_level_fields":                      []string{"level", "LEVEL", "Level", "severity", "SEVERITY", "lvl", "log.level"},
			"max_entries_limit_per_query":           pick(a.o.Limits.MaxEntries, d.MaxEntries),
			"max_line_size_truncate":                false,
			"max_query_bytes_read":                  "0B",
			"max_query_length":                      "0s",
			"max_query_lookback":                    "0s",
			"max_query_range":                       "0s",
			"max_query_series":                      pick(a.o.Limits.MaxSeries, d.MaxSeries),
			"metric_aggregation_enabled":            false,
			"pattern_persistence_enabled":           false,
			"query_timeout":                         a.o.QueryTimeout.String(),
			"retention_period":                      "0s",
			"volume_enabled":                        true,
			"volume_max_series":                     1000,
			"otlp_config":                           map[string]any{},
			"max_global_streams_per_user":           0,
			"ingestion_rate_mb":                     0,
			"allow_structured_metadata":             true,
			"max_structured_metadata_entries_count": 512,
		},
	})
}

func (a *API) shards(_ http.ResponseWriter, _ *http.Request) error {
	return fault.NotFoundf("shards are not supported: send the query as a whole")
}
