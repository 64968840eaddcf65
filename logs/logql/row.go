package logql

import (
	"cmp"
	"slices"

	"belfry/logs"
)

// category is where a label comes from.
type category uint8

const (
	catStream category = iota
	catMetadata
	catParsed
)

// Labels that stages set when they cannot do their work.
const (
	errorLabel        = "__error__"
	errorDetailsLabel = "__error_details__"
)

// Values of errorLabel.
const (
	errJSON         = "JSONParserErr"
	errLogfmt       = "LogfmtParserErr"
	errTemplate     = "TemplateFormatErr"
	errLabelFilter  = "LabelFilterErr"
	errSampleFormat = "SampleExtractionErr"
)

type item struct {
	name, value string
	cat         category
	stage       int // that set it, if parsed
}

// row is one entry on its way through the stages.
type row struct {
	time   int64
	line   string
	items  []item // names are distinct
	err    string
	detail string
	value  float64 // of unwrap
}

func (r *row) find(name string) int {
	for i := range r.items {
		if r.items[i].name == name {
			return i
		}
	}
	return -1
}

// get returns the value of a label, "" if there is none.
func (r *row) get(name string) (string, bool) {
	switch name {
	case errorLabel:
		return r.err, r.err != ""
	case errorDetailsLabel:
		return r.detail, r.detail != ""
	}
	if i := r.find(name); i >= 0 {
		return r.items[i].value, true
	}
	return "", false
}

// extract sets what a parser found: a label of the stream or the metadata is not
// overwritten but gets a sibling; within one stage the first value counts.
func (r *row) extract(stage int, name, value string) {
	i := r.find(name)
	if i >= 0 && r.items[i].cat != catParsed {
		name += logs.ExtractedSuffix
		i = r.find(name)
	}
	switch {
	case i < 0:
		r.items = append(r.items, item{name, value, catParsed, stage})
	case r.items[i].cat != catParsed || r.items[i].stage != stage:
		r.items[i] = item{name, value, catParsed, stage}
	}
}

// set overwrites a label, or removes it if value is empty.
func (r *row) set(name, value string) {
	i := r.find(name)
	switch {
	case value == "" && i >= 0:
		r.items = slices.Delete(r.items, i, i+1)
	case value == "":
	case i >= 0:
		r.items[i] = item{name: name, value: value, cat: catParsed}
	default:
		r.items = append(r.items, item{name: name, value: value, cat: catParsed})
	}
}

func (r *row) remove(name string) {
	switch name {
	case errorLabel:
		r.err = ""
	case errorDetailsLabel:
		r.detail = ""
	default:
		r.set(name, "")
	}
}

func (r *row) fail(kind, detail string) {
	if r.err == "" {
		r.err, r.detail = kind, detail
	}
}

func (r *row) sort() {
	slices.SortFunc(r.items, func(a, b item) int { return cmp.Compare(a.name, b.name) })
}

// labels returns the labels of one category, sorted, the error labels with
// the parsed ones.
func (r *row) labels(cat category) []logs.Label {
	var out []logs.Label
	for _, it := range r.items {
		if it.cat == cat {
			out = append(out, logs.Label{Name: it.name, Value: it.value})
		}
	}
	if cat == catParsed && r.err != "" {
		out = append(out, logs.Label{Name: errorLabel, Value: r.err})
		if r.detail != "" {
			out = append(out, logs.Label{Name: errorDetailsLabel, Value: r.detail})
		}
	}
	slices.SortFunc(out, func(a, b logs.Label) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
