package otlp

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"belfry/internal/otlpwire"
	"belfry/tsdb"
)

var noLabels = labels.EmptyLabels()

// Resource attributes that name the sender.
const (
	serviceName       = "service.name"
	serviceNamespace  = "service.namespace"
	serviceInstanceID = "service.instance.id"
)

// Categories of warnings.
const (
	nameCollision   = "label_name_collision"
	sumWithoutCount = "histogram_zero_count_non_zero_sum"
)

// maxNames bounds the label names that a builder remembers.
const maxNames = 4096

// defaultLookback is Prometheus' own.
const defaultLookback = 5 * time.Minute

// rules say how OTLP becomes series.
type rules struct {
	suffixes, utf8  bool
	promoteScope    bool
	keepIdentifying bool
	customBuckets   bool
	lookback        time.Duration
	namer           otlptranslator.LabelNamer

	// Resource attributes that become labels.
	promoted map[string]struct{}
	prefixes []string // with the final dot
}

func newRules(cfg tsdb.OTLPConfig, lookback time.Duration) rules {
	s := cfg.TranslationStrategy
	r := rules{
		suffixes:        s == tsdb.UnderscoreEscapingWithSuffixes || s == tsdb.NoUTF8EscapingWithSuffixes,
		utf8:            s == tsdb.NoUTF8EscapingWithSuffixes || s == tsdb.NoTranslation,
		promoteScope:    cfg.PromoteScopeMetadata,
		keepIdentifying: cfg.KeepIdentifyingResourceAttributes,
		customBuckets:   cfg.ConvertHistogramsToNHCB,
		lookback:        lookback,
		promoted:        map[string]struct{}{},
	}
	if lookback == 0 {
		r.lookback = defaultLookback
	}
	r.namer = otlptranslator.LabelNamer{UTF8Allowed: r.utf8, UnderscoreLabelSanitization: true}
	for _, a := range cfg.PromoteResourceAttributes {
		if prefix, ok := strings.CutSuffix(a, "*"); ok && strings.HasSuffix(prefix, ".") {
			r.prefixes = append(r.prefixes, prefix)
		} else {
			r.promoted[a] = struct{}{}
		}
	}
	return r
}

func (r *rules) promotes(attribute []byte) bool {
	if _, ok := r.promoted[string(attribute)]; ok {
		return true
	}
	for _, prefix := range r.prefixes {
		if strings.HasPrefix(string(attribute), prefix) {
			return true
		}
	}
	return false
}

// labelBuilder makes the labels of series that the cache does not know.
type labelBuilder struct {
	rules    *rules
	names    map[string]string // label names by attribute
	scratch  labels.ScratchBuilder
	builder  labels.Builder
	collided int // label names that two attributes of a point became

	resource      []byte // message of the current one
	resourceReady bool   // what follows is the resource's
	resourceErr   error
	job, instance string
	promoted      labels.Labels

	scope      []byte // message of the current one
	scopeURL   []byte
	scopeReady bool // what follows is the scope's
	scopeErr   error
	scopeAdds  labels.Labels
}

func (b *labelBuilder) drop() {
	b.resource, b.scope, b.scopeURL, b.promoted, b.scopeAdds = nil, nil, nil, noLabels, noLabels
	b.scratch.Reset()
	b.builder.Reset(noLabels)
	if len(b.names) > maxNames {
		clear(b.names)
	}
}

// point returns the labels of a point but for those that its series add, with the
// resource's and the scope's.
func (b *labelBuilder) point(attributes []byte, number int32) (labels.Labels, error) {
	if err := b.prepare(); err != nil {
		return noLabels, err
	}
	if err := b.attributes(attributes, number, func(key string) bool { return key == model.MetricNameLabel }); err != nil {
		return noLabels, err
	}
	b.promoted.Range(func(l labels.Label) {
		if b.builder.Get(l.Name) == "" {
			b.builder.Set(l.Name, l.Value)
		}
	})
	b.identify()
	b.scopeAdds.Range(func(l labels.Label) { b.builder.Set(l.Name, l.Value) })
	return b.builder.Labels(), nil
}

// series adds a series' own labels.
func (b *labelBuilder) series(base labels.Labels, s series) labels.Labels {
	b.builder.Reset(base)
	if s.label != "" {
		b.builder.Set(s.label, formatNumber(s.number))
	}
	b.builder.Set(model.MetricNameLabel, s.name+s.suffix)
	return b.builder.Labels()
}

