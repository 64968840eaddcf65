// Package ingest is what every way into the collector shares: it turns the bytes
// of one OTLP request into a call of a pipeline, and what the pipeline did into
// the answer that OTLP prescribes.
//
// Collector pipelines know success and failure only. Two things that Belfry
// promises do not fit through them and travel in the context instead:
//
//   - An Outcome. The exporter adds the records that a store rejected, and the
//     receiver reports them as partial_success. Where a processor breaks the call
//     chain (batch, tail_sampling), the exporter finds no Outcome and counts and
//     logs the rejections.
//   - The request's own bytes. Where the configuration lets a request reach the
//     store unchanged, the receiver sends an empty batch down the pipeline, so
//     that the memory limiter still decides, and the exporter appends the bytes
//     as they came from the sender. See Sink.Direct.
//
// Whatever a sender puts into a request, the answer is an error of a known kind:
// bodies are bounded after decompression, nesting is bounded before anything
// recursive looks at it, and a panic becomes an internal error.
package ingest
