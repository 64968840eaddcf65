package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type section struct {
	Time   model.Duration    `yaml:"time"`
	Size   ByteSize          `yaml:"size"`
	Key    Secret            `yaml:"key"`
	Names  []string          `yaml:"names"`
	Labels map[string]string `yaml:"labels"`
}

func (s *section) Validate() error {
	var errs []error
	if s.Time < 0 || s.Time == model.Duration(time.Second) {
		errs = append(errs, errors.New("time: must not be a second"))
	}
	for i, n := range s.Names {
		if n == "bad" {
			errs = append(errs, fmt.Errorf("names[%d]: is bad", i))
		}
	}
	return errors.Join(errs...)
}

type file struct {
	Metrics   section   `yaml:"metrics"`
	List      []section `yaml:"list"`
	Collector yaml.Node `yaml:"collector"`
	Enabled   bool      `yaml:"enabled"`
}

func TestDecodeKeepsDefaultsAndReadsTypes(t *testing.T) {
	f := file{Enabled: true, Metrics: section{Size: 7, Names: []string{"default"}}}
	require.NoError(t, Decode("belfry.yaml", nil, &f))
	require.True(t, f.Enabled)
	require.NoError(t, Decode("belfry.yaml", []byte("metrics:\n  time: 15d\n  size: 1.5GiB\n  key: hush\n  names:\ncollector: {any: [1, thing]}\n"), &f))
	require.Equal(t, model.Duration(15*24*time.Hour), f.Metrics.Time)
	require.Equal(t, ByteSize(3<<29), f.Metrics.Size)
	require.Equal(t, []string{"default"}, f.Metrics.Names, "a key without a value keeps its default")
	require.Equal(t, "hush", f.Metrics.Key.Reveal())
	require.Equal(t, yaml.MappingNode, f.Collector.Kind)
}

func TestDecodeReportsAllFaultsWithLines(t *testing.T) {
	in := `metrics:
  time: soon
  siz: 3
  size: many
  names: [ok, bad]
list:
  - time: 1s
  - labels: {a: b, a: c}
enabled: perhaps
nonsense: 1
`
	var f file
	err := Decode("b.yaml", []byte(in), &f)
	require.Error(t, err)
	var faults Faults
	require.ErrorAs(t, err, &faults)
	require.Equal(t, `b.yaml:2: metrics.time: not a valid duration string: "soon"
b.yaml:3: metrics.siz: unknown key (did you mean "size"?)
b.yaml:4: metrics.size: "many" is not a size such as 512MiB
b.yaml:5: metrics.names[1]: is bad
b.yaml:7: list[0].time: must not be a second
b.yaml:8: list[1].labels.a: key was given already at line 8
b.yaml:9: enabled: cannot unmarshal !!str `+"`perhaps`"+` into bool
b.yaml:10: nonsense: unknown key`, err.Error())
}

func TestDecodeReportsSyntaxErrors(t *testing.T) {
	var f file
	err := Decode("b.yaml", []byte("metrics:\n\t- x"), &f)
	require.ErrorContains(t, err, "b.yaml:2: ")
	require.ErrorContains(t, Decode("b.yaml", []byte("a: 1\n---\nb: 2\n"), &f), "one YAML document")
	require.ErrorContains(t, Decode("b.yaml", []byte("- a\n"), &f), "want a mapping")
}

func TestByteSize(t *testing.T) {
	for in, want := range map[string]ByteSize{"0": 0, "12": 12, "64k": 65536, "1MB": 1e6, "512 MiB": 512 << 20, "3b": 3} {
		got, err := ParseByteSize(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "-1", "x", "1PiB", "1e30"} {
		_, err := ParseByteSize(in)
		require.Error(t, err, in)
	}
	require.Equal(t, "512MiB", ByteSize(512<<20).String())
	require.Equal(t, "1000", ByteSize(1000).String())
}

func TestSecretIsHidden(t *testing.T) {
	s := Secret("hunter2")
	out, err := yaml.Marshal(map[string]any{"k": s})
	require.NoError(t, err)
	js, err := json.Marshal(s)
	require.NoError(t, err)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%#v", s), string(out), string(js)} {
		require.NotContains(t, text, "hunter2")
	}
}

func TestChecksSeeVerbatimSectionsAndFindTheirLines(t *testing.T) {
	in := "collector:\n  receivers:\n    otlp:\n      bad: [1, 2]\nenabled: maybe\n"
	var f file
	err := Decode("b.yaml", []byte(in), &f,
		Check{"collector", func() error {
			return errors.Join(errors.New("receivers.otlp.bad: no such key"), errors.New("receivers.otlp.bad[1]: is two"), errors.New("no exporters"))
		}},
		Check{"enabled", func() error { return errors.New("not asked: it is faulty already") }},
	)
	require.EqualError(t, err, `b.yaml:1: collector: no exporters
b.yaml:4: collector.receivers.otlp.bad: no such key
b.yaml:4: collector.receivers.otlp.bad[1]: is two
b.yaml:5: enabled: cannot unmarshal !!str `+"`maybe`"+` into bool`)
}
