// Package otlp turns OTLP metrics into series and appends them to a metrics
// store. The translation is Prometheus' own
// (storage/remote/otlptranslator/prometheusremotewrite), so names, suffixes,
// histograms, exemplars and target_info are what Prometheus would make of the
// same request.
//
// Delta temporality is accumulated to cumulative in memory, one state a tenant
// and stream, by OpenTelemetry's deltatocumulative processor. A restart starts
// the streams at zero again, which rate() and increase() take for the counter
// reset that it is.
package otlp
