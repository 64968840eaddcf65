package plugin

import (
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
	"belfry/ui/grafana/pkg/rewrite"
)

// version is the one of the types of frames that are contracts of Grafana's.
func version() data.FrameTypeVersion { return data.FrameTypeVersion{0, 1} }

// numbers are the frames of a matrix or a vector.
func (d *Datasource) numbers(q *Query, expr string, res *belfry.Result, instant bool) data.Frames {
	meta := func(t data.FrameType) *data.FrameMeta {
		return &data.FrameMeta{
			Type: t, TypeVersion: version(), PreferredVisualization: data.VisTypeGraph,
			Custom: map[string]any{"resultType": res.Kind}, ExecutedQueryString: executed(expr, q.step, instant),
			Notices: notices(res.Warnings),
		}
	}
	frameType := data.FrameTypeTimeSeriesMulti
	if instant {
		frameType = data.FrameTypeNumericMulti
	}
	if len(res.Series) == 0 {
		f := data.NewFrame("")
		f.Meta = meta(frameType)
		return data.Frames{f}
	}
	switch {
	case q.by.numbers:
	case q.Format == "table":
		f := tableOf(res.Series)
		f.Meta = meta(data.FrameTypeTable)
		f.Meta.PreferredVisualization = data.VisTypeTable
		return data.Frames{f}
	case q.Format == "heatmap":
		if f := heatmapOf(res.Series); f != nil {
			f.Meta = meta("heatmap-rows")
			return data.Frames{f}
		}
	}
	legend := legends(q.LegendFormat, expr, res.Series)
	frames := make(data.Frames, 0, len(res.Series))
	for i, s := range res.Series {
		if len(s.Values) == 0 && len(s.Histograms) > 0 {
			frames = append(frames, histogramCells(s, legend[i]))
			continue
		}
		f := seriesFrame(s, legend[i], q.step)
		f.Meta = meta(frameType)
		if len(frames) > 0 {
			f.Meta.Notices, f.Meta.ExecutedQueryString = nil, "" // once is enough
		}
		if name := s.Labels["service_name"]; name != "" {
			f.Fields[1].Config.Links = d.serviceLinks(`${__field.labels.service_name}`)
		} else if s.Labels["service"] != "" {
			f.Fields[1].Config.Links = d.serviceLinks(`${__field.labels.service}`)
		}
		frames = append(frames, f)
	}
	return frames
}

func executed(expr string, step time.Duration, instant bool) string {
	if instant {
		return expr
	}
	return expr + "\nStep: " + rewrite.Duration(step)
}

func notices(warnings []string) []data.Notice {
	var out []data.Notice
	for _, w := range warnings {
		out = append(out, data.Notice{Severity: data.NoticeSeverityWarning, Text: w})
	}
	return out
}

func seriesFrame(s belfry.Series, legend string, step time.Duration) *data.Frame {
	times := make([]time.Time, len(s.Times))
	for i, ms := range s.Times {
		times[i] = time.UnixMilli(ms).UTC()
	}
	timeField := data.NewField(data.TimeSeriesTimeFieldName, nil, times)
	timeField.Config = &data.FieldConfig{Interval: float64(step.Milliseconds())}
	value := data.NewField(data.TimeSeriesValueFieldName, s.Labels, s.Values)
	value.Config = &data.FieldConfig{DisplayNameFromDS: legend}
	return data.NewFrame(legend, timeField, value)
}

// tableOf has a row a point and a column a label.
func tableOf(series []belfry.Series) *data.Frame {
	names := map[string]struct{}{}
	rows := 0
	for _, s := range series {
		rows += len(s.Values)
		for name := range s.Labels {
			names[name] = struct{}{}
		}
	}
	times := make([]time.Time, 0, rows)
	values := make([]float64, 0, rows)
	sorted := slices.Sorted(maps.Keys(names))
	columns := make([][]string, len(sorted))
	for _, s := range series {
		for i := range s.Values {
			times, values = append(times, time.UnixMilli(s.Times[i]).UTC()), append(values, s.Values[i])
			for j, name := range sorted {
				columns[j] = append(columns[j], s.Labels[name])
			}
		}
	}
	f := data.NewFrame("", data.NewField("Time", nil, times))
	for j, name := range sorted {
		filterable := true
		field := data.NewField(name, nil, columns[j])
		field.Config = &data.FieldConfig{Filterable: &filterable}
		f.Fields = append(f.Fields, field)
	}
	f.Fields = append(f.Fields, data.NewField("Value", nil, values))
	return f
}

