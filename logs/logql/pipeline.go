package logql

import (
	"strconv"
	"strings"

	"belfry/logs"
	"belfry/logs/logql/extract"
	"belfry/logs/logql/syntax"

	"github.com/grafana/regexp"
)

// stage does its work on a row and says whether to keep it.
type stage func(r *row) bool

// pipeline runs rows through stages. Each goroutine has its own.
type pipeline struct {
	stages []stage
	bases  map[*logs.Stream][]item
	row    row
	key    []byte
}

// newPipeline compiles stages. Parsers skip labels that are not needed; nil
// needs all.
func newPipeline(stages []syntax.Stage, needed map[string]bool) (*pipeline, error) {
	p := &pipeline{bases: map[*logs.Stream][]item{}}
	for i, s := range stages {
		f, err := p.compile(i+1, s, needed)
		if err != nil {
			return nil, err
		}
		p.stages = append(p.stages, f)
	}
	return p, nil
}

// base returns what all rows of a stream begin with.
func (p *pipeline) base(s *logs.Stream) []item {
	base, ok := p.bases[s]
	if !ok {
		if len(p.bases) > 10_000 {
			clear(p.bases)
		}
		base = make([]item, 0, len(s.Labels)+len(s.Metadata))
		for _, l := range s.Labels {
			base = append(base, item{name: l.Name, value: l.Value})
		}
		for _, l := range s.Metadata {
			base = append(base, item{name: l.Name, value: l.Value, cat: catMetadata})
		}
		p.bases[s] = base
	}
	return base
}

// start begins a row; addMetadata and run follow.
func (p *pipeline) start(t int64, s *logs.Stream, line string) {
	p.row.time, p.row.line, p.row.err, p.row.detail = t, line, "", ""
	p.row.items = append(p.row.items[:0], p.base(s)...)
}

func (p *pipeline) addMetadata(s *logs.Stream, name, value string) {
	if len(s.Metadata) > 0 {
		if i := p.row.find(name); i >= 0 {
			p.row.items[i].value = value
			return
		}
	}
	p.row.items = append(p.row.items, item{name: name, value: value, cat: catMetadata})
}

func (p *pipeline) run() bool {
	for _, f := range p.stages {
		if !f(&p.row) {
			return false
		}
	}
	return true
}

func (p *pipeline) compile(n int, s syntax.Stage, needed map[string]bool) (stage, error) {
	switch s := s.(type) {
	case *syntax.LineFilter:
		return lineFilter(s)
	case *syntax.LabelFilter:
		cond, err := condition(s.Cond)
		return stage(cond), err
	case *syntax.JSON:
		return p.json(n, s, needed)
	case *syntax.Logfmt:
		return p.logfmt(n, s, needed), nil
	case *syntax.Regexp:
		return regexpStage(n, s), nil
	case *syntax.Pattern:
		pat, err := extract.ParsePattern(s.Source)
		return func(r *row) bool {
			pat.Extract(r.line, func(name, value string) { extractNonEmpty(r, n, name, value) })
			return true
		}, err
	case *syntax.Unpack:
		return p.unpack(n), nil
	case *syntax.LineFormat:
		t, err := extract.ParseTemplate(s.Template)
		return func(r *row) bool {
			out, err := t.Execute(labelMap(r), r.line, r.time)
			if err != nil {
				r.fail(errTemplate, err.Error())
				return true
			}
			r.line = out
			return true
		}, err
	case *syntax.LabelFormat:
		return labelFormat(s)
	case *syntax.Drop:
		return drop(s), nil
	case *syntax.Keep:
		return keep(s), nil
	case *syntax.Decolorize:
		re := regexp.MustCompile(`\x1b\[[0-9;:]*[A-Za-z]`)
		return func(r *row) bool {
			if strings.IndexByte(r.line, 0x1b) >= 0 {
				r.line = re.ReplaceAllLiteralString(r.line, "")
			}
			return true
		}, nil
	case *syntax.Unwrap:
		return unwrap(s), nil
	}
	return nil, &syntax.ParseError{Msg: "unknown stage " + s.String()}
}

func extractNonEmpty(r *row, stage int, name, value string) {
	if value != "" {
		r.extract(stage, name, value)
	}
}

func labelMap(r *row) map[string]string {
	m := make(map[string]string, len(r.items)+2)
	for _, it := range r.items {
		m[it.name] = it.value
	}
	if r.err != "" {
		m[errorLabel], m[errorDetailsLabel] = r.err, r.detail
	}
	return m
}

func wanted(needed map[string]bool, name []byte) bool {
	if needed == nil || needed[string(name)] {
		return true
	}
	return needed[string(name)+logs.ExtractedSuffix]
}

