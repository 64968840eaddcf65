package belfry

import (
	"bytes"
	"fmt"
	"strconv"
	"unsafe"

	jsoniter "github.com/json-iterator/go"
)

// Kinds of results of PromQL and LogQL.
const (
	KindMatrix  = "matrix"
	KindVector  = "vector"
	KindScalar  = "scalar"
	KindString  = "string"
	KindStreams = "streams"
)

// Result is what a query of PromQL or LogQL returned.
type Result struct {
	Kind     string
	Series   []Series
	Streams  []Stream
	Text     string // of a string
	Warnings []string
	Stats    Stats
}

// Series are the points of one set of labels, a single one in a vector.
type Series struct {
	Labels     map[string]string
	Times      []int64 // ms
	Values     []float64
	Histograms []HistogramPoint
}

// HistogramPoint is a native histogram at a time.
type HistogramPoint struct {
	Time    int64 // ms
	Count   float64
	Sum     float64
	Buckets []Bucket
}

// Bucket counts what lay between its bounds.
type Bucket struct{ Lower, Upper, Count float64 }

// Stream are entries that have their stream's labels in common.
type Stream struct {
	Labels  map[string]string
	Entries []Entry
}

// Entry is a log line with what is known of it beyond its stream.
type Entry struct {
	Time     int64 // ns
	Line     string
	Metadata map[string]string
	Parsed   map[string]string
}

// Stats are what a query cost, as far as the server says it.
type Stats struct {
	Bytes, Lines float64
	Seconds      float64
}

// decodeResult reads the envelope that Prometheus and Loki share.
func decodeResult(body []byte) (*Result, error) {
	res := &Result{}
	it := jsoniter.ParseBytes(jsoniter.ConfigDefault, body)
	it.ReadObjectCB(func(it *jsoniter.Iterator, key string) bool {
		switch key {
		case "data":
			res.data(it)
		case "warnings", "infos":
			it.ReadArrayCB(func(it *jsoniter.Iterator) bool {
				res.Warnings = append(res.Warnings, it.ReadString())
				return true
			})
		default:
			it.Skip()
		}
		return it.Error == nil
	})
	if it.Error != nil {
		return nil, fmt.Errorf("the answer is not a query's result: %w", it.Error)
	}
	return res, nil
}

func (r *Result) data(it *jsoniter.Iterator) {
	var late []byte // of a result whose type comes after it
	it.ReadObjectCB(func(it *jsoniter.Iterator, key string) bool {
		switch key {
		case "resultType":
			r.Kind = it.ReadString()
		case "result":
			if r.Kind == "" {
				late = it.SkipAndReturnBytes()
			} else {
				r.result(it)
			}
		case "stats":
			r.stats(it)
		default:
			it.Skip()
		}
		return it.Error == nil
	})
	if late != nil && it.Error == nil {
		inner := jsoniter.ParseBytes(jsoniter.ConfigDefault, late)
		r.result(inner)
		if inner.Error != nil {
			it.ReportError("result", inner.Error.Error())
		}
	}
}

func (r *Result) result(it *jsoniter.Iterator) {
	switch r.Kind {
	case KindScalar:
		s := Series{Labels: map[string]string{}}
		s.points(it, it.SkipAndReturnBytes(), true)
		r.Series = append(r.Series, s)
	case KindString:
		it.ReadArrayCB(func(it *jsoniter.Iterator) bool {
			if it.WhatIsNext() == jsoniter.StringValue {
				r.Text = it.ReadString()
			} else {
				it.Skip()
			}
			return it.Error == nil
		})
	case KindStreams:
		it.ReadArrayCB(func(it *jsoniter.Iterator) bool {
			r.Streams = append(r.Streams, readStream(it))
			return it.Error == nil
		})
	case KindMatrix, KindVector:
		it.ReadArrayCB(func(it *jsoniter.Iterator) bool {
			r.Series = append(r.Series, readSeries(it))
			return it.Error == nil
		})
	default:
		it.ReportError("resultType", fmt.Sprintf("unknown kind %q", r.Kind))
	}
}

func readLabels(it *jsoniter.Iterator) map[string]string {
	m := map[string]string{}
	it.ReadMapCB(func(it *jsoniter.Iterator, name string) bool {
		m[name] = it.ReadString()
		return it.Error == nil
	})
	return m
}