// heatmapOf turns the cumulative buckets of a classic histogram into rows that
// count what lies in each; nil if the series have no bounds.
func heatmapOf(series []belfry.Series) *data.Frame {
	type row struct {
		bound float64
		s     belfry.Series
	}
	var rows []row
	for _, s := range series {
		bound, err := strconv.ParseFloat(s.Labels["le"], 64)
		if err != nil {
			return nil
		}
		rows = append(rows, row{bound, s})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.bound, b.bound) })
	index := map[int64]int{}
	var times []int64
	for _, r := range rows {
		for _, t := range r.s.Times {
			if _, ok := index[t]; !ok {
				index[t] = 0
				times = append(times, t)
			}
		}
	}
	slices.Sort(times)
	stamps := make([]time.Time, len(times))
	for i, t := range times {
		index[t], stamps[i] = i, time.UnixMilli(t).UTC()
	}
	f := data.NewFrame("", data.NewField("Time", nil, stamps))
	below := make([]float64, len(times))
	for _, r := range rows {
		at := slices.Clone(below) // a bound without a sample adds nothing
		for i, t := range r.s.Times {
			at[index[t]] = r.s.Values[i]
		}
		counts := make([]float64, len(times))
		for i := range at {
			counts[i] = math.Max(0, at[i]-below[i])
		}
		below = at
		f.Fields = append(f.Fields, data.NewField(r.s.Labels["le"], nil, counts))
	}
	return f
}

// histogramCells draws native histograms: a cell a bucket and time.
func histogramCells(s belfry.Series, legend string) *data.Frame {
	var times []time.Time
	var lower, upper, counts []float64
	for _, h := range s.Histograms {
		for _, b := range h.Buckets {
			times = append(times, time.UnixMilli(h.Time).UTC())
			lower, upper, counts = append(lower, b.Lower), append(upper, b.Upper), append(counts, b.Count)
		}
	}
	f := data.NewFrame(legend, data.NewField("xMax", nil, times), data.NewField("yMin", nil, lower),
		data.NewField("yMax", nil, upper), data.NewField("count", s.Labels, counts))
	f.Meta = &data.FrameMeta{Type: "heatmap-cells", TypeVersion: version()}
	return f
}

const legendAuto = "__auto"

var legendLabel = regexp.MustCompile(`\{\{\s*(.+?)\s*\}\}`)

// legends names series: by the format, by the labels in which they differ, or by
// all labels.
func legends(format, expr string, series []belfry.Series) []string {
	out := make([]string, len(series))
	var differing []string
	if format == legendAuto {
		differing = differingLabels(series)
	}
	for i, s := range series {
		switch {
		case format == legendAuto && len(differing) > 0:
			out[i] = labelSet(s.Labels, differing)
		case format == legendAuto && s.Labels["__name__"] != "":
			out[i] = s.Labels["__name__"]
		case format == legendAuto:
			out[i] = expr
		case format != "":
			out[i] = fillLabels(format, s.Labels)
		default:
			out[i] = seriesName(s.Labels, expr)
		}
	}
	return out
}

func fillLabels(format string, labels map[string]string) string {
	return legendLabel.ReplaceAllStringFunc(format, func(m string) string {
		return labels[legendLabel.FindStringSubmatch(m)[1]]
	})
}

func seriesName(labels map[string]string, expr string) string {
	names := slices.Sorted(maps.Keys(labels))
	names = slices.DeleteFunc(names, func(n string) bool { return n == "__name__" })
	if len(names) == 0 {
		return cmp.Or(labels["__name__"], expr)
	}
	return labels["__name__"] + labelSet(labels, names)
}

func labelSet(labels map[string]string, names []string) string {
	parts := make([]string, 0, len(names))
	for _, n := range names {
		parts = append(parts, n+"="+strconv.Quote(labels[n]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func differingLabels(series []belfry.Series) []string {
	if len(series) < 2 {
		return nil
	}
	names := map[string]bool{}
	for _, s := range series {
		for n := range s.Labels {
			names[n] = false
		}
	}
	for n := range names {
		for _, s := range series[1:] {
			if s.Labels[n] != series[0].Labels[n] {
				names[n] = true
			}
		}
	}
	maps.DeleteFunc(names, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(names))
}