// attributes fills the builder with the attributes in a field of a message. The
// values of attributes whose names become the same are joined.
func (b *labelBuilder) attributes(message []byte, number int32, ignored func(key string) bool) error {
	b.scratch.Reset()
	err := otlpwire.Attributes(message, number, func(key []byte, v otlpwire.AnyValue) error {
		if name := string(key); !ignored(name) {
			value, err := text(&v)
			if err != nil {
				return err
			}
			b.scratch.Add(name, value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.scratch.Sort()
	sorted := b.scratch.Labels()
	if b.rules.utf8 {
		b.builder.Reset(sorted)
		return nil
	}
	b.builder.Reset(noLabels)
	sorted.Range(func(l labels.Label) {
		name, nameErr := b.name(l.Name)
		if nameErr != nil {
			err = nameErr
			return
		}
		if before := b.builder.Get(name); before != "" {
			b.collided++
			b.builder.Set(name, before+";"+l.Value)
			return
		}
		b.builder.Set(name, l.Value)
	})
	return err
}

func (b *labelBuilder) identify() {
	if b.job != "" {
		b.builder.Set(model.JobLabel, b.job)
	}
	if b.instance != "" {
		b.builder.Set(model.InstanceLabel, b.instance)
	}
}

// name returns the label name of an attribute.
func (b *labelBuilder) name(attribute string) (string, error) {
	if name, ok := b.names[attribute]; ok {
		return name, nil
	}
	name, err := b.rules.namer.Build(attribute)
	if err != nil {
		return "", err
	}
	b.names[strings.Clone(attribute)] = name
	return name, nil
}

// prepare reads the resource and the scope.
func (b *labelBuilder) prepare() error {
	if !b.resourceReady {
		b.resourceReady = true
		b.resourceErr = b.readResource()
	}
	if b.resourceErr != nil {
		return b.resourceErr
	}
	if !b.scopeReady {
		b.scopeReady = true
		b.scopeErr = b.readScope()
	}
	return b.scopeErr
}

func (b *labelBuilder) readResource() error {
	b.job, b.instance, b.promoted = "", "", noLabels
	b.builder.Reset(noLabels)
	var first [3]bool // of several attributes of one name the first identifies
	namespace := ""
	err := otlpwire.Attributes(b.resource, otlpwire.ResourceAttributes, func(key []byte, v otlpwire.AnyValue) error {
		value, err := text(&v)
		if err != nil {
			return err
		}
		switch {
		case string(key) == serviceName && !first[0]:
			b.job, first[0] = value, true
		case string(key) == serviceNamespace && !first[1]:
			namespace, first[1] = value, true
		case string(key) == serviceInstanceID && !first[2]:
			b.instance, first[2] = value, true
		}
		if !b.rules.promotes(key) {
			return nil
		}
		name, err := b.name(string(key))
		if err != nil {
			return err
		}
		b.builder.Set(name, value)
		return nil
	})
	if first[0] && first[1] {
		b.job = namespace + "/" + b.job
	}
	b.promoted = b.builder.Labels()
	return err
}

// readScope reads the labels that a scope with a name adds.
func (b *labelBuilder) readScope() error {
	b.scopeAdds = noLabels
	if !b.rules.promoteScope {
		return nil
	}
	scope, err := otlpwire.ParseScope(b.scope)
	if err != nil || len(scope.Name) == 0 {
		return err
	}
	b.builder.Reset(noLabels)
	err = otlpwire.Attributes(b.scope, otlpwire.ScopeAttributes, func(key []byte, v otlpwire.AnyValue) error {
		value, err := text(&v)
		if err != nil {
			return err
		}
		name, err := b.name("otel_scope_" + string(key))
		if err != nil {
			return err
		}
		b.builder.Set(name, value)
		return nil
	})
	if err != nil {
		return err
	}
	b.builder.Set("otel_scope_name", string(scope.Name))
	b.builder.Set("otel_scope_version", string(scope.Version))
	b.builder.Set("otel_scope_schema_url", string(b.scopeURL))
	b.scopeAdds = b.builder.Labels()
	return nil
}

// text writes an attribute's value as a label value.
func text(v *otlpwire.AnyValue) (string, error) {
	switch v.Kind {
	case otlpwire.KindEmpty:
		return "", nil
	case otlpwire.KindString:
		return string(v.Raw), nil
	case otlpwire.KindInt:
		return strconv.FormatInt(v.Int(), 10), nil
	case otlpwire.KindBool:
		return strconv.FormatBool(v.Bool()), nil
	}
	value := pcommon.NewValueEmpty()
	if err := build(v, value, 0); err != nil {
		return "", err
	}
	return value.AsString(), nil
}

// build makes pdata of a value: what it looks like as text is defined there.
func build(v *otlpwire.AnyValue, into pcommon.Value, depth int) error {
	if depth > otlpwire.MaxDepth {
		return otlpwire.ErrTooDeep
	}
	switch v.Kind {
	case otlpwire.KindEmpty:
	case otlpwire.KindString:
		into.SetStr(string(v.Raw))
	case otlpwire.KindBool:
		into.SetBool(v.Bool())
	case otlpwire.KindInt:
		into.SetInt(v.Int())
	case otlpwire.KindDouble:
		into.SetDouble(v.Double())
	case otlpwire.KindBytes:
		into.SetEmptyBytes().FromRaw(v.Raw)
	case otlpwire.KindArray:
		list := into.SetEmptySlice()
		return v.Elements(func(e otlpwire.AnyValue) error { return build(&e, list.AppendEmpty(), depth+1) })
	case otlpwire.KindMap:
		entries := into.SetEmptyMap()
		return v.Entries(func(key []byte, e otlpwire.AnyValue) error {
			return build(&e, entries.PutEmpty(string(key)), depth+1)
		})
	}
	return nil
}