func readSeries(it *jsoniter.Iterator) Series {
	var s Series
	it.ReadObjectCB(func(it *jsoniter.Iterator, key string) bool {
		switch key {
		case "metric":
			s.Labels = readLabels(it)
		case "value":
			s.points(it, it.SkipAndReturnBytes(), true)
		case "values":
			s.points(it, it.SkipAndReturnBytes(), false)
		case "histogram":
			s.Histograms = append(s.Histograms, readHistogram(it))
		case "histograms":
			it.ReadArrayCB(func(it *jsoniter.Iterator) bool {
				s.Histograms = append(s.Histograms, readHistogram(it))
				return it.Error == nil
			})
		default:
			it.Skip()
		}
		return it.Error == nil
	})
	return s
}

// points reads [[seconds, "value"], ...], or one of them. Most of an answer is
// made of these, so they are read without an allocation each.
func (s *Series) points(it *jsoniter.Iterator, raw []byte, one bool) {
	if it.Error != nil {
		return
	}
	r := pointReader{b: raw}
	if one {
		t, v, ok := r.next()
		if !ok {
			it.ReportError("value", "not [time, \"value\"]")
			return
		}
		s.Times, s.Values = append(s.Times, t), append(s.Values, v)
		return
	}
	n := bytes.Count(raw, []byte{'['}) - 1
	if n > 0 {
		s.Times, s.Values = make([]int64, 0, n), make([]float64, 0, n)
	}
	if !r.skip('[') {
		it.ReportError("values", "not an array")
		return
	}
	for !r.skip(']') {
		r.skip(',')
		t, v, ok := r.next()
		if !ok {
			it.ReportError("values", "not [time, \"value\"]")
			return
		}
		s.Times, s.Values = append(s.Times, t), append(s.Values, v)
	}
}

// pointReader walks over the text of points.
type pointReader struct {
	b []byte
	i int
}

// skip steps over c if it is next, white space aside.
func (r *pointReader) skip(c byte) bool {
	for r.i < len(r.b) && (r.b[r.i] == ' ' || r.b[r.i] == '\n' || r.b[r.i] == '\t' || r.b[r.i] == '\r') {
		r.i++
	}
	if r.i < len(r.b) && r.b[r.i] == c {
		r.i++
		return true
	}
	return false
}

func (r *pointReader) number() string {
	start := r.i
	for r.i < len(r.b) && r.b[r.i] != ',' && r.b[r.i] != ']' && r.b[r.i] != '"' {
		r.i++
	}
	return view(bytes.TrimSpace(r.b[start:r.i]))
}

// view is b as a string that is not kept.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (r *pointReader) next() (ms int64, v float64, ok bool) {
	if !r.skip('[') {
		return 0, 0, false
	}
	ms, ok = parseMillis(r.number())
	if !ok || !r.skip(',') {
		return 0, 0, false
	}
	quoted := r.skip('"')
	v, err := strconv.ParseFloat(r.number(), 64)
	if err != nil || quoted && !r.skip('"') || !r.skip(']') {
		return 0, 0, false
	}
	return ms, v, true
}

// parseMillis reads seconds with at most three digits after the point as ms;
// what is written otherwise goes through a float.
func parseMillis(s string) (int64, bool) {
	var whole, frac int64
	digits, point := 0, -1
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.' && point < 0:
			point = i
		case c < '0' || c > '9' || digits > 15:
			f, err := strconv.ParseFloat(s, 64)
			return int64(f * 1000), err == nil
		case point < 0:
			whole = whole*10 + int64(c-'0')
			digits++
		case i-point <= 3:
			frac = frac*10 + int64(c-'0')
		}
	}
	if len(s) == 0 {
		return 0, false
	}
	if point >= 0 {
		for n := len(s) - point - 1; n < 3; n++ {
			frac *= 10
		}
	}
	return whole*1000 + frac, true
}

func readHistogram(it *jsoniter.Iterator) HistogramPoint {
	var h HistogramPoint
	n := 0
	it.ReadArrayCB(func(it *jsoniter.Iterator) bool {
		if n++; n == 1 {
			h.Time = int64(it.ReadFloat64() * 1000)
			return it.Error == nil
		}
		var body struct {
			Count, Sum float64  `json:",string"`
			Buckets    [][4]any `json:"buckets"`
		}
		it.ReadVal(&body)
		h.Count, h.Sum = body.Count, body.Sum
		for _, b := range body.Buckets {
			h.Buckets = append(h.Buckets, Bucket{number(b[1]), number(b[2]), number(b[3])})
		}
		return it.Error == nil
	})
	return h
}

func number(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case string:
		f, _ := strconv.ParseFloat(v, 64)
		return f
	}
	return 0
}
