package collector

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
)

// decoder turns a merged configuration into components' configurations. It
// collects faults and goes on, where the Collector's own stops at the first.
type decoder struct {
	conf   *confmap.Conf
	faults []error
}

// fault adds the faults that err joins, each under path.
func (d *decoder) fault(path string, err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			d.fault(path, e)
		}
		return
	}
	message := strings.TrimSpace(err.Error())
	if strings.Contains(message, decodingFailed) {
		d.decodingFault(path, message)
		return
	}
	// The Collector writes paths as a::b.
	if where, what, ok := strings.Cut(message, ": "); ok && !strings.ContainsAny(where, " '\"") {
		path, message = path+"."+strings.ReplaceAll(where, confmap.KeyDelimiter, "."), what
	}
	d.faults = append(d.faults, fmt.Errorf("%s: %s", path, message))
}

// decodingFailed introduces the faults that the Collector's decoder found, a
// line each, and each as 'path' message; a path may in turn introduce others.
const decodingFailed = "decoding failed due to the following error(s):"

var quotedPath = regexp.MustCompile(`^'([^']*)' (.*)$`)

func (d *decoder) decodingFault(path, message string) {
	for line := range strings.Lines(message) {
		line = strings.TrimSpace(line)
		if line == "" || line == decodingFailed {
			continue
		}
		at := path
		if m := quotedPath.FindStringSubmatch(line); m != nil {
			line = m[2]
			if m[1] != "" {
				at = path + "." + m[1]
			}
		}
		if line == decodingFailed {
			path = at
			continue
		}
		d.faults = append(d.faults, fmt.Errorf("%s: %s", at, line))
	}
}

func (d *decoder) check(path string, cfg any) {
	if err := confmap.Validate(cfg); err != nil {
		d.fault(path, err)
	}
}

func (d *decoder) checkSections() {
	known := []string{"receivers", "processors", "connectors", "exporters", "extensions", "service"}
	for _, key := range sortedKeys(d.conf.ToStringMap()) {
		if !slices.Contains(known, key) {
			d.fault(key, fmt.Errorf("unknown section, the sections are %s", strings.Join(known, ", ")))
		}
	}
}

// decodeComponents decodes one section.
func decodeComponents[F component.Factory](d *decoder, section string, known map[component.Type]F) map[component.ID]component.Config {
	out := map[component.ID]component.Config{}
	conf, err := d.conf.Sub(section)
	if err != nil {
		d.fault(section, err)
		return out
	}
	for _, name := range sortedKeys(conf.ToStringMap()) {
		path := section + "." + name
		var id component.ID
		if err := id.UnmarshalText([]byte(name)); err != nil {
			d.fault(path, err)
			continue
		}
		factory, ok := known[id.Type()]
		if !ok {
			types := make([]string, 0, len(known))
			for t := range known {
				types = append(types, t.String())
			}
			slices.Sort(types)
			d.fault(path, fmt.Errorf("unknown type %q, the types are %s", id.Type(), strings.Join(types, ", ")))
			continue
		}
		sub, err := conf.Sub(name)
		if err != nil {
			d.fault(path, err)
			continue
		}
		cfg := factory.CreateDefaultConfig()
		if err := sub.Unmarshal(&cfg); err != nil {
			d.fault(path, err)
			continue
		}
		d.check(path, cfg)
		out[id] = cfg
	}
	return out
}

// checkReferences checks that what pipelines and service.extensions name is
// there. A component that did not decode is there: its own fault says more.
func (d *decoder) checkReferences(r *resolved) {
	for _, id := range r.service.Extensions {
		d.checkReference("service.extensions", "extension", id, "extensions")
	}
	for id, p := range r.service.Pipelines {
		path := "service.pipelines." + id.String()
		for _, ref := range p.Receivers {
			d.checkReference(path+".receivers", "receiver", ref, "receivers", "connectors")
		}
		for _, ref := range p.Processors {
			d.checkReference(path+".processors", "processor", ref, "processors")
		}
		for _, ref := range p.Exporters {
			d.checkReference(path+".exporters", "exporter", ref, "exporters", "connectors")
		}
	}
	for id := range r.connectors {
		_, isReceiver := r.receivers[id]
		_, isExporter := r.exporters[id]
		if isReceiver || isExporter {
			d.fault("connectors."+id.String(), errors.New("a receiver or an exporter has the same name"))
		}
	}
}

func (d *decoder) checkReference(path, kind string, id component.ID, sections ...string) {
	for _, section := range sections {
		if d.conf.IsSet(section + confmap.KeyDelimiter + id.String()) {
			return
		}
	}
	d.fault(path, fmt.Errorf("%s %q is not configured", kind, id))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
