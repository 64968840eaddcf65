package record

import (
	"cmp"
	"slices"

	"belfry/internal/otlpwire"
	"belfry/logs"
)

// StreamLabelsMarker is a resource attribute: if it is true, every other
// resource attribute is a stream label under its own name. Loki's push API sends its
// labels so; OTLP senders may do the same.
const StreamLabelsMarker = "belfry.stream_labels"

// IsIndexed reports whether a resource attribute is a stream label. These are
// the ones that Loki's OTLP endpoint indexes by default.
func IsIndexed(key string) bool {
	switch key {
	case "service.name", "service.namespace", "service.instance.id",
		"deployment.environment", "deployment.environment.name",
		"cloud.region", "cloud.availability_zone",
		"k8s.cluster.name", "k8s.container.name", "k8s.cronjob.name", "k8s.daemonset.name", "k8s.deployment.name",
		"k8s.job.name", "k8s.namespace.name", "k8s.pod.name", "k8s.replicaset.name", "k8s.statefulset.name",
		"container.name", "host.name":
		return true
	}
	return false
}

// serviceNameSources are labels that name the service where service_name is
// missing from a Loki push, the first one that is there.
var serviceNameSources = [...]string{
	"service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container", "container_name",
	"k8s_container_name", "component", "workload", "job", "k8s_job_name",
}

// Stream is what the records of a group share.
type Stream struct {
	Labels   []logs.Label // sorted by name
	Resource []Attr       // resource attributes that are no labels, sorted by key, no key twice
	Scope    []Attr       // scope attributes, likewise

	ScopeName, ScopeVersion []byte
}

// ParseStream reads a group.
func ParseStream(g *otlpwire.Group) (*Stream, error) {
	s := &Stream{}
	all, err := attributes(g.Resource, otlpwire.ResourceAttributes)
	if err != nil {
		return nil, err
	}
	verbatim := slices.ContainsFunc(all, func(a Attr) bool {
		return string(a.Key) == StreamLabelsMarker && a.Value.Kind == otlpwire.KindBool && a.Value.Bool()
	})
	for _, a := range all {
		key := string(a.Key)
		switch {
		case verbatim && key == StreamLabelsMarker:
		case verbatim || IsIndexed(key):
			text, err := AppendText(nil, &a.Value)
			if err != nil {
				return nil, err
			}
			s.addLabel(logs.LabelName(key), string(text))
		default:
			s.Resource = append(s.Resource, a)
		}
	}
	if logs.Lookup(s.Labels, logs.LabelServiceName) == "" {
		s.addLabel(logs.LabelServiceName, s.serviceName(verbatim))
	}
	slices.SortFunc(s.Labels, func(a, b logs.Label) int { return cmp.Compare(a.Name, b.Name) })
	if s.Scope, err = attributes(g.Scope, otlpwire.ScopeAttributes); err != nil {
		return nil, err
	}
	scope, err := otlpwire.ParseScope(g.Scope)
	s.ScopeName, s.ScopeVersion = scope.Name, scope.Version
	return s, err
}

func (s *Stream) addLabel(name, value string) {
	if value != "" && logs.Lookup(s.Labels, name) == "" {
		s.Labels = append(s.Labels, logs.Label{Name: name, Value: value})
	}
}

func (s *Stream) serviceName(verbatim bool) string {
	if verbatim {
		for _, name := range serviceNameSources {
			if v := logs.Lookup(s.Labels, name); v != "" {
				return v
			}
		}
	}
	return logs.UnknownService
}

// attributes returns a message's attributes that have a value, sorted by key;
// of several with one key the first.
func attributes(message []byte, number int32) ([]Attr, error) {
	var all []Attr
	err := otlpwire.Attributes(message, number, func(key []byte, v otlpwire.AnyValue) error {
		if !IsEmpty(&v) {
			all = append(all, Attr{Key: otlpwire.Text(key, nil), Value: v})
		}
		return nil
	})
	return SortAttributes(all), err
}

// SortAttributes sorts by key and removes all but the first of a key.
func SortAttributes(all []Attr) []Attr {
	slices.SortStableFunc(all, func(a, b Attr) int { return slices.Compare(a.Key, b.Key) })
	return slices.CompactFunc(all, func(a, b Attr) bool { return string(a.Key) == string(b.Key) })
}

// IsEmpty reports whether a value is the same as none.
func IsEmpty(v *otlpwire.AnyValue) bool {
	switch v.Kind {
	case otlpwire.KindEmpty:
		return true
	case otlpwire.KindString, otlpwire.KindBytes:
		return len(v.Raw) == 0
	}
	return false
}
