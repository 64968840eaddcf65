// Package otlp turns OTLP metrics into series and appends them to a metrics
// store. Names, suffixes, histograms, exemplars and target_info are what
// Prometheus would make of the same request
// (storage/remote/otlptranslator/prometheusremotewrite, which the tests hold this
// package against); only where Prometheus gives up a metric at its first bad
// point, the others are kept here.
//
// A request is read from its bytes, one data point after the other. The bytes
// that say which series a point goes to — resource, scope if it becomes labels,
// metric, attributes, bounds — are the key under which the store's
// seriescache.Cache has the references of these series. Labels are made only for
// a point that is not there.
//
//	appender.go   requests and their outcome
//	request.go    the walk over a request: resources, scopes, metrics
//	metric.go     a metric's name, unit, type and metadata; families
//	number.go     the points of gauges and sums
//	histogram.go  the points of histograms with explicit bounds
//	native.go     the points that become native histograms
//	summary.go    the points of summaries
//	exemplar.go   exemplars
//	series.go     references, samples, what is rejected
//	labels.go     labels of a series
//	target.go     target_info
//	delta.go      delta temporality
//
// Delta temporality is accumulated to cumulative in memory, one state a tenant
// and stream, by OpenTelemetry's deltatocumulative processor. A restart starts
// the streams at zero again, which rate() and increase() take for the counter
// reset that it is.
package otlp
