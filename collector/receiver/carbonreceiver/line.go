package carbonreceiver

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// maxTime is beyond what any sender means, and fits nanoseconds.
const maxTime = float64(math.MaxInt64 / int64(time.Second))

// point is one line.
type point struct {
	name string
	tags [][2]string
	v    float64
	t    pcommon.Timestamp
}

// parseLine reads "path value time". A time of -1, or none, is now.
func parseLine(line string, now time.Time) (point, error) {
	words := strings.Fields(line)
	if len(words) < 2 || len(words) > 3 {
		return point{}, fmt.Errorf("%d words, want a path, a value and a time", len(words))
	}
	name, rest, tagged := strings.Cut(words[0], ";")
	if name == "" {
		return point{}, errors.New("the path is empty")
	}
	p := point{name: name, t: pcommon.NewTimestampFromTime(now)}
	for tagged && rest != "" {
		var tag string
		tag, rest, _ = strings.Cut(rest, ";")
		key, value, ok := strings.Cut(tag, "=")
		if !ok || key == "" || value == "" {
			return point{}, fmt.Errorf("tag %q is not key=value", tag)
		}
		p.tags = append(p.tags, [2]string{key, value})
	}
	var err error
	if p.v, err = strconv.ParseFloat(words[1], 64); err != nil {
		return point{}, fmt.Errorf("value %q is not a number", words[1])
	}
	if len(words) == 2 || words[2] == "-1" {
		return p, nil
	}
	seconds, err := strconv.ParseFloat(words[2], 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > maxTime {
		return point{}, fmt.Errorf("time %q is not seconds since the epoch", words[2])
	}
	whole, part := math.Modf(seconds)
	p.t = pcommon.Timestamp(int64(whole)*int64(time.Second) + int64(part*float64(time.Second)))
	return p, nil
}

// batch gathers points; those of one path are one metric.
type batch struct {
	metrics pmetric.Metrics
	list    pmetric.MetricSlice
	byName  map[string]pmetric.NumberDataPointSlice
	n       int
}

func newBatch() *batch {
	m := pmetric.NewMetrics()
	list := m.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	return &batch{metrics: m, list: list, byName: map[string]pmetric.NumberDataPointSlice{}}
}

func (b *batch) add(p point) {
	points, ok := b.byName[p.name]
	if !ok {
		metric := b.list.AppendEmpty()
		metric.SetName(p.name)
		points = metric.SetEmptyGauge().DataPoints()
		b.byName[p.name] = points
	}
	dp := points.AppendEmpty()
	dp.SetDoubleValue(p.v)
	dp.SetTimestamp(p.t)
	for _, tag := range p.tags {
		dp.Attributes().PutStr(tag[0], tag[1])
	}
	b.n++
}