func (p *pipeline) json(n int, s *syntax.JSON, needed map[string]bool) (stage, error) {
	if len(s.Fields) == 0 {
		return func(r *row) bool {
			err := extract.FlattenJSON(r.line, func(key []byte, value string) {
				if value != "" && wanted(needed, key) {
					r.extract(n, string(key), value)
				}
			})
			if err != nil {
				r.fail(errJSON, err.Error())
			}
			return true
		}, nil
	}
	paths := make([]extract.Path, len(s.Fields))
	for i, f := range s.Fields {
		var err error
		if paths[i], err = extract.ParsePath(f.From); err != nil {
			return nil, err
		}
	}
	return func(r *row) bool {
		for i, f := range s.Fields {
			value, found, err := paths[i].Lookup(r.line)
			if err != nil {
				r.fail(errJSON, err.Error())
				return true
			}
			if found {
				extractNonEmpty(r, n, f.Label, value)
			}
		}
		return true
	}, nil
}

func (p *pipeline) logfmt(n int, s *syntax.Logfmt, needed map[string]bool) stage {
	return func(r *row) bool {
		err := extract.Logfmt(r.line, s.Strict, func(key, value string) {
			if value == "" && !s.KeepEmpty {
				return
			}
			if len(s.Fields) > 0 {
				for _, f := range s.Fields {
					if f.From == key {
						r.extract(n, f.Label, value)
					}
				}
				return
			}
			if p.key = extract.AppendLabelName(p.key[:0], key); wanted(needed, p.key) {
				if string(p.key) != key {
					key = string(p.key)
				}
				r.extract(n, key, value)
			}
		})
		if err != nil {
			r.fail(errLogfmt, err.Error())
		}
		return true
	}
}

func regexpStage(n int, s *syntax.Regexp) stage {
	names := s.Re.SubexpNames()
	return func(r *row) bool {
		m := s.Re.FindStringSubmatchIndex(r.line)
		for i, name := range names {
			if name != "" && m != nil && m[2*i] >= 0 {
				extractNonEmpty(r, n, name, r.line[m[2*i]:m[2*i+1]])
			}
		}
		return true
	}
}

// packedEntry is the key that holds the line in what the pack stage writes.
const packedEntry = "_entry"

func (p *pipeline) unpack(n int) stage {
	return func(r *row) bool {
		line := r.line
		err := extract.FlattenJSON(line, func(key []byte, value string) {
			if string(key) == packedEntry {
				r.line = value
				return
			}
			extractNonEmpty(r, n, string(key), value)
		})
		if err != nil {
			r.line = line
			r.fail(errJSON, err.Error())
		}
		return true
	}
}

func labelFormat(s *syntax.LabelFormat) (stage, error) {
	templates := make([]*extract.Template, len(s.Labels))
	for i, l := range s.Labels {
		if l.IsRename {
			continue
		}
		var err error
		if templates[i], err = extract.ParseTemplate(l.Value); err != nil {
			return nil, err
		}
	}
	return func(r *row) bool {
		for i, l := range s.Labels {
			if l.IsRename {
				if v, ok := r.get(l.Value); ok {
					r.set(l.Name, v)
					if l.Name != l.Value {
						r.remove(l.Value)
					}
				}
				continue
			}
			out, err := templates[i].Execute(labelMap(r), r.line, r.time)
			if err != nil {
				r.fail(errTemplate, err.Error())
				continue
			}
			r.set(l.Name, out)
		}
		return true
	}, nil
}

func drop(s *syntax.Drop) stage {
	return func(r *row) bool {
		for _, l := range s.Labels {
			if v, ok := r.get(l.Name); ok && (l.Matcher == nil || l.Matcher.Matches(v)) {
				r.remove(l.Name)
			}
		}
		return true
	}
}

func keep(s *syntax.Keep) stage {
	return func(r *row) bool {
		kept := r.items[:0]
		for _, it := range r.items {
			for _, l := range s.Labels {
				if l.Name == it.name && (l.Matcher == nil || l.Matcher.Matches(it.value)) {
					kept = append(kept, it)
					break
				}
			}
		}
		r.items = kept
		return true
	}
}

// unwrap takes the sample from a label. Rows without it have no sample.
func unwrap(s *syntax.Unwrap) stage {
	return func(r *row) bool {
		text, ok := r.get(s.Label)
		if !ok {
			return false
		}
		var err error
		switch s.Convert {
		case "duration", "duration_seconds":
			d, derr := extract.ParseDuration(text)
			r.value, err = d.Seconds(), derr
		case "bytes":
			n, berr := extract.ParseBytes(text)
			r.value, err = float64(n), berr
		default:
			r.value, err = strconv.ParseFloat(text, 64)
		}
		if err != nil {
			r.value = 0
			r.fail(errSampleFormat, err.Error())
			return true
		}
		r.remove(s.Label)
		return true
	}
}
