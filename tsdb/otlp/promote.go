package otlp

import (
	"strings"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// promotion is the set of resource attributes that become labels. The
// translator knows exact names only, so namespaces are expanded to the names
// that a request uses.
type promotion struct {
	exact    []string
	prefixes []string                                         // with the final dot
	fixed    *prometheusremotewrite.PromoteResourceAttributes // where there are no namespaces
}

func newPromotion(attributes []string) promotion {
	var p promotion
	for _, a := range attributes {
		if prefix, ok := strings.CutSuffix(a, "*"); ok && strings.HasSuffix(prefix, ".") {
			p.prefixes = append(p.prefixes, prefix)
		} else {
			p.exact = append(p.exact, a)
		}
	}
	if len(p.prefixes) == 0 {
		p.fixed = promote(p.exact)
	}
	return p
}

func promote(names []string) *prometheusremotewrite.PromoteResourceAttributes {
	return prometheusremotewrite.NewPromoteResourceAttributes(config.OTLPConfig{PromoteResourceAttributes: names})
}

func (p promotion) of(md pmetric.Metrics) *prometheusremotewrite.PromoteResourceAttributes {
	if p.fixed != nil {
		return p.fixed
	}
	names := append(make([]string, 0, len(p.exact)+16), p.exact...)
	resources := md.ResourceMetrics()
	for i := range resources.Len() {
		resources.At(i).Resource().Attributes().Range(func(name string, _ pcommon.Value) bool {
			for _, prefix := range p.prefixes {
				if strings.HasPrefix(name, prefix) {
					names = append(names, name)
					break
				}
			}
			return true
		})
	}
	return promote(names)
}
